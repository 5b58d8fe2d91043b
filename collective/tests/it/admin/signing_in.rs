//! Signing in: as existing tools do it, with and without another factor.

use ringwall_protocol::id::UserId;
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

/// Administrators of the local provider need a one-time password from now on; `root` has a seed.
async fn want_one_time_passwords(root: &Admin) -> Seed {
    let made = root.post("/otp/seeds", &json!({"userDistinguishedName": "CN=root,OU=local"})).await.ok();
    let mfa = root.get("/mfa-providers").await.ok()["data"][0]["id"].clone();
    let mut provider = local_provider(root).await;
    provider["onBoarding2FA"] = json!({"mfaProviderId": mfa, "claimSuffix": "signIn"});
    root.put(&format!("/identity-providers/{}", provider["id"].as_str().expect("an id")), &provider).await.ok();
    seed(made["secret"].as_str().expect("a seed"))
}

fn code(seed: &Seed) -> String {
    seed.code(ringwall_collective::now())
}

fn another(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

/// Half a sign-in of an administrator: the password was right.
async fn halfway(lab: &Lab, user: &str, password: &str) -> Admin {
    let mut halfway = Admin::stranger(lab, 0);
    let body = halfway.login(user, password);
    let partial = halfway.post("/authentication", &body).await.ok();
    assert_eq!((&partial["user"]["needTwoFactorAuth"], &partial["user"]["privileges"]), (&json!(true), &json!([])));
    halfway.token = Some(partial["token"].as_str().expect("a token").to_owned());
    halfway
}

#[tokio::test(flavor = "multi_thread")]
async fn another_factor_is_wanted_where_the_provider_says_so() {
    let lab = Lab::start().await;
    let root = Admin::break_glass(&lab).await;
    let seed = want_one_time_passwords(&root).await;

    let refused = root.sign_in("root", "a long password").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaRequired")));
    let first = halfway(&lab, "root", "a long password").await;
    assert_eq!(first.get("/authorization").await.status, 412);
    assert_eq!(first.get("/sites").await.status, 412, "half a sign-in opens nothing");
    let offer = first.post("/authentication/otp/initialize", &json!({"userPassword": "x"})).await.ok();
    assert_eq!((&offer["type"], &offer["secret"]), (&json!("AlreadySeeded"), &Value::Null));
    let right = code(&seed);
    let refused = first.post("/authentication/otp", &json!({"otp": another(&right)})).await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaRefused")));
    let done = first.post("/authentication/otp", &json!({"otp": right})).await.ok();
    assert_eq!((done["token"].as_str(), &done["user"]["needTwoFactorAuth"]), (first.token.as_deref(), &json!(false)));
    first.get("/authorization").await.ok();
    first.get("/sites").await.ok();

    let second = halfway(&lab, "root", "a long password").await;
    for _ in 0..3 {
        assert_eq!(second.post("/authentication/otp", &json!({"otp": right})).await.status, 401, "a code counts once");
    }
    assert_eq!(second.get("/authorization").await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_alone_never_enrols_another_factor() {
    let lab = Lab::start().await;
    let root = Admin::break_glass(&lab).await;
    want_one_time_passwords(&root).await;
    let role = root.get("/administrative-roles").await.ok()["data"][0]["id"].clone();
    root.create("local-users", json!({"name": "helper", "password": "another password"})).await;
    let policy = json!({"name": "helpers", "type": "Admin", "expression": "user.username == \"helper\"", "administrativeRoles": [role]});
    root.create("policies", policy).await;

    let thief = halfway(&lab, "helper", "another password").await;
    let offer = thief.post("/authentication/otp/initialize", &json!({})).await.ok();
    assert_eq!(
        (&offer["type"], &offer["secret"], &offer["otpAuthUrl"]),
        (&json!("EnrolmentCode"), &Value::Null, &Value::Null)
    );
    assert_eq!(root.get("/otp/seeds?query=helper").await.ok()["data"], json!([]), "nothing was kept");
    let permit = json!({"userDistinguishedName": "CN=helper,OU=local", "validityHours": 2});
    let code_of = |answer: &Value| answer["code"].as_str().expect("a code").to_owned();
    let void = code_of(&root.post("/otp/enrolments", &permit).await.ok());
    let enrolment = code_of(&root.post("/otp/enrolments", &permit).await.ok());
    for wrong in ["", "nonsense", void.as_str()] {
        let refused = thief.post("/authentication/otp/initialize", &json!({"enrolmentCode": wrong})).await;
        assert_eq!((refused.status, refused.body["id"].as_str()), (401, Some("mfaRefused")), "{wrong:?}");
    }
    let left = thief.post("/authentication/otp/initialize", &json!({"enrolmentCode": enrolment})).await;
    assert_eq!(left.status, 401, "three tries are spent");

    let helper = halfway(&lab, "helper", "another password").await;
    let offer = helper.post("/authentication/otp/initialize", &json!({"enrolmentCode": enrolment})).await.ok();
    assert_eq!(offer["type"], "Secret");
    assert!(data_encoding::BASE64.decode(offer["barcode"].as_str().expect("a picture").as_bytes()).is_ok());
    let seed = seed(offer["secret"].as_str().expect("a seed"));
    // Until it is proved, the seed counts nowhere.
    let elsewhere = halfway(&lab, "helper", "another password").await;
    assert_eq!(elsewhere.post("/authentication/otp", &json!({"otp": code(&seed)})).await.status, 401);
    assert_eq!(root.get("/otp/seeds?query=helper").await.ok()["data"][0]["verified"], json!(false));
    assert_eq!(helper.post("/authentication/otp", &json!({"otp": another(&code(&seed))})).await.status, 401);
    helper.post("/authentication/otp", &json!({"otp": code(&seed)})).await.ok();
    helper.get("/sites").await.ok();
    let listed = root.get("/otp/seeds?query=helper").await.ok()["data"][0].clone();
    assert_eq!(
        (&listed["verified"], &listed["mayEnrolUntil"]),
        (&json!(true), &Value::Null),
        "a proved seed is listed"
    );
    let again = halfway(&lab, "helper", "another password").await;
    let spent = again.post("/authentication/otp/initialize", &json!({"enrolmentCode": enrolment})).await;
    assert_eq!(spent.status, 401, "a code enrols once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_cannot_prove_at_the_admin_api_is_refused_by_name() {
    let lab = Lab::start().await;
    let root = Admin::break_glass(&lab).await;
    // A security key is touched on a page, and there is none.
    let keys = root.create("mfa-providers", json!({"name": "keys", "type": "Fido2"})).await;
    let mut provider = local_provider(&root).await;
    let path = format!("/identity-providers/{}", provider["id"].as_str().expect("an id"));
    provider["onBoarding2FA"] = json!({"mfaProviderId": keys, "claimSuffix": "signIn"});
    let refused = root.put(&path, &provider).await;
    assert_eq!(refused.status, 409, "nobody could administer: {refused:?}");
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
