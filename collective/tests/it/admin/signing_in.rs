//! Signing in: as existing tools do it, with and without another factor.

use ringwall_protocol::id::UserId;
use ringwall_protocol::time::UnixMillis;
use ringwall_trust::totp::Seed;
use serde_json::{Value, json};

use super::Admin;
use crate::harness::{Lab, PASSWORD};

/// The local provider as it is, to be changed and put back.
async fn local_provider(root: &Admin) -> Value {
    root.get("/identity-providers?query=local&orderBy=name&range=0-10").await.ok()["data"][0].clone()
}

fn seed(base32: &str) -> Seed {
    Seed::from_bytes(&data_encoding::BASE32_NOPAD.decode(base32.as_bytes()).expect("base32")).expect("a seed")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_founder_signs_in_and_out() {
    let lab = Lab::start().await;
    let mut root = Admin::stranger(&lab, 0);
    let answer = root.sign_in("root", "a long password").await.ok();
    assert_eq!(answer["user"]["name"], "root");
    assert_eq!(answer["user"]["needTwoFactorAuth"], false);
    assert_eq!(answer["user"]["canAccessAuditLogs"], true);
    assert_eq!(answer["user"]["privileges"][0]["type"], "All");
    let expires: jiff::Timestamp = answer["expires"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!(expires > jiff::Timestamp::now() + jiff::SignedDuration::from_mins(15), "tools refresh 15 minutes early");
    root.token = Some(answer["token"].as_str().expect("a token").to_owned());
    let again = root.get("/authorization").await.ok();
    assert_eq!((&again["token"], &again["user"]), (&answer["token"], &answer["user"]));
    assert_eq!(root.call("POST", "/authentication/logout", "null").await.status, 204);
    let reply = root.get("/sites").await;
    assert_eq!((reply.status, reply.body["id"].as_str()), (401, Some("tokenExpired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_and_users_without_roles_do_not_get_in() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let stranger = Admin::stranger(&lab, 0);
    let wrong = stranger.sign_in("root", "wrong").await;
    let unknown = stranger.sign_in("nobody", "wrong").await;
    let mut elsewhere = stranger.login("root", "a long password");
    elsewhere["providerName"] = "ldap".into();
    let elsewhere = stranger.post("/login", &elsewhere).await;
    for reply in [&wrong, &unknown, &elsewhere] {
        assert_eq!((reply.status, reply.body["id"].as_str()), (401, Some("signInRefused")));
        assert_eq!(reply.body, wrong.body);
    }
    let alice = stranger.sign_in("alice", PASSWORD).await;
    assert_eq!((alice.status, alice.body["id"].as_str()), (403, Some("forbidden")));
    for token in ["", "x", "a.b.c"] {
        let reply = Admin { token: Some(token.to_owned()), ..stranger.clone() }.get("/sites").await;
        assert_eq!(reply.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_factor_is_wanted_where_the_provider_says_so() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let mfa = root.get("/mfa-providers").await.ok()["data"][0]["id"].clone();
    let mut provider = local_provider(&root).await;
    provider["onBoarding2FA"] = json!({"mfaProviderId": mfa, "claimSuffix": "signIn"});
    let path = format!("/identity-providers/{}", provider["id"].as_str().expect("an id"));
    root.put(&path, &provider).await.ok();

    let refused = root.sign_in("root", "a long password").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaRequired")));
    let mut halfway = Admin::stranger(&lab, 0);
    let body = halfway.login("root", "a long password");
    let partial = halfway.post("/authentication", &body).await.ok();
    assert_eq!(partial["user"]["needTwoFactorAuth"], true);
    assert_eq!(partial["user"]["privileges"], json!([]));
    halfway.token = Some(partial["token"].as_str().expect("a token").to_owned());
    assert_eq!(halfway.get("/authorization").await.status, 412);
    assert_eq!(halfway.get("/sites").await.status, 412, "half a sign-in opens nothing");

    let offer = halfway.post("/authentication/otp/initialize", &json!({"userPassword": "x"})).await.ok();
    assert_eq!(offer["type"], "Secret");
    let seed = seed(offer["secret"].as_str().expect("a seed"));
    assert!(data_encoding::BASE64.decode(offer["barcode"].as_str().expect("a picture").as_bytes()).is_ok());
    let now = UnixMillis(u64::try_from(jiff::Timestamp::now().as_millisecond()).expect("after 1970"));
    let right = seed.code(now);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let refused = halfway.post("/authentication/otp", &json!({"otp": wrong})).await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaRefused")));
    let done = halfway.post("/authentication/otp", &json!({"otp": right})).await.ok();
    assert_eq!((&done["token"], &done["user"]["needTwoFactorAuth"]), (&partial["token"], &json!(false)));
    halfway.get("/authorization").await.ok();
    halfway.get("/sites").await.ok();

    let again = halfway.post("/authentication", &body).await.ok();
    let second = Admin { token: Some(again["token"].as_str().expect("a token").to_owned()), ..halfway.clone() };
    assert_eq!(second.post("/authentication/otp/initialize", &json!({})).await.ok()["type"], "AlreadySeeded");
    for _ in 0..3 {
        assert_eq!(second.post("/authentication/otp", &json!({"otp": right})).await.status, 401, "a code counts once");
    }
    assert_eq!(second.get("/authorization").await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_cannot_prove_at_the_admin_api_is_refused_by_name() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    // A security key is touched on a page, and there is none.
    let keys = root.create("mfa-providers", json!({"name": "keys", "type": "Fido2"})).await;
    let mut provider = local_provider(&root).await;
    let path = format!("/identity-providers/{}", provider["id"].as_str().expect("an id"));
    provider["onBoarding2FA"] = json!({"mfaProviderId": keys, "claimSuffix": "signIn"});
    root.put(&path, &provider).await.ok();
    let stranger = Admin::stranger(&lab, 0);
    let refused = stranger.post("/authentication", &stranger.login("root", "a long password")).await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaUnsupported")), "{refused:?}");
    assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("another factor")), "{refused:?}");
    let wrong = stranger.post("/authentication", &stranger.login("root", "wrong")).await;
    assert_eq!(wrong.body["id"], "signInRefused", "whoever proves nothing learns nothing of it");
    // Nor does it take what a browser or a certificate proves.
    let sso =
        json!({"name": "sso", "type": "Oidc", "issuer": "https://sso.example", "audience": "x", "adminProvider": true});
    assert_eq!(root.post("/identity-providers", &sso).await.fields(), ["adminProvider"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_the_users_tokens_and_with_the_user() {
    let lab = Lab::start().await;
    let root = Admin::root(&lab).await;
    let other = Admin::root(&lab).await;
    let order = json!({"distinguishedNameFilter": "CN=root,OU=local", "tokenType": "administration", "mode": "cut"});
    root.post("/on-boarded-devices/revoke-tokens", &order).await.ok();
    for session in [&root, &other] {
        let reply = session.get("/sites").await;
        assert_eq!((reply.status, reply.body["id"].as_str()), (401, Some("tokenRevoked")));
    }
    let root = Admin::root(&lab).await;
    let role = root.get("/administrative-roles").await.ok()["data"][0]["id"].clone();
    let helper = root.create("local-users", json!({"name": "helper", "password": "another password"})).await;
    let policy = json!({"name": "helpers", "type": "Admin", "expression": "user.username == \"helper\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;
    let signed_in = Admin::signed_in(&lab, "helper", "another password").await;
    signed_in.get("/sites").await.ok();
    assert_eq!(root.delete(&format!("/local-users/{helper}")).await.status, 204);
    assert_eq!(signed_in.get("/sites").await.status, 401);
    let helper: UserId = helper.parse().expect("an id");
    assert!(lab.controller(0).replica.state().local_password(helper).is_none());
}
