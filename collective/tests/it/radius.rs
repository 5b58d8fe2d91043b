//! RADIUS as an identity provider and as another factor, against FreeRADIUS.

use std::net::SocketAddr;

use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::tls::Alpn;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::admin::Admin;
use crate::client::{Answer, Client};
use crate::entitlements::grant;
use crate::harness::{Lab, PASSWORD as LOCAL_PASSWORD};
use crate::mfa::{answer_factor, condition, step_up};
use crate::servers::freeradius::{CODE, FreeRadius, PASSWORD, SECRET};

async fn scene() -> (Lab, FreeRadius, Admin) {
    let (lab, radius) = (Lab::start().await, FreeRadius::start().await);
    // A session that does not end when what the local provider wants changes.
    let admin = Admin::break_glass(&lab).await;
    (lab, radius, admin)
}

fn client(lab: &Lab, user: &str, provider: &str) -> Client {
    Client::new(user, lab.root).at_provider(provider)
}

/// A factor of this mode at every sign-in of local users.
async fn want_factor(admin: &Admin, radius: &FreeRadius, mode: &str) -> String {
    let factor = admin.create("mfa-providers", radius.factor(mode, mode)).await;
    let all = admin.get("/identity-providers?query=local").await.ok();
    let mut local = all["data"][0].clone();
    local["onBoarding2FA"] = json!({"mfaProviderId": factor, "message": "", "alwaysRequired": true});
    let id = local["id"].as_str().expect("an id").to_owned();
    admin.put(&format!("/identity-providers/{id}"), &local).await.ok();
    factor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_proves_users_by_pap_and_by_chap() {
    let (lab, radius, admin) = scene().await;
    let at = lab.client_address(0);
    for protocol in ["PAP", "CHAP"] {
        admin.create("identity-providers", radius.provider(protocol, protocol)).await;
        let mut alice = client(&lab, "Alice", protocol);
        let answer = alice.try_sign_in(at, PASSWORD).await.ok();
        alice.keep(&answer);
        let claims = serde_json::to_value(&alice.claims_content().user).expect("JSON");
        assert_eq!(claims["groups"], json!(["engineers", "staff"]), "{protocol}");
        assert_eq!((&claims["username"], &claims["identityProvider"]), (&json!("alice"), &json!(protocol)));
        for (user, password) in [("alice", "wrong"), ("nobody", PASSWORD), ("alice", ""), ("al\0ice", PASSWORD)] {
            let answer = client(&lab, user, protocol).try_sign_in(at, password).await;
            assert_eq!(answer.code(), ErrorCode::SignInRefused, "{protocol} {user}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_of_the_provider_is_answered_at_any_controller() {
    let (mut lab, radius, admin) = scene().await;
    lab.join().await;
    admin.create("identity-providers", radius.provider("corp", "PAP")).await;
    let mut carol = client(&lab, "carol", "corp");
    let wanted = carol.try_sign_in(lab.client_address(0), "her password").await;
    assert_eq!(wanted.status, 202, "{wanted:?}");
    assert_eq!(wanted.body["message"], "Type the code on your token.");
    assert_eq!(wanted.body["challenge"]["type"], "text");
    assert!(!wanted.body.to_string().contains("state"), "what the server needs again is sealed in the state");
    let wrong = answer_factor(&lab, 1, &carol, &wanted.body, "000000").await;
    assert_eq!(wrong.code(), ErrorCode::MfaRefused);
    let thief = client(&lab, "carol", "corp");
    assert_eq!(answer_factor(&lab, 1, &thief, &wanted.body, CODE).await.code(), ErrorCode::MfaRefused);
    let answer = answer_factor(&lab, 1, &carol, &wanted.body, CODE).await.ok();
    carol.keep(&answer);
    assert_eq!(carol.claims_content().head.sub.user.to_string(), "CN=carol,OU=corp");
    assert_eq!(answer_factor(&lab, 0, &carol, &wanted.body, CODE).await.code(), ErrorCode::MfaRefused, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_or_has_another_secret_is_a_clear_refusal() {
    let (lab, mut radius, admin) = scene().await;
    let at = lab.client_address(0);
    let mut wrong = radius.provider("wrong secret", "PAP");
    wrong["sharedSecret"] = json!("another secret");
    wrong["timeout"] = json!(2);
    admin.create("identity-providers", wrong.clone()).await;
    let answer = client(&lab, "alice", "wrong secret").try_sign_in(at, PASSWORD).await;
    assert_eq!((answer.status, answer.code()), (503, ErrorCode::ProviderUnavailable), "{answer:?}");
    wrong["name"] = json!("unsaved");
    let tested = admin.post("/identity-providers/test", &wrong).await.ok();
    assert_eq!(tested["success"], false, "{tested}");
    assert_eq!(admin.post("/identity-providers/test", &radius.provider("x", "PAP")).await.ok()["success"], true);
    // The second server answers when the first does not.
    let mut two = radius.provider("two", "PAP");
    two["hostnames"] = json!(["127.0.0.2", "127.0.0.1"]);
    admin.create("identity-providers", two).await;
    client(&lab, "alice", "two").try_sign_in(at, PASSWORD).await.ok();
    radius.stop();
    let answer = client(&lab, "alice", "two").try_sign_in(at, PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "{answer:?}");
}

/// A server that answers every request with an Access-Accept: authentic as RFC 2865 had it, without Message-Authenticator.
async fn forger() -> SocketAddr {
    use md5::Digest;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut request = [0; 4096];
        while let Ok((_, from)) = socket.recv_from(&mut request).await {
            let mut answer = vec![2, request[1], 0, 20];
            let mut hash = md5::Md5::new();
            hash.update(&answer);
            hash.update(&request[4..20]);
            hash.update(SECRET);
            answer.extend(hash.finalize());
            if socket.send_to(&answer, from).await.is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_message_authenticator_lets_nobody_in() {
    let (lab, radius, admin) = scene().await;
    let mut provider = radius.provider("forged", "PAP");
    provider["port"] = json!(forger().await.port());
    provider["timeout"] = json!(2);
    admin.create("identity-providers", provider.clone()).await;
    let answer = client(&lab, "alice", "forged").try_sign_in(lab.client_address(0), PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "{answer:?}");
    provider["name"] = json!("unsaved");
    let tested = admin.post("/identity-providers/test", &provider).await.ok();
    assert!(tested["error"].as_str().expect("a reason").contains("Message-Authenticator"), "{tested}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_user_is_never_named_to_the_radius_server() {
    let (lab, radius, admin) = scene().await;
    // A server that never answers; what it was sent waits in its socket.
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut provider = radius.provider("silent", "PAP");
    provider["port"] = json!(server.local_addr().expect("an address").port());
    provider["timeout"] = json!(2);
    admin.create("identity-providers", provider).await;
    admin.post("/blacklist", &json!({"userDistinguishedName": "CN=alice,OU=silent", "reason": "gone"})).await.ok();
    let answer = client(&lab, "alice", "silent").try_sign_in(lab.client_address(0), PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "as for everybody: {answer:?}");
    let mut request = [0; 4096];
    let received = tokio::time::timeout(std::time::Duration::from_secs(5), server.recv(&mut request)).await;
    let length = received.expect("in time").expect("a request");
    let was_sent = |text: &str| request[..length].windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(was_sent("nobody-") && !was_sent("alice"), "the request is about nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn radius_verifies_another_factor_in_each_of_its_modes() {
    let (lab, radius, admin) = scene().await;
    for user in ["dave", "carol", "pusher", "bypass"] {
        lab.user(user).await;
    }
    let at = lab.client_address(0);
    want_factor(&admin, &radius, "OneFactor").await;
    let dave = client(&lab, "dave", "local");
    let wanted = dave.try_sign_in(at, LOCAL_PASSWORD).await.ok();
    assert_eq!(wanted["challenge"], json!({"type": "text", "input": "Numeric"}));
    assert_eq!(answer_factor(&lab, 0, &dave, &wanted, "1").await.code(), ErrorCode::MfaRefused);
    assert_eq!(answer_factor(&lab, 0, &dave, &wanted, "").await.code(), ErrorCode::MfaRefused);
    answer_factor(&lab, 0, &dave, &wanted, CODE).await.ok();

    want_factor(&admin, &radius, "Challenge").await;
    let carol = client(&lab, "carol", "local");
    let wanted = carol.try_sign_in(at, LOCAL_PASSWORD).await.ok();
    assert_eq!(wanted["message"], "Type the code on your token.");
    answer_factor(&lab, 0, &carol, &wanted, CODE).await.ok();
    // A server that accepts the secret that everybody begins with has asked nobody.
    let bypass = client(&lab, "bypass", "local").try_sign_in(at, LOCAL_PASSWORD).await;
    assert_eq!(bypass.code(), ErrorCode::MfaRefused, "{bypass:?}");

    want_factor(&admin, &radius, "Push").await;
    let pusher = client(&lab, "pusher", "local");
    let wanted = pusher.try_sign_in(at, LOCAL_PASSWORD).await.ok();
    assert_eq!(wanted["challenge"], json!({"type": "push"}));
    answer_factor(&lab, 0, &pusher, &wanted, "").await.ok();
    let dave = client(&lab, "dave", "local");
    let wanted = dave.try_sign_in(at, LOCAL_PASSWORD).await.ok();
    assert_eq!(answer_factor(&lab, 0, &dave, &wanted, "").await.code(), ErrorCode::MfaRefused, "he did not confirm");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_worn_down_by_questions_on_another_device() {
    let (lab, radius, admin) = scene().await;
    lab.user("pusher").await;
    lab.user("dave").await;
    want_factor(&admin, &radius, "Push").await;
    let at = lab.client_address(0);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let dave = client(&lab, "dave", "local");
        let wanted = dave.try_sign_in(at, LOCAL_PASSWORD).await.ok();
        for _ in 0..3 {
            answers.push(answer_factor(&lab, 0, &dave, &wanted, "").await);
        }
    }
    let asked = answers.iter().filter(|answer| !answer.body["message"].to_string().contains("too often")).count();
    assert_eq!(asked, 5, "{answers:?}");
    // Others are not concerned.
    let pusher = client(&lab, "pusher", "local");
    let wanted = pusher.try_sign_in(at, LOCAL_PASSWORD).await.ok();
    answer_factor(&lab, 0, &pusher, &wanted, "").await.ok();
}

/// The first half of an administrator's sign-in; with the token that wants another factor, and what is said of that.
async fn halfway(lab: &Lab, login: impl FnOnce(&Admin) -> Value) -> (Admin, Value) {
    let mut half = Admin::stranger(lab, 0);
    let partial = half.post("/authentication", &login(&half)).await.ok();
    assert_eq!(partial["user"]["needTwoFactorAuth"], true);
    half.token = partial["token"].as_str().map(str::to_owned);
    let offer = half.post("/authentication/otp/initialize", &json!({})).await.ok();
    (half, offer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_give_another_factor_where_radius_is_one_of_the_two() {
    let (lab, radius, admin) = scene().await;
    let role = admin.get("/administrative-roles").await.ok()["data"][0]["id"].clone();
    let expression = "user.username in [\"carol\", \"pusher\"] || (has(user.groups) && \"staff\" in user.groups)";
    let policy = json!({"name": "helpers", "type": "Admin", "expression": expression, "administrativeRoles": [role]});
    admin.create("policies", policy).await;
    for user in ["carol", "pusher"] {
        lab.user(user).await;
    }
    want_factor(&admin, &radius, "Challenge").await;
    let (carol, offer) = halfway(&lab, |half| half.login("carol", LOCAL_PASSWORD)).await;
    assert_eq!(offer["message"], "Type the code on your token.", "{offer}");
    assert_eq!(carol.post("/authentication/otp", &json!({"otp": "000000"})).await.status, 401);
    carol.post("/authentication/otp", &json!({"otp": CODE})).await.ok();
    carol.get("/sites").await.ok();

    want_factor(&admin, &radius, "Push").await;
    let (pusher, offer) = halfway(&lab, |half| half.login("pusher", LOCAL_PASSWORD)).await;
    assert_eq!((&offer["elsewhere"], &offer["type"]), (&json!(true), &json!("AlreadySeeded")), "{offer}");
    pusher.post("/authentication/otp", &json!({"otp": ""})).await.ok();
    pusher.get("/sites").await.ok();

    // A user of the server, who is known by what it said when his password was given.
    let codes = admin.get("/mfa-providers").await.ok();
    let codes = codes["data"].as_array().and_then(|all| all.iter().find(|one| one["type"] == "DefaultTimeBased"));
    let mut corp = radius.provider("corp", "PAP");
    corp["adminProvider"] = json!(true);
    corp["onBoarding2FA"] = json!({"mfaProviderId": codes.expect("one")["id"], "message": ""});
    admin.create("identity-providers", corp).await;
    let at_corp = |half: &Admin, user: &str, password: &str| {
        let mut login = half.login(user, password);
        login["providerName"] = json!("corp");
        login
    };
    let (alice, offer) = halfway(&lab, |half| at_corp(half, "alice", PASSWORD)).await;
    assert_eq!(offer["type"], "EnrolmentCode", "the password alone enrols nothing: {offer}");
    let permit = json!({"userDistinguishedName": "CN=alice,OU=corp", "validityHours": 1});
    let permitted = admin.post("/otp/enrolments", &permit).await.ok();
    let offer = alice.post("/authentication/otp/initialize", &json!({"enrolmentCode": permitted["code"]})).await.ok();
    let secret = offer["secret"].as_str().expect("a seed at first use").as_bytes();
    let seed = data_encoding::BASE32_NOPAD.decode(secret).expect("base32");
    let seed = ringwall_trust::totp::Seed::from_bytes(&seed).expect("a seed");
    alice.post("/authentication/otp", &json!({"otp": crate::mfa::code(&seed)})).await.ok();
    alice.get("/sites").await.ok();
    // dave's password is right too, and nothing gives him a role.
    let dave = Admin::stranger(&lab, 0);
    assert_eq!(dave.post("/authentication", &at_corp(&dave, "dave", CODE)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_confirms_slowly_is_asked_once() {
    let (lab, radius, admin) = scene().await;
    let mut corp = radius.provider("corp", "PAP");
    corp["timeout"] = json!(91);
    assert_eq!(admin.post("/identity-providers", &corp).await.status, 422, "90 s are the most");
    corp["timeout"] = json!(90);
    admin.create("identity-providers", corp).await;
    client(&lab, "slow", "corp").try_sign_in(lab.client_address(0), PASSWORD).await.ok();
    assert_eq!(radius.pushes(), ["slow"], "what was sent again is the same request");

    lab.user("slow").await;
    let mut factor = radius.factor("telephone", "Push");
    factor["timeout"] = json!(40);
    let factor = admin.create("mfa-providers", factor).await;
    let all = admin.get("/identity-providers?query=local").await.ok();
    let mut local = all["data"][0].clone();
    local["onBoarding2FA"] = json!({"mfaProviderId": factor, "message": "", "alwaysRequired": true});
    let id = local["id"].as_str().expect("an id").to_owned();
    admin.put(&format!("/identity-providers/{id}"), &local).await.ok();
    let slow = client(&lab, "slow", "local");
    let wanted = slow.try_sign_in(lab.client_address(0), LOCAL_PASSWORD).await.ok();
    answer_factor(&lab, 0, &slow, &wanted, "").await.ok();
    assert_eq!(radius.pushes(), ["slow", "slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_does_not_confirm_is_not_asked_again_by_another_controller() {
    let (lab, radius, admin) = scene().await;
    // A server that waits for somebody; what it was sent waits in its sockets.
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut provider = radius.provider("patient", "PAP");
    provider["port"] = json!(server.local_addr().expect("an address").port());
    provider["timeout"] = json!(16);
    admin.create("identity-providers", provider).await;
    let answer = client(&lab, "alice", "patient").try_sign_in(lab.client_address(0), PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "{answer:?}");
    assert_eq!(answer.body["retryable"], false, "a program does not try again: {answer:?}");
    let (mut requests, mut request) = (Vec::new(), [0; 4096]);
    while let Ok((length, from)) = server.try_recv_from(&mut request) {
        requests.push((request[..length].to_vec(), from));
    }
    assert!(requests.len() > 2, "it was sent again");
    assert!(requests.iter().all(|one| *one == requests[0]), "with the same identifier, authenticator and port");
}

async fn finish_step_up(lab: &Lab, at: usize, client: &Client, wanted: &Value, answer: &str) -> Answer {
    let body = json!({"transaction": wanted["transaction"], "answer": answer, "keyThumbprint": client.thumbprint(),
        "claimsToken": client.claims});
    client.post(lab.client_address(at), Alpn::Client, "/client/v1/step-up/mfa", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_up_may_take_a_challenge_and_is_bound_to_its_session() {
    let (lab, radius, admin) = scene().await;
    for user in ["carol", "dave"] {
        lab.user(user).await;
    }
    let factor = admin.create("mfa-providers", radius.factor("challenge", "Challenge")).await;
    let interaction =
        json!({"type": "OtpAuthentication", "message": "code", "claimSuffix": "prod", "providerId": factor});
    let condition = condition(&lab, interaction).await;
    grant(&lab, "carol", &[condition.base.id]).await;
    let at = lab.client_address(0);
    let mut carol = Client::new("carol", lab.root);
    carol.sign_in(at).await;
    let wanted = step_up(&lab, &carol, &condition, "").await;
    assert_eq!(wanted.status, 202, "{wanted:?}");
    let mut dave = Client::new("dave", lab.root);
    dave.sign_in(at).await;
    let stolen = finish_step_up(&lab, 0, &dave, &wanted.body, CODE).await;
    assert_eq!(stolen.code(), ErrorCode::MfaRefused, "the transaction is another session's");
    let answer = finish_step_up(&lab, 0, &carol, &wanted.body, CODE).await.ok();
    carol.claims = answer["claimsToken"].as_str().map(str::to_owned);
    assert!(carol.claims_content().step_ups.contains_key("prod"));
    assert_eq!(finish_step_up(&lab, 0, &carol, &wanted.body, CODE).await.code(), ErrorCode::MfaRefused, "once");
}
