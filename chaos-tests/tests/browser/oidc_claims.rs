//! Providers that write claims their own way, and those that leave groups out of a token.

use std::time::Duration;

use anyhow::Result;
use ringwall_chaos_tests::lab::browser::Browser;

use crate::{
    place::{ALICE, Place},
    provider::{Provider, go_through},
};

const END: Duration = Duration::from_secs(40);

#[test]
fn a_provider_that_writes_claims_its_own_way_signs_users_in() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    // An address names a user only where the provider verified it; this one says so with a text.
    let objects = provider.objects().replace("usernameClaim: preferred_username", "usernameClaim: email");
    place.apply(&operator, &objects)?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    for way in ["none", "several-audiences", "no-auth-time"] {
        provider.attack(&place, way)?;
        let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
        go_through(&browser, &page, "alice")?;
        assert!(signing_in.wait(END)?.success(), "{way}: {}", signing_in.log().text());
    }
    let devices = operator.read(&["device", "list"])?;
    assert_eq!(devices.as_array().map(Vec::len), Some(1), "{devices}");
    let dn = devices[0]["distinguishedName"].as_str().unwrap_or_default();
    assert!(dn.ends_with(",CN=alice@corp.example,OU=sso"), "{dn}");
    Ok(())
}

#[test]
fn groups_that_a_provider_leaves_out_sign_nobody_in_with_fewer() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, ALICE)?;
    for (way, why) in
        [("overage", "only points to it"), ("has-groups", "only points to it"), ("many-groups", "has 1001 values")]
    {
        provider.attack(&place, way)?;
        let audited = place.controller.log().lines_with("authentication_failed").len();
        let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
        go_through(&browser, &page, "alice")?;
        assert_eq!(signing_in.wait(END)?.code(), Some(4), "{way}: {}", signing_in.log().text());
        let told = place.controller.log().lines_with("OpenID provider is refused");
        assert!(told.last().is_some_and(|line| line.contains(why)), "{way}: the operator reads {told:?}");
        let events = place.controller.log().lines_with("authentication_failed");
        assert_eq!(events.len(), audited + 1, "{way}");
        assert!(events[audited].contains(why) && events[audited].contains("CN=alice,OU=sso"), "{}", events[audited]);
    }
    assert_eq!(operator.read(&["device", "list"])?, serde_json::json!([]));
    provider.attack(&place, "none")?;
    let (mut signing_in, page) = place.sign_in(ALICE, "sso")?;
    go_through(&browser, &page, "alice")?;
    assert!(signing_in.wait(END)?.success(), "refusals lock nobody out: {}", signing_in.log().text());
    Ok(())
}
