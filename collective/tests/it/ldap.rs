//! LDAP as an identity provider, against slapd.

mod accounts;
mod groups;
mod names;

use std::sync::{Arc, Mutex};

use ringwall_protocol::id::UserId;
use ringwall_protocol::wire::error::ErrorCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::admin::Admin;
use crate::client::Client;
use crate::entitlements::grant;
use crate::harness::Lab;
use crate::mfa::condition;
use crate::servers::authority::Authority;
use crate::servers::slapd::{PASSWORD, SERVICE_PASSWORD, Slapd};

/// A Controller with one LDAP provider named `corp`.
async fn scene(others: usize) -> (Lab, Slapd, Admin, String) {
    let (lab, slapd) = (Lab::start().await, Slapd::start(others).await);
    let admin = Admin::root(&lab).await;
    let id = admin.create("identity-providers", slapd.provider("corp")).await;
    (lab, slapd, admin, id)
}

fn client(lab: &Lab, user: &str) -> Client {
    Client::new(user, lab.root).at_provider("corp")
}

/// The user claims of a sign-in that must succeed.
async fn claims(lab: &Lab, user: &str) -> (Value, Value) {
    let mut client = client(lab, user);
    let answer = client.try_sign_in(lab.client_address(0), PASSWORD).await.ok();
    client.keep(&answer);
    (serde_json::to_value(&client.claims_content().user).expect("JSON"), answer)
}

