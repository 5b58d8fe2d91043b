//! Another factor: at sign-in and for a condition.

use ringwall_protocol::claims::StepUpKind;
use ringwall_protocol::id::UserId;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::policy::Condition;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::totp::PutTotpSeed;
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::tls::Alpn;
use ringwall_trust::totp::Seed;
use serde_json::{Value, json};

use crate::admin::caller::Admin;
use crate::client::{Answer, Client};
use crate::entitlements::grant;
use crate::harness::{Lab, PASSWORD};

/// Gives a user a seed; answers it.
pub(crate) async fn enrol(lab: &Lab, user: UserId) -> Seed {
    let seed = Seed::generate(&SystemRandom);
    let purpose = ringwall_collective::Purpose::TotpSeed(user);
    let sealed = lab.controller(0).vault.seal(purpose, seed.expose());
    let dn = "CN=alice,OU=local".parse().expect("a DN");
    lab.controller(0).replica.change(PutTotpSeed { user, dn, seed: sealed }).await.expect("enrolled");
    seed
}

pub(crate) async fn want_factor(lab: &Lab, always: bool) {
    let state = lab.controller(0).replica.state();
    let factor = state.mfa_providers().next().expect("a provider").base.id;
    let mut provider = serde_json::to_value(state.local_provider().expect("a provider")).expect("JSON");
    provider["onBoarding2FA"] = json!({ "mfaProviderId": factor, "message": "code?", "alwaysRequired": always });
    lab.put::<IdentityProvider>(provider).await;
}

pub(crate) fn code(seed: &Seed) -> String {
    seed.code(ringwall_collective::now())
}

