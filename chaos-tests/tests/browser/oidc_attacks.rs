//! A provider that answers as none may, and browsers that come back with what is not theirs.

use std::time::Duration;

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::browser::Browser;

use crate::{
    place::{ALICE, BOB, Place},
    provider::{Provider, go_through},
};

const END: Duration = Duration::from_secs(40);

/// What the provider does wrong, and what the operator reads of it.
const ATTACKS: [(&str, &str, &str); 11] = [
    (ALICE, "nonce", "nonce"),
    (ALICE, "audience", "audience"),
    (ALICE, "party", "another party"),
    (ALICE, "no-party", "no authorized party"),
    (ALICE, "issuer", "issuer"),
    (ALICE, "expired", "expired"),
    (BOB, "future", "from the future"),
    (BOB, "key", "ignature"),
    (BOB, "unsigned", "refused"),
    (BOB, "hmac-public", "refused"),
    (BOB, "hmac-secret", "refused"),
];

#[test]
fn forged_id_tokens_sign_nobody_in() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    for user in [ALICE, BOB] {
        place.add_profile(&operator, user, "sso")?;
    }
    let browsers = [(ALICE, Browser::start(&place.lab, ALICE)?), (BOB, Browser::start(&place.lab, BOB)?)];
    for (user, attack, why) in ATTACKS {
        let browser = &browsers.iter().find(|(of, _)| *of == user).context("a browser")?.1;
        provider.attack(&place, attack)?;
        let before = place.controller.log().lines_with("OpenID provider is refused").len();
        let (mut signing_in, page) = place.sign_in(user, "sso")?;
        go_through(browser, &page, user)?;
        assert_eq!(signing_in.wait(END)?.code(), Some(4), "{attack}: {}", signing_in.log().text());
        assert!(!signing_in.log().lines_with("signInRefused").is_empty(), "{attack}: refused alike to a stranger");
        let told = place.controller.log().lines_with("OpenID provider is refused");
        assert_eq!(told.len(), before + 1, "{attack}");
        assert!(told[before].contains(why), "{attack}: the operator reads {}", told[before]);
    }
    // The same provider without a forgery is believed.
    provider.attack(&place, "none")?;
    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    go_through(&browsers[0].1, &page, ALICE)?;
    assert!(signing_in.wait(END)?.success(), "{}", signing_in.log().text());
    Ok(())
}

#[test]
fn codes_of_others_and_answers_of_other_issuers_sign_nobody_in() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    let came_back = go_through(&browser, &page, ALICE)?;
    assert!(signing_in.wait(END)?.success(), "{}", signing_in.log().text());
    let spent = field(&came_back, "code").context("a code")?;
    let issuer = field(&came_back, "iss").context("an issuer")?;

    // A code that was redeemed, in another request.
    let (mut replay, page) = place.sign_in(ALICE, "sso")?;
    let (back, state) = way_back(&page)?;
    let wrong = place.curl(ALICE, &[&format!("{back}?code={spent}&state=guessed&iss={issuer}")])?;
    assert!(wrong.starts_with("HTTP/1.1 400"), "another state: the Client goes on waiting: {wrong}");
    assert!(replay.is_running()?);
    place.curl(ALICE, &[&format!("{back}?code={spent}&state={state}&iss={issuer}")])?;
    assert_eq!(replay.wait(END)?.code(), Some(4), "{}", replay.log().text());

    // Mix-up: the answer names another issuer, or none where this provider always names itself.
    let redeemed = provider.redeemed(&place)?;
    for iss in ["&iss=https%3A%2F%2Fevil.example", ""] {
        let (mut mixed, page) = place.sign_in(ALICE, "sso")?;
        let (back, state) = way_back(&page)?;
        place.curl(ALICE, &[&format!("{back}?code=fresh&state={state}{iss}")])?;
        assert_eq!(mixed.wait(END)?.code(), Some(4), "{}", mixed.log().text());
    }
    assert_eq!(provider.redeemed(&place)?, redeemed, "no code went anywhere");
    let told = place.controller.log().lines_with("OpenID provider is refused");
    assert!(told.iter().any(|line| line.contains("from another issuer")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("without the issuer")), "{told:?}");

    // The user said no at the provider.
    let (mut declined, page) = place.sign_in(ALICE, "sso")?;
    let (back, state) = way_back(&page)?;
    place.curl(ALICE, &[&format!("{back}?error=access_denied&state={state}&iss={issuer}")])?;
    assert_eq!(declined.wait(END)?.code(), Some(4));
    assert!(!declined.log().lines_with("access_denied").is_empty(), "{}", declined.log().text());
    Ok(())
}

#[test]
fn redirects_of_a_provider_are_never_followed() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    let objects = provider.objects();
    place.apply(&operator, &objects)?;
    place.add_profile(&operator, ALICE, "sso")?;
    // A test of the provider reads metadata and keys anew, and says what it met.
    let test = || place.test_provider(&operator, "sso");
    let good = test()?;
    assert_eq!((good["success"].as_bool(), good.get("error")), (Some(true), None), "{good}");
    for (route, what) in [("discovery", "its metadata"), ("jwks", "its metadata")] {
        provider.attack(&place, &format!("redirect-{route}"))?;
        let told = test()?;
        assert_eq!(told["success"].as_bool(), Some(false), "{route}: {told}");
        assert!(told["error"].as_str().is_some_and(|error| error.contains(what)), "{route}: {told}");
    }
    // Nothing is kept of a test: a sign-in has to ask, and is refused as where nobody answers.
    let refused = place.refused_sign_in(ALICE, "sso")?;
    assert!(refused.contains("providerUnavailable"), "{refused}");
    provider.attack(&place, "none")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    // A Client that hears of a provider that does not answer asks again: after the second redirect its code is spent.
    for (route, code) in [("token", 5), ("userinfo", 4)] {
        let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
        provider.attack(&place, &format!("redirect-{route}"))?;
        go_through(&browser, &page, ALICE)?;
        assert_eq!(signing_in.wait(END)?.code(), Some(code), "{route}: {}", signing_in.log().text());
        provider.attack(&place, "none")?;
    }
    assert_eq!(provider.follows(&place)?, 0);
    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    go_through(&browser, &page, ALICE)?;
    assert!(signing_in.wait(END)?.success(), "{}", signing_in.log().text());
    Ok(())
}

/// Where a page sends the browser back to, and with which state.
fn way_back(page: &str) -> Result<(String, String)> {
    let back = field(page, "redirect_uri").context("a place")?.replace("%3A", ":").replace("%2F", "/");
    Ok((back, field(page, "state").context("a state")?))
}

fn field(url: &str, name: &str) -> Option<String> {
    url.split(['?', '&']).find_map(|field| field.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}
