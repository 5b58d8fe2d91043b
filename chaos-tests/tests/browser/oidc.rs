//! Signing in with a browser at a real OpenID provider.

use std::time::Duration;

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::browser::Browser;

use crate::{
    place::{ALICE, BOB, HOST, Place},
    provider::{CLIENT_ID, Provider, go_through},
};

const END: Duration = Duration::from_secs(40);

#[test]
fn a_user_signs_in_with_a_browser_at_an_openid_provider() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, ALICE)?;

    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    assert!(page.starts_with(&format!("{}/auth?", provider.issuer)), "{page}");
    let asked = format!("client_id={CLIENT_ID}");
    for wanted in [
        "code_challenge=",
        "code_challenge_method=S256",
        "nonce=",
        "state=",
        "response_type=code",
        &asked,
        "scope=openid+profile+email",
    ] {
        assert!(page.contains(wanted), "{wanted} is missing in {page}");
    }
    go_through(&browser, &page, "Alice")?;
    let told = browser.source()?;
    assert!(told.contains("You can close this window"), "{told}");
    let status = signing_in.wait(END)?;
    assert!(status.success(), "{}", signing_in.log().text());

    let devices = operator.read(&["device", "list"])?;
    let dn = devices[0]["distinguishedName"].as_str().context("a device")?;
    assert!(dn.ends_with(",CN=alice,OU=sso"), "{dn}");
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    // Neither code nor request is in a log of ours.
    let came_back = browser.url()?;
    let code = came_back.split(['?', '&']).find_map(|field| field.strip_prefix("code=")).context("a code")?;
    assert_eq!(place.controller.log().lines_with(code), Vec::<String>::new());
    assert_eq!(signing_in.log().lines_with(code), Vec::<String>::new());

    // A second sign-in on the same device: the browser is remembered by the provider, the device by the Collective.
    let (mut again, page) = place.sign_in(ALICE, "sso")?;
    go_through(&browser, &page, "Alice")?;
    assert!(again.wait(END)?.success(), "{}", again.log().text());
    assert_eq!(operator.read(&["device", "list"])?.as_array().map(Vec::len), Some(1));

    // Blocked here, whatever the provider says.
    operator.read(&["blocklist", "add", "CN=alice,OU=sso"]).ok();
    let (mut blocked, page) = place.sign_in(ALICE, "sso")?;
    go_through(&browser, &page, "Alice")?;
    assert_eq!(blocked.wait(END)?.code(), Some(4), "{}", blocked.log().text());
    assert!(!blocked.log().lines_with("signInRefused").is_empty(), "{}", blocked.log().text());
    assert!(place.lab.host(HOST).listens_on_tcp(443)?, "the Controller goes on");
    Ok(())
}

#[test]
fn a_blocked_user_of_an_openid_provider_is_refused_before_anything_is_registered() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, BOB, "sso")?;
    let browser = Browser::start(&place.lab, BOB)?;
    operator.attempt(&["blocklist", "add", "CN=bob,OU=sso"])?.success()?;

    // The provider proves him, for only it knows who he is; nothing of him gets into the Collective.
    let (mut blocked, page) = place.sign_in(BOB, "sso")?;
    go_through(&browser, &page, "Bob")?;
    assert_eq!(blocked.wait(END)?.code(), Some(4), "{}", blocked.log().text());
    assert!(!blocked.log().lines_with("signInRefused").is_empty(), "{}", blocked.log().text());
    assert_eq!(provider.redeemed(&place)?, 1, "the provider was asked");
    assert_eq!(operator.read(&["device", "list"])?, serde_json::json!([]));
    assert_eq!(operator.read(&["session", "list"])?, serde_json::json!([]));
    assert_eq!(place.controller.log().lines_with("device_registered"), Vec::<String>::new());

    operator.attempt(&["blocklist", "remove", "CN=bob,OU=sso"])?.success()?;
    let (mut again, page) = place.sign_in(BOB, "sso")?;
    go_through(&browser, &page, "Bob")?;
    assert!(again.wait(END)?.success(), "{}", again.log().text());
    assert_eq!(operator.read(&["device", "list"])?.as_array().map(Vec::len), Some(1));
    assert_eq!(place.controller.log().lines_with("device_registered").len(), 1);
    Ok(())
}

#[test]
fn an_openid_provider_that_is_gone_lets_nobody_in() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let mut provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    // The provider is there when the browser is sent out, and gone when it comes back.
    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    let state = page.split(['?', '&']).find_map(|field| field.strip_prefix("state=")).context("a state")?.to_owned();
    let back = page.split(['?', '&']).find_map(|field| field.strip_prefix("redirect_uri=")).context("a place")?;
    let back = back.replace("%3A", ":").replace("%2F", "/");
    provider.kill()?;
    let issuer = provider.issuer.replace(':', "%3A").replace('/', "%2F");
    browser.open(&format!("{back}?code=whatever&state={state}&iss={issuer}"))?;
    let status = signing_in.wait(Duration::from_secs(90))?;
    assert_eq!(status.code(), Some(5), "{}", signing_in.log().text());
    assert!(!signing_in.log().lines_with("providerUnavailable").is_empty(), "{}", signing_in.log().text());
    Ok(())
}
