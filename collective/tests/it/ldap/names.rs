//! Names as people type them, and as directories have them.

use ringwall_protocol::wire::error::ErrorCode;
use serde_json::json;

use super::{change, claims, client, scene};
use crate::devices::Captured;
use crate::servers::slapd::PASSWORD;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_found_whatever_keyboard_typed_them() {
    let (lab, _slapd, admin, _) = scene(0).await;
    for (typed, name) in [
        ("nguye\u{302}\u{303}n", "nguyễn"),
        ("NGUYỄN", "nguyễn"),
        ("王小明", "王小明"),
        ("O'Brien", "o'brien"),
        ("O\u{2019}Brien", "o'brien"),
    ] {
        assert_eq!(claims(&lab, typed).await.0["username"], name, "{typed:?}");
    }
    let blocked = json!({"userDistinguishedName": "CN=O\u{2019}BRIEN,OU=corp", "reason": "gone"});
    admin.post("/blacklist", &blocked).await.ok();
    for typed in ["o'brien", "O\u{2019}Brien"] {
        let answer = client(&lab, typed).try_sign_in(lab.client_address(0), PASSWORD).await;
        assert_eq!(answer.code(), ErrorCode::SignInRefused, "{typed}: one user, however he is written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_learn_why_a_name_is_refused_and_users_do_not() {
    let log = Captured::begin();
    let (lab, _slapd, admin, id) = scene(0).await;
    let at = lab.client_address(0);
    let wrong = client(&lab, "alice").try_sign_in(at, "a wrong password").await;
    for (typed, why) in [
        ("аlice", "the name has letters of more than one script"),
        ("alice\u{200b}", "the name has a character that names may not have: U+200B"),
        ("alice@corp.example", "to accept it, list corp.example in signInDomains"),
        ("CORP\\alice", "to accept it, list corp in signInDomains"),
        ("nobody", "has exactly this name as its uid"),
    ] {
        let answer = client(&lab, typed).try_sign_in(at, PASSWORD).await;
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body), "{typed:?}");
        assert!(log.text().contains(why), "{typed:?}");
    }
    let asked = admin.post(&format!("/identity-providers/{id}/attributes"), &json!({"username": "аlice"})).await;
    assert_eq!(asked.fields(), ["username"], "administrators are told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_a_domain_are_the_users_only_where_it_is_listed() {
    let (lab, _slapd, admin, id) = scene(0).await;
    let at = lab.client_address(0);
    let spellings = ["CORP\\alice", "corp\\Alice", "alice@corp.example", "Alice@CORP.example"];
    for typed in spellings {
        let answer = client(&lab, typed).try_sign_in(at, PASSWORD).await;
        assert_eq!(answer.code(), ErrorCode::SignInRefused, "{typed}");
    }
    change(&admin, &id, json!({"signInDomains": ["corp", "corp.example"]})).await.ok();
    for typed in spellings {
        assert_eq!(claims(&lab, typed).await.0["username"], "alice", "{typed}");
    }
    let other = client(&lab, "OTHER\\alice").try_sign_in(at, PASSWORD).await;
    assert_eq!(other.code(), ErrorCode::SignInRefused, "another domain's alice is somebody else");
    admin.post("/blacklist", &json!({"userDistinguishedName": r"CN=CORP\\alice,OU=corp", "reason": "gone"})).await.ok();
    for typed in ["alice", "alice@corp.example"] {
        assert_eq!(client(&lab, typed).try_sign_in(at, PASSWORD).await.code(), ErrorCode::SignInRefused, "{typed}");
    }
    let with_domains = change(&admin, &id, json!({"usernameAttribute": "mail"})).await;
    assert_eq!(with_domains.fields(), ["signInDomains"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_knows_the_users_of_a_directory_by_their_names() {
    let (_lab, slapd, admin, _) = scene(0).await;
    let ask = async |user: &str| admin.post("/explain", &json!({"user": user, "destination": "10.0.0.1:1"})).await;
    assert_eq!(ask("Alice").await.ok()["allowed"], false);
    let nobody = ask("ghost").await;
    assert_eq!(nobody.status, 404);
    let hint = "name the provider too, as CN=<name>,OU=<provider> (providers: corp)";
    assert!(nobody.body.to_string().contains(hint), "{nobody:?}");
    admin.create("identity-providers", slapd.provider("other")).await;
    let several = ask("alice").await;
    assert_eq!(several.status, 409);
    let text = several.body.to_string();
    assert!(text.contains("CN=alice,OU=corp") && text.contains("CN=alice,OU=other"), "{text}");
    assert_eq!(ask("CN=alice,OU=other").await.status, 200);
}
