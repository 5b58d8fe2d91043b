//! Sign-ins at providers that write their tokens loosely: real signed tokens, verified as a Controller does.

use serde_json::{Value, json};

use super::claims::{Incomplete, NoUser, ProviderClaims, user};
use super::fuzz::{GOOD, NOW, PUBLISHED, provider, redeemed, request, signed};
use super::redeem::Redeemed;
use super::request::BrowserRequest;
use ringwall_protocol::time::UnixMillis;

/// Claims that count, with some of them changed; `null` takes one away.
fn claims(changed: Value) -> Value {
    let mut claims: Value = serde_json::from_str(GOOD).expect("claims");
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in changed.as_object().expect("an object") {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn answer(changed: Value) -> Value {
    let token = signed(&json!({"alg": "EdDSA", "kid": "1", "typ": "JWT"}), &claims(changed));
    json!({"access_token": "x", "token_type": "Bearer", "expires_in": "3599", "id_token": token})
}

fn outcome(changed: Value, request: &BrowserRequest) -> Result<ProviderClaims, String> {
    match redeemed(answer(changed), &PUBLISHED, request).expect("an answer") {
        Redeemed::Claims(proved) => Ok(proved),
        Redeemed::Refused(why) => Err(why),
        Redeemed::UnknownKey(_) => Err("unknown key".to_owned()),
    }
}

fn accepted(changed: Value) -> ProviderClaims {
    outcome(changed, &request()).unwrap_or_else(|why| panic!("{why}"))
}

fn refused(changed: Value) -> String {
    outcome(changed.clone(), &request()).err().unwrap_or_else(|| panic!("accepted: {changed}"))
}

#[test]
fn claims_that_nobody_uses_may_have_any_type() {
    for changed in [
        json!({"updated_at": "2024-05-01T09:30:00.000Z"}),
        json!({"updated_at": {"seconds": 1}, "email_verified": "true", "phone_number_verified": "no"}),
        json!({"address": "one line", "locale": 7, "birthdate": {"year": 1980}, "picture": [], "name#ja": 1}),
        json!({"amr": "pwd", "acr": 1, "c_hash": 5, "auth_time": null, "at_hash": null}),
        json!({"auth_time": "yesterday"}),
        json!({"aud": ["ringwall"]}),
        json!({"exp": 4_102_444_800.5, "iat": 1_780_300_700.25}),
    ] {
        let proved = accepted(changed.clone());
        let (provider, settings) = provider("sub");
        let user = user(&provider, &settings, &proved).unwrap_or_else(|why| panic!("{changed}: {why}"));
        assert_eq!(user.name.as_str(), "A-1");
    }
}

#[test]
fn claims_that_decide_have_the_type_of_the_standard() {
    for (changed, why) in [
        (json!({"iss": null}), "iss"),
        (json!({"iss": "https://sso.example/"}), "issuer"),
        (json!({"sub": 7}), "sub"),
        (json!({"sub": ""}), "sub"),
        (json!({"aud": null}), "aud"),
        (json!({"aud": 7}), "aud"),
        (json!({"aud": ["ringwall", 7]}), "aud"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": "another"}), "audience"),
        (json!({"exp": "4102444800"}), "exp"),
        (json!({"exp": NOW.seconds()}), "expired"),
        (json!({"iat": null}), "iat"),
        (json!({"iat": "1780300700"}), "iat"),
        (json!({"iat": NOW.seconds() + 121}), "from the future"),
        (json!({"nonce": null}), "nonce"),
        (json!({"nonce": "another"}), "nonce"),
        (json!({"at_hash": "AAAA"}), "access token"),
        (json!({"at_hash": 7}), "access token"),
    ] {
        let told = refused(changed.clone());
        assert!(told.contains(why), "{changed}: {told}");
    }
}

#[test]
fn one_of_several_audiences_must_be_the_authorized_party() {
    let several = json!(["another", "ringwall"]);
    accepted(json!({"aud": several, "azp": "ringwall"}));
    accepted(json!({"azp": "ringwall"}));
    assert!(refused(json!({"aud": several})).contains("azp"));
    for party in [json!("another"), json!(7), json!(["ringwall"])] {
        assert!(refused(json!({"aud": several, "azp": party})).contains("another party"));
        assert!(refused(json!({"azp": party})).contains("another party"));
    }
}

#[test]
fn the_time_of_authentication_matters_where_it_was_asked_for() {
    let asked = BrowserRequest { fresh_since: Some(NOW), ..request() };
    let at = NOW.seconds();
    for auth_time in [json!(at), json!(at.to_string()), json!(at - 119)] {
        assert!(outcome(json!({"auth_time": auth_time}), &asked).is_ok(), "{auth_time}");
    }
    for auth_time in [Value::Null, json!("now"), json!(at - 121), json!(true), json!((at - 121).to_string())] {
        let told = outcome(json!({"auth_time": auth_time}), &asked).expect_err("refused");
        assert!(told.contains("anew"), "{auth_time}: {told}");
    }
    let long_ago = BrowserRequest { fresh_since: Some(UnixMillis(0)), ..request() };
    assert!(outcome(json!({"auth_time": 1}), &long_ago).is_ok());
}

#[test]
fn only_a_signed_id_token_of_the_providers_keys_counts() {
    let verdict = |header: Value| {
        let token = signed(&header, &claims(json!({})));
        redeemed(json!({"access_token": "x", "id_token": token}), &PUBLISHED, &request()).expect("an answer")
    };
    assert!(matches!(verdict(json!({"alg": "EdDSA"})), Redeemed::Claims(_)), "the provider has one key");
    assert!(matches!(verdict(json!({"alg": "EdDSA", "kid": "2"})), Redeemed::UnknownKey(_)));
    for header in [
        json!({"alg": "EdDSA", "kid": "1", "typ": "at+jwt"}),
        json!({"alg": "EdDSA", "kid": "1", "cty": "JWT"}),
        json!({"alg": "EdDSA", "kid": "1", "crit": ["exp"]}),
        json!({"alg": "none"}),
        json!({"alg": "HS256", "kid": "1"}),
        json!({"alg": "A256GCM", "kid": "1"}),
        json!({"alg": 7}),
        json!(["EdDSA"]),
    ] {
        assert!(matches!(verdict(header.clone()), Redeemed::Refused(_)), "{header}");
    }
    let none = redeemed(json!({"access_token": "x"}), &PUBLISHED, &request()).expect("an answer");
    assert!(matches!(none, Redeemed::Refused(_)));
}

#[test]
fn groups_that_a_provider_only_points_to_are_not_taken_for_none() {
    let sources = json!({"src1": {"endpoint": "https://graph.example/me/getMemberObjects"}});
    for pointer in [
        json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": sources}),
        json!({"groups": null, "hasgroups": true}),
        json!({"groups": "src1", "_claim_sources": sources}),
    ] {
        let (provider, settings) = provider("sub");
        match user(&provider, &settings, &accepted(pointer.clone())) {
            Err(NoUser::Incomplete { name, why: Incomplete::LeftOut(claim) }) => {
                assert_eq!((name.as_str(), claim.as_str()), ("A-1", "groups"));
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }
}