async fn change(admin: &Admin, id: &str, change: Value) -> crate::admin::caller::Reply {
    let path = format!("/identity-providers/{id}");
    let mut object = admin.get(&path).await.ok();
    object.as_object_mut().expect("an object").extend(change.as_object().expect("changes").clone());
    admin.put(&path, &object).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_proves_its_users_and_tells_their_groups() {
    let (lab, _slapd, admin, id) = scene(0).await;
    let (alice, _) = claims(&lab, "alice").await;
    assert_eq!(alice["username"], "alice");
    assert_eq!(alice["identityProvider"], "corp");
    assert_eq!(alice["lastName"], "Person");
    assert_eq!(alice["emails"], json!(["alice@corp.example", "al@corp.example"]));
    let groups = ["engineers", "everyone", "staff"];
    assert_eq!(alice["groups"], json!(groups), "groups in groups, in a ring");
    assert_eq!(alice["groupDns"][0], "cn=engineers,ou=groups,dc=corp,dc=example");
    // The same whatever the case of the name, and one user, so that a blocklist cannot be walked around.
    let (mixed, _) = claims(&lab, "MIXED.case").await;
    assert_eq!(mixed["username"], "mixed.case");
    change(&admin, &id, json!({"nestedGroups": "direct"})).await.ok();
    assert_eq!(claims(&lab, "alice").await.0["groups"], json!(["engineers"]));
    let shown = admin.get(&format!("/identity-providers/{id}")).await.ok();
    assert_eq!(shown["secretsSet"], json!(["adminPassword"]));
    assert!(!shown.to_string().contains(SERVICE_PASSWORD), "a secret is never shown");
    let asked = admin.post(&format!("/identity-providers/{id}/attributes"), &json!({"username": "Alice"})).await.ok();
    assert_eq!(asked["rawAttributes"]["cn"], json!(["alice"]));
    assert_eq!(asked["mappedAttributes"]["lastName"], "Person");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_prove_himself_hears_the_same() {
    let (lab, _slapd, admin, id) = scene(0).await;
    change(&admin, &id, json!({"userLockoutThreshold": 100})).await.ok();
    let at = lab.client_address(0);
    let long = "x".repeat(300);
    let tries: [(&str, &str); 9] = [
        ("alice", "wrong"),
        ("alice", ""),
        ("nobody", PASSWORD),
        ("*", PASSWORD),
        ("alice)(uid=*", PASSWORD),
        ("alice)(|(uid=*))", PASSWORD),
        ("al\u{0}ice", PASSWORD),
        ("аlice", PASSWORD),
        (&long, PASSWORD),
    ];
    let mut answers = Vec::new();
    for (user, password) in tries {
        answers.push(client(&lab, user).try_sign_in(at, password).await);
    }
    for (answer, (user, _)) in answers.iter().zip(tries) {
        assert_eq!(answer.code(), ErrorCode::SignInRefused, "{user}: {answer:?}");
        assert_eq!(answer.body, answers[0].body, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_are_closed_or_whose_password_ended_are_refused_and_ending_ones_warned() {
    let (lab, _slapd, _admin, _) = scene(0).await;
    let at = lab.client_address(0);
    for user in ["expired", "reset", "locked"] {
        let answer = client(&lab, user).try_sign_in(at, PASSWORD).await;
        assert_eq!(answer.code(), ErrorCode::SignInRefused, "{user}: {answer:?}");
    }
    let (_, answer) = claims(&lab, "expiring").await;
    let notice = answer["notices"][0].as_str().expect("a notice");
    assert!(notice.starts_with("Please change your password. (Time left: 1 day"), "{notice}");
    assert_eq!(claims(&lab, "alice").await.1.get("notices"), None, "nobody else is warned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_2500_users_is_searched_page_by_page() {
    let (lab, _slapd, _admin, _) = scene(2_500).await;
    assert_eq!(claims(&lab, "user2499").await.0["groups"], json!(["all"]));
    let (user, _) = claims(&lab, "user1").await;
    assert_eq!(user["groups"].as_array().expect("a list").len(), 701, "more groups than a page has");
    // Leaving groups out could let a Stop policy miss: too many are a refusal.
    let answer = client(&lab, "user2").try_sign_in(lab.client_address(0), PASSWORD).await;
    assert_eq!(answer.code(), ErrorCode::ProviderUnavailable, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_or_strange_directory_is_a_clear_refusal_and_never_a_pass() {
    let (lab, mut slapd, admin, id) = scene(0).await;
    let at = lab.client_address(0);
    let unavailable = async |what: &str| {
        let answer = client(&lab, "alice").try_sign_in(at, PASSWORD).await;
        assert_eq!((answer.status, answer.code()), (503, ErrorCode::ProviderUnavailable), "{what}: {answer:?}");
    };
    // Somebody else's authority: not this server.
    let stranger = Authority::new("stranger").pem();
    let secret = SERVICE_PASSWORD;
    change(&admin, &id, json!({"trustedCertificates": [stranger], "adminPassword": secret})).await.ok();
    unavailable("another authority").await;
    let tested = admin.get(&format!("/identity-providers/{id}")).await.ok();
    let tested = admin.post("/identity-providers/test", &tested).await.ok();
    assert_eq!(tested["success"], false);
    assert!(tested["error"].as_str().expect("a reason").contains("TLS"), "{tested}");
    change(&admin, &id, json!({"trustedCertificates": [slapd.authority.pem()], "adminPassword": "wrong"})).await.ok();
    unavailable("a wrong service password").await;
    change(&admin, &id, json!({"adminPassword": secret})).await.ok();
    let tested = admin.get(&format!("/identity-providers/{id}")).await.ok();
    assert_eq!(admin.post("/identity-providers/test", &tested).await.ok()["success"], true);
    claims(&lab, "alice").await;
    // StartTLS on the plain port, and a first server that is down.
    let start_tls = json!({"sslEnabled": false, "startTls": true, "port": slapd.plain, "adminPassword": secret,
        "hostnames": ["127.0.0.2", "127.0.0.1"]});
    change(&admin, &id, start_tls).await.ok();
    claims(&lab, "alice").await;
    slapd.stop();
    unavailable("it is down").await;
    let blocked = json!({"userDistinguishedName": "CN=alice,OU=corp", "reason": "gone"});
    admin.post("/blacklist", &blocked).await.ok();
    unavailable("blocked users hear the same").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocked_users_of_a_directory_stay_out_in_every_spelling() {
    let (lab, _slapd, admin, _) = scene(0).await;
    let at = lab.client_address(0);
    let mut alice = client(&lab, "alice");
    let answer = alice.try_sign_in(at, PASSWORD).await.ok();
    alice.keep(&answer);
    let blocked = json!({"userDistinguishedName": "CN=Alice,OU=corp", "reason": "gone"});
    admin.post("/blacklist", &blocked).await.ok();
    for user in ["alice", "ALICE", "Alice"] {
        assert_eq!(client(&lab, user).try_sign_in(at, PASSWORD).await.code(), ErrorCode::SignInRefused, "{user}");
    }
}

/// A port that forwards plain connections to `directory`, and the bytes that came to it so far.
async fn recording_proxy(directory: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((controller, _)) = listener.accept().await {
            let directory = TcpStream::connect(("127.0.0.1", directory)).await.expect("slapd listens");
            tokio::spawn(forward(controller, directory, Arc::clone(&recorded)));
        }
    });
    (port, sent)
}

async fn forward(controller: TcpStream, directory: TcpStream, sent: Arc<Mutex<Vec<u8>>>) {
    let (mut requests, mut to_controller) = controller.into_split();
    let (mut responses, mut to_directory) = directory.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut responses, &mut to_controller).await });
    let mut buffer = vec![0; 4096];
    while let Ok(length) = requests.read(&mut buffer).await {
        sent.lock().expect("no holder panics").extend_from_slice(&buffer[..length]);
        if length == 0 || to_directory.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_a_blocked_user_never_reaches_the_directory() {
    let (lab, slapd, admin, id) = scene(0).await;
    let at = lab.client_address(0);
    let (port, sent) = recording_proxy(slapd.plain).await;
    let plain = json!({"sslEnabled": false, "allowPlain": true, "port": port, "adminPassword": SERVICE_PASSWORD,
        "trustedCertificates": []});
    change(&admin, &id, plain).await.ok();
    let was_sent = |text: &str| {
        let sent = sent.lock().expect("no holder panics");
        sent.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    claims(&lab, "alice").await;
    assert!(was_sent(PASSWORD), "the proxy records the binds of users");
    let wrong = client(&lab, "Mixed.Case").try_sign_in(at, "a wrong password").await;
    assert!(was_sent("a wrong password"));

    admin.post("/blacklist", &json!({"userDistinguishedName": "CN=alice,OU=corp", "reason": "gone"})).await.ok();
    sent.lock().expect("no holder panics").clear();
    for password in [PASSWORD, "another password"] {
        let blocked = client(&lab, "alice").try_sign_in(at, password).await;
        assert_eq!(blocked.code(), ErrorCode::SignInRefused);
        assert_eq!((blocked.status, &blocked.body), (wrong.status, &wrong.body), "looks like a wrong password");
        assert!(!was_sent(password), "a blocked user's password left the Controller");
    }
    assert!(was_sent("cn=nobody-"), "the directory is asked all the same, so that it takes the same");
    assert!(!was_sent("alice"), "nor does the name leave the Controller");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewal_reads_the_directory_again() {
    let (lab, mut slapd, admin, id) = scene(0).await;
    let at = lab.client_address(0);
    let mut alice = client(&lab, "alice");
    let answer = alice.try_sign_in(at, PASSWORD).await.ok();
    alice.keep(&answer);
    let answer = alice.try_certificate(at).await.ok();
    alice.keep_certificate(&answer);
    change(&admin, &id, json!({"nestedGroups": "direct"})).await.ok();
    let renewed = alice.renew(at).await.ok();
    alice.claims = renewed["claimsToken"].as_str().map(str::to_owned);
    let groups = serde_json::to_value(alice.claims_content().user.claim("groups")).expect("JSON");
    assert_eq!(groups, json!(["engineers"]));
    change(&admin, &id, json!({"userFilter": "(objectClass=organizationalUnit)"})).await.ok();
    assert_eq!(alice.renew(at).await.code(), ErrorCode::TokenRevoked, "the directory does not know him any more");
    change(&admin, &id, json!({"userFilter": "(objectClass=inetOrgPerson)"})).await.ok();
    slapd.stop();
    let grace = alice.renew(at).await.ok();
    let former = alice.claims_content().head.exp;
    alice.claims = grace["claimsToken"].as_str().map(str::to_owned);
    let content = alice.claims_content();
    assert!(content.head.exp < former, "a short token while the directory is away");
    assert!(content.head.exp <= content.head.iat + 15 * 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_step_up_is_judged_by_the_provider_of_the_condition_only() {
    let (lab, _slapd, _admin, id) = scene(0).await;
    lab.user("alice").await;
    let at = lab.client_address(0);
    let interaction = |provider: Value| json!({"type": "PasswordAuthentication", "message": "again", "claimSuffix": "prod", "providerId": provider});
    let by_directory = condition(&lab, interaction(json!(id))).await;
    let by_own = condition(&lab, interaction(Value::Null)).await;
    grant(&lab, "alice", &[by_directory.base.id, by_own.base.id]).await;
    let mut alice = Client::new("alice", lab.root);
    alice.sign_in(at).await;
    let local = crate::harness::PASSWORD;
    let refused = crate::mfa::step_up(&lab, &alice, &by_directory, local).await;
    assert_eq!(refused.code(), ErrorCode::MfaRefused, "the local password is not the directory's");
    crate::mfa::step_up(&lab, &alice, &by_directory, PASSWORD).await.ok();
    assert_eq!(crate::mfa::step_up(&lab, &alice, &by_own, PASSWORD).await.code(), ErrorCode::MfaRefused);
    crate::mfa::step_up(&lab, &alice, &by_own, local).await.ok();
    // Two users of one name at two providers are two users.
    let (_, answer) = claims(&lab, "alice").await;
    let token: ringwall_protocol::token::ClaimsToken =
        crate::client::content(answer["claimsToken"].as_str().expect("a token"));
    let own: UserId = alice.claims_content().head.user_id;
    assert_ne!(token.head.user_id, own);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_does_not_follow_a_provider_to_other_servers() {
    let (_lab, _slapd, admin, id) = scene(0).await;
    let moved = change(&admin, &id, json!({"hostnames": ["evil.example"]})).await;
    assert_eq!(moved.fields(), ["adminPassword"], "whoever edits a provider does not learn its secret");
    let plain = change(&admin, &id, json!({"sslEnabled": false, "allowPlain": true, "trustedCertificates": []})).await;
    assert_eq!(plain.fields(), ["adminPassword"]);
    let mut tested = admin.get(&format!("/identity-providers/{id}")).await.ok();
    tested["hostnames"] = json!(["evil.example"]);
    assert_eq!(admin.post("/identity-providers/test", &tested).await.fields(), ["adminPassword"]);
    assert!(change(&admin, &id, json!({"notes": "n"})).await.ok()["notes"] == "n");
    let bad = json!({"name": "bad", "type": "Ldap", "hostnames": ["169.254.0.0/16"], "port": 0, "userFilter": "(a=b)(c=d)",
        "adminDistinguishedName": "admin", "usernameAttribute": "a)(b", "trustedCertificates": ["no PEM"]});
    let reply = admin.post("/identity-providers", &bad).await;
    let fields = reply.fields();
    for field in [
        "hostnames[0]",
        "port",
        "sslEnabled",
        "trustedCertificates",
        "adminDistinguishedName",
        "userFilter",
        "usernameAttribute",
        "adminPassword",
    ] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
}
