//! The first files of the corpora: links, messages and tokens as other programs make them.

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use ringwall_protocol::token::TokenBody;
use serde_json::json;

use super::replay::Seeds;
use crate::held_token::tests::{KEY, claims_token, entitlement_token};

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    assert_eq!(super::texts::HOLDER.key, KEY, "tokens of tests are for the same device");
    vec![
        ("browser", browser()),
        ("dns_message", dns_messages()),
        ("dns_plan", dns_plans()),
        ("held_token", tokens()),
        ("local_request", requests()),
        ("pending_queries", queries()),
        ("profile_link", links()),
        ("resolv_conf", files()),
    ]
}

fn links() -> Files {
    let (root, key) = ("8d1f0fdc3bd0f4d2d2f4a4a5c31ef1b0f9a2a9a7b5c9d3e1f0a1b2c3d4e5f607", "A".repeat(43));
    let link = |host: &str, more: serde_json::Value| {
        let mut body = json!({"profileName": "work", "caFingerprint": root, "identityProviderName": "local"});
        let fields = more.as_object().expect("fields").clone();
        body.as_object_mut().expect("fields").extend(fields);
        format!("ringwall://{host}/{}", BASE64URL_NOPAD.encode(body.to_string().as_bytes())).into_bytes()
    };
    let spa = json!({"mode": "UDP-TCP", "name": "work", "key": key});
    vec![
        ("plain", link("controller.example:8443", json!({}))),
        ("knock", link("192.0.2.1", json!({"spa": spa, "nextCaFingerprint": root}))),
        ("more", link("[2001:db8::1]:8443", json!({"controllers": ["c2.example:443", "[2001:db8::3]"]}))),
        ("later", link("c", json!({"colour": "green", "spa": {"mode": "TCP", "name": "n", "key": "ab".repeat(32)}}))),
        ("secret", b"ringwall://c/sekrit".to_vec()),
    ]
}

fn text(header: &impl serde::Serialize, body: &impl serde::Serialize) -> Vec<u8> {
    let part = |value: Vec<u8>| BASE64URL_NOPAD.encode(&value);
    let (header, body) = (serde_json::to_vec(header).expect("written"), serde_json::to_vec(body).expect("written"));
    format!("{}.{}.{}", part(header), part(body), part(vec![0; 64])).into_bytes()
}

fn tokens() -> Files {
    let mut routed = entitlement_token(1);
    routed.routes.include = vec!["10.0.0.0/8".parse().expect("a prefix"), "fd00::/8".parse().expect("a prefix")];
    routed.routes.exclude = vec!["10.1.0.0/16".parse().expect("a prefix")];
    let header = |kind: &str| json!({"alg": "EdDSA", "typ": kind, "kid": "k"});
    vec![
        ("claims", text(&header(ringwall_protocol::token::ClaimsToken::TYP), &claims_token())),
        ("entitlement", text(&header(ringwall_protocol::token::EntitlementToken::TYP), &routed)),
        ("other-kind", text(&header("JWT"), &claims_token())),
    ]
}

fn dns_plans() -> Files {
    let mut token = serde_json::to_value(entitlement_token(1)).expect("written");
    token["entitlements"] = json!([{"id": "0198c0de-0000-7000-8000-000000000001", "name": "web", "conditionLogic": "and",
        "conditions": [], "actions": [{"subtype": "tcp_up", "action": "allow",
        "hosts": ["dns://wiki.example", "*.corp.example", "*.controller.example", "controller.example"]}]}]);
    token["dns"] = json!([{"domain": "Intern.Example.", "servers": ["10.1.0.53"]},
        {"domain": "$(id)", "servers": []}, {"domain": "Default", "servers": ["10.1.0.9"]}]);
    let of = |name: &str| [name.as_bytes(), &[0], token.to_string().as_bytes()].concat();
    vec![("below", of("www.corp.example")), ("name", of("Wiki.Example")), ("other", of("example.net"))]
}

fn dns_messages() -> Files {
    let mut question = Message::query();
    question.metadata.id = 7;
    question.add_query(Query::query(Name::from_ascii("www.corp.example.").expect("a name"), RecordType::A));
    let asked = question.to_vec().expect("written");
    let mut answer = asked.clone();
    answer[2] |= 0x80;
    let with =
        |question: &[u8], reply: &[u8]| [&[u8::try_from(question.len()).expect("short")], question, reply].concat();
    let mut two = question.clone();
    two.add_query(question.queries[0].clone());
    // A name that points to itself.
    let looped = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xc0, 12, 0, 1, 0, 1]].concat();
    vec![
        ("answered", with(&asked, &answer)),
        ("other-id", with(&asked, &[&[9, 9][..], &answer[2..]].concat())),
        ("two", with(&two.to_vec().expect("written"), &[])),
        ("looped", with(&looped, &looped)),
    ]
}

fn queries() -> Files {
    // 0: ask, with a message; 1: answer one of them; 2: answer whatever it is; 3: time passes.
    vec![
        ("answered", [&[0, 4, 0, 7, 1, 1][..], &[1, 0, 3, 8, 8, 8]].concat()),
        ("twice", [&[0, 3, 0, 7, 1][..], &[0, 3, 0, 7, 2], &[1, 1, 1, 5], &[1, 0, 1, 6]].concat()),
        ("late", [&[0, 3, 0, 7, 1][..], &[3, 120], &[0, 3, 0, 7, 1], &[2, 3, 0, 1, 9]].concat()),
    ]
}

fn browser() -> Files {
    let file = |state: &str, address: &str| [state.as_bytes(), &[0], address.as_bytes()].concat();
    vec![
        ("code", file("s1", "http://127.0.0.1:1/signed-in?code=a%2Bb&state=s1&iss=https%3A%2F%2Fsso.example")),
        ("refused", file("s", "/signed-in?error=access_denied&error_description=no%1b%5b2J+way&state=s")),
        ("twice", file("s1", "/signed-in?code=x&state=s1&state=s2")),
        ("options", file("s", r#"{"x":"</script><script>alert(1)</script>{{title}}"}"#)),
    ]
}

fn requests() -> Files {
    let line = |value: serde_json::Value| value.to_string().into_bytes();
    vec![
        ("status", line(json!({"request": "status"}))),
        (
            "answer",
            line(
                json!({"request": "answer", "promptId": "0198c0de-0000-7000-8000-000000000001", "text": "x".repeat(60)}),
            ),
        ),
        ("sign-out", line(json!({"request": "signOut"}))),
        ("unknown", line(json!({"request": "format"}))),
    ]
}

fn files() -> Files {
    vec![
        ("users", b"# mine\nsearch home.example\nnameserver 192.0.2.53\nnameserver bogus\noptions edns0\n".to_vec()),
        ("odd", b"search a\x0bnameserver 192.0.2.1\r\nnameserver\t2001:db8::1 # x\ndomain \xc2\x85x".to_vec()),
    ]
}
