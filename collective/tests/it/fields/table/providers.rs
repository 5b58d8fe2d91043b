//! Providers at which a certificate, a RADIUS server or an OpenID provider proves users, and RADIUS as another factor.

use serde_json::json;

use super::{Entry, refused, seen, tested};
use crate::fields::look::Look::{Radius, RadiusFactor};

pub(in crate::fields) fn entries() -> Vec<Entry> {
    [certificates(), radius(), factor(), openid()].concat()
}

fn certificates() -> Vec<Entry> {
    let test = "a_certificate_and_its_key_prove_a_user_on_this_connection_only";
    vec![
        tested("IdentityProvider:Certificate.caCertificates[]", test),
        tested("IdentityProvider:Certificate.revocationLists[]", test),
        tested("IdentityProvider:Certificate.usernameFrom", "a_user_signs_in_with_a_certificate_and_its_key"),
    ]
}

fn radius() -> Vec<Entry> {
    let see = |field, change| seen(field, "radius", Radius, change);
    vec![
        see("IdentityProvider:Radius.hostnames[]", json!({"hostnames": ["127.0.0.3"]})),
        see("IdentityProvider:Radius.port", json!({"port": 9})),
        see("IdentityProvider:Radius.authenticationProtocol", json!({"authenticationProtocol": "CHAP"})),
        see("IdentityProvider:Radius.timeout", json!({"timeout": 4})),
        tested(
            "IdentityProvider:Radius.sharedSecret",
            "a_server_that_is_down_or_has_another_secret_is_a_clear_refusal",
        ),
    ]
}

fn factor() -> Vec<Entry> {
    let wanted =
        || json!({"onBoarding2FA": {"mfaProviderId": {"$id": "factor"}, "message": "", "alwaysRequired": true}});
    let see = |field, change| seen(field, "factor", RadiusFactor, change).given("provider", wanted());
    let modes = "radius_verifies_another_factor_in_each_of_its_modes";
    vec![
        see("MfaProvider:Radius.hostnames[]", json!({"hostnames": ["127.0.0.3"]})),
        see("MfaProvider:Radius.port", json!({"port": 9})),
        see("MfaProvider:Radius.authenticationProtocol", json!({"authenticationProtocol": "CHAP"})),
        see("MfaProvider:Radius.timeout", json!({"timeout": 4})),
        see("MfaProvider:Radius.inputType", json!({"inputType": "Text"})),
        refused("MfaProvider:Radius.inputType", "factor", "inputType", json!({"inputType": "Text"}))
            .given("factor", json!({"mode": "Push", "inputType": "Masked"})),
        see("MfaProvider:Radius.mode", json!({"mode": "Push", "inputType": "Masked"})),
        tested("MfaProvider:Radius.sharedSecret", modes),
        tested("MfaProvider:Radius.challengeSharedSecret", modes),
    ]
}

/// At a real OpenID provider, with a browser.
fn openid() -> Vec<Entry> {
    let sign_in = "a_user_signs_in_with_a_browser_at_an_openid_provider";
    vec![
        tested("IdentityProvider:Oidc.issuer", sign_in),
        tested("IdentityProvider:Oidc.audience", sign_in),
        tested("IdentityProvider:Oidc.scope", sign_in),
        tested("IdentityProvider:Oidc.usernameClaim", sign_in),
        tested("IdentityProvider:Oidc.userInfo", "redirects_of_a_provider_are_never_followed"),
        tested("IdentityProvider:Oidc.trustedCertificates[]", sign_in),
        tested("IdentityProvider:Oidc.clientSecret", sign_in),
    ]
}