pub(crate) async fn answer_factor(lab: &Lab, at: usize, client: &Client, wanted: &Value, code: &str) -> Answer {
    let body = json!({
        "transaction": wanted["transaction"], "answer": code, "keyThumbprint": client.thumbprint(),
    });
    client.post(lab.client_address(at), Alpn::SignIn, "/client/v1/sign-in/mfa", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_factor_wanted_once_registers_the_device_and_is_not_asked_again() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    want_factor(&lab, false).await;
    let at = lab.client_address(0);
    let mut alice = Client::new("alice", lab.root);
    let wanted = alice.try_sign_in(at, PASSWORD).await;
    assert_eq!(wanted.status, 202, "{wanted:?}");
    assert_eq!(answer_factor(&lab, 0, &alice, &wanted.body, "000000").await.code(), ErrorCode::MfaRefused);
    let mut thief = Client::new("alice", lab.root);
    thief.device = alice.device;
    let stolen = answer_factor(&lab, 0, &thief, &wanted.body, &code(&seed)).await;
    assert_eq!(stolen.code(), ErrorCode::MfaRefused, "the transaction is bound to the key");
    let answer = answer_factor(&lab, 0, &alice, &wanted.body, &code(&seed)).await.ok();
    alice.keep(&answer);
    let claims = alice.claims_content();
    assert_eq!(claims.step_ups["onBoarding"].kind, StepUpKind::Otp);
    let again = answer_factor(&lab, 0, &alice, &wanted.body, &code(&seed)).await;
    assert_eq!(again.code(), ErrorCode::MfaRefused, "one answer mints once");
    assert_eq!(alice.try_sign_in(at, PASSWORD).await.status, 200, "the registered device is not asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocklist_during_mfa_voids_the_sign_in() {
    let lab = Lab::start().await;
    let root = Admin::break_glass(&lab).await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    want_factor(&lab, true).await;
    let at = lab.client_address(0);
    let alice = Client::new("alice", lab.root);
    let wanted = alice.try_sign_in(at, PASSWORD).await.ok();
    let dn: ringwall_protocol::name::UserDn = "CN=alice,OU=local".parse().expect("a DN");
    root.block(&dn.to_string()).await;
    let answer = answer_factor(&lab, 0, &alice, &wanted, &code(&seed)).await;
    assert_eq!(answer.code(), ErrorCode::SignInRefused);
    // Let in again: what was begun before the revocation stays void, because its index is older.
    let alice = Client::new("alice", lab.root);
    root.unblock(&dn.to_string()).await;
    let wanted = alice.try_sign_in(at, PASSWORD).await.ok();
    root.block(&dn.to_string()).await;
    root.unblock(&dn.to_string()).await;
    lab.controller(0)
        .replica
        .change(PutTotpSeed {
            user,
            dn: dn.clone(),
            seed: lab.controller(0).vault.seal(ringwall_collective::Purpose::TotpSeed(user), seed.expose()),
        })
        .await
        .expect("the spent step is forgotten");
    let answer = answer_factor(&lab, 0, &alice, &wanted, &code(&seed)).await;
    assert_eq!(answer.code(), ErrorCode::TokenRevoked, "{answer:?}");
}

pub(crate) async fn condition(lab: &Lab, interaction: Value) -> Condition {
    lab.put(json!({
        "id": uuid::Uuid::new_v4(), "name": format!("condition {}", uuid::Uuid::new_v4()),
        "expression": "hasMfa(\"prod\", 60)", "remedyMethods": [interaction],
    }))
    .await
}

pub(crate) async fn step_up(lab: &Lab, client: &Client, condition: &Condition, answer: &str) -> Answer {
    let body = json!({
        "claimsToken": client.claims, "conditionId": condition.base.id, "interactionIndex": 0,
        "promptId": uuid::Uuid::new_v4(), "answer": answer,
    });
    client.post(lab.client_address(0), Alpn::Client, "/client/v1/step-up", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_codes_do_not_keep_the_right_one_out_and_blanks_in_it_do_not_matter() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    let otp = condition(&lab, json!({ "type": "OtpAuthentication", "message": "code?", "claimSuffix": "prod" })).await;
    grant(&lab, "alice", &[otp.base.id]).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    for _ in 0..4 {
        let wrong = step_up(&lab, &alice, &otp, "12345").await;
        assert_eq!(wrong.code(), ErrorCode::MfaRefused, "{wrong:?}");
        assert!(!wrong.body["message"].to_string().contains("too many"), "{wrong:?}");
    }
    let right = code(&seed);
    let typed = format!("{} {}-", &right[..3], &right[3..]);
    let answer = step_up(&lab, &alice, &otp, &typed).await.ok();
    alice.claims = answer["claimsToken"].as_str().map(str::to_owned);
    assert!(alice.claims_content().step_ups.contains_key("prod"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn step_up_cannot_choose_its_provider() {
    let lab = Lab::start().await;
    let user = lab.user("alice").await;
    let seed = enrol(&lab, user).await;
    let otp = condition(&lab, json!({ "type": "OtpAuthentication", "message": "code?", "claimSuffix": "prod" })).await;
    let foreign =
        condition(&lab, json!({ "type": "PasswordAuthentication", "message": "?", "claimSuffix": "prod" })).await;
    grant(&lab, "alice", &[otp.base.id]).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    // A condition that no entitlement of hers uses gives her nothing, whatever she proves for it.
    assert_eq!(step_up(&lab, &alice, &foreign, PASSWORD).await.code(), ErrorCode::NotEntitled);
    // And no field of the request names a provider.
    let body = json!({
        "claimsToken": alice.claims, "conditionId": otp.base.id, "interactionIndex": 0,
        "promptId": uuid::Uuid::new_v4(), "answer": PASSWORD, "kind": "password", "providerId": uuid::Uuid::new_v4(),
    });
    let chosen = alice.post(lab.client_address(0), Alpn::Client, "/client/v1/step-up", &body).await;
    assert_eq!(chosen.code(), ErrorCode::Invalid);
    assert_eq!(step_up(&lab, &alice, &otp, PASSWORD).await.code(), ErrorCode::MfaRefused);
    let answer = step_up(&lab, &alice, &otp, &code(&seed)).await.ok();
    alice.claims = answer["claimsToken"].as_str().map(str::to_owned);
    let proof = &alice.claims_content().step_ups["prod"];
    assert_eq!((proof.kind, proof.condition_id), (StepUpKind::Otp, Some(otp.base.id)));
    assert_eq!(step_up(&lab, &alice, &otp, &code(&seed)).await.code(), ErrorCode::MfaRefused, "a code counts once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_answers_a_password_interaction() {
    let lab = Lab::start().await;
    lab.user("alice").await;
    let again =
        condition(&lab, json!({ "type": "PasswordAuthentication", "message": "again?", "claimSuffix": "again" })).await;
    grant(&lab, "alice", &[again.base.id]).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(lab.client_address(0)).await;
    assert_eq!(step_up(&lab, &alice, &again, "wrong").await.code(), ErrorCode::MfaRefused);
    let answer = step_up(&lab, &alice, &again, PASSWORD).await.ok();
    alice.claims = answer["claimsToken"].as_str().map(str::to_owned);
    assert_eq!(alice.claims_content().step_ups["again"].kind, StepUpKind::Password);
}
