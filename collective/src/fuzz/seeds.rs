//! The first files of the corpora: what administrators, appliances, browsers and providers send.

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use ringwall_protocol::id::{ApplianceId, CommandId};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::join::{JoinRequest, JoinRole};
use ringwall_trust::identity::{KeyKind, PrivateKey};
use serde_json::{Value, json};

use super::replay::Seeds;
use crate::administration::fixture::Fixture;
use crate::identity::directory::oidc::fuzz::{GOOD, kept};
use crate::peers::frame;

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    vec![
        ("admin_object", objects()),
        (
            "audit_records",
            texts(&[("two", "{\"kind\":\"ip_access\"}\nno json\n[1]\n{\"text\":\"a\\nb\",\"gateway\":1}")]),
        ),
        ("browser_request", requests()),
        ("claim_script", scripts()),
        ("id_token", claims()),
        ("join_request", vec![("gateway", join_request())]),
        ("ldap_message", messages()),
        ("list_parameters", parameters()),
        ("password_policy", policies()),
        ("provider_keys", keys()),
        ("radius_answer", answers()),
        ("user_name", names()),
    ]
}

fn texts(texts: &[(&'static str, &str)]) -> Files {
    texts.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect()
}

/// One of each kind that a Collective begins with, and some as administrators write them.
fn objects() -> Files {
    let number = |kind: ObjectKind| ObjectKind::ALL.iter().position(|one| *one == kind).expect("a kind");
    let file = |kind: ObjectKind, body: &Value| {
        let number = u8::try_from(number(kind)).expect("few kinds");
        [&[number][..], body.to_string().as_bytes()].concat()
    };
    let mut files: Files = Vec::new();
    for stored in Fixture::founded().state.objects().iter() {
        let kind = stored.object.kind();
        let name = kind.collection();
        let mut body = serde_json::to_value(&stored.object).expect("an object");
        body.as_object_mut().expect("an object").remove("kind");
        if !files.iter().any(|(known, _)| *known == name) {
            files.push((name, file(kind, &body)));
        }
    }
    let entitlement = json!({"name": "e", "site": "0190a000-0000-7000-8000-000000000001", "actions": [
        {"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["80", "100-200"]},
        {"subtype": "icmp_up", "action": "block", "hosts": ["*.corp.example"], "types": ["8"]}]});
    let wrong = json!({"name": 5, "networkSubnets": ["10.0.0.0/8", "x"], "geolocation": {"a": [1, {"b": null}]}});
    files.push(("entitlement", file(ObjectKind::Entitlement, &entitlement)));
    files.push(("wrong-site", file(ObjectKind::Site, &wrong)));
    files
}

fn requests() -> Files {
    let mut files = texts(&[
        ("v4", "http://127.0.0.1:49152/signed-in"),
        ("v6", "http://[::1]:1/signed-in"),
        ("elsewhere", "http://127.0.0.1:80@evil.example/signed-in"),
    ]);
    files.push(("kept", kept()));
    files
}

fn scripts() -> Files {
    texts(&[
        ("in", "'group 7' in user.groups"),
        ("filter", "user.groups.filter(g, g.startsWith('group 1')).map(g, g + user.username)"),
        ("square", "user.groups.map(a, user.groups.map(b, a + b))"),
        ("matches", "user.groups.filter(g, g.matches('^group [0-9]+$'))"),
        ("double", "user.groups.map(g, (g + g + g + g) + (g + g + g + g) + (g + g + g + g))"),
        ("number", "size(user.groups) * 10 + int(user.level) % 3"),
    ])
}

fn claims() -> Files {
    let far = GOOD.replace("4102444800", "1e300");
    let past = GOOD.replace("1780300700", "-9223372036854775808");
    let party = GOOD.replace(r#""sub""#, r#""azp":"somebody else","sub""#);
    let fraction = GOOD.replace("4102444800", "4102444800.5").replace(r#""ringwall""#, r#"["ringwall","other"]"#);
    let several = r#"["ringwall","other"],"azp":"ringwall""#;
    let loose =
        GOOD.replace(r#""ringwall""#, several).replace("true", r#""true","updated_at":"2024-05-01","auth_time":"1""#);
    let pointer =
        GOOD.replace(r#"["dev",7]"#, r#""src1","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{}}"#);
    texts(&[
        ("good", GOOD),
        ("far", &far),
        ("past", &past),
        ("party", &party),
        ("fraction", &fraction),
        ("loose", &loose),
        ("pointer", &pointer),
    ])
}

/// With a request of a key that is made up for it.
fn join_request() -> Vec<u8> {
    let csr = PrivateKey::generate(KeyKind::P256).expect("a key").request().expect("a request");
    let request = JoinRequest {
        join_token: "BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY".to_owned(),
        appliance_id: ApplianceId::from_random([1; 16]),
        role: JoinRole::Gateway,
        csr: BASE64URL_NOPAD.encode(&csr),
        software_version: "1.0.0".to_owned(),
        command_id: CommandId::from_random([2; 16]),
        controller: None,
    };
    let mut bytes = Vec::new();
    frame::write(&mut bytes, &request).now_or_never().expect("memory takes it").expect("it serialises");
    bytes
}

fn messages() -> Files {
    let bound = vec![0x30, 0x0c, 2, 1, 1, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0];
    let start_tls = vec![0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0];
    let mut entry = vec![0x30, 0x81, 0x29, 2, 1, 2, 0x64, 0x24, 4, 4];
    entry.extend(b"cn=a");
    entry.extend([0x30, 0x1c, 0x30, 0x1a, 4, 11]);
    entry.extend(b"objectClass");
    entry.extend([0x31, 0x0b, 4, 3]);
    entry.extend(b"top");
    entry.extend([4, 4]);
    entry.extend(b"user");
    let two = [bound.clone(), start_tls.clone()].concat();
    vec![("bound", bound), ("start-tls", start_tls), ("entry", entry), ("two", two)]
}

fn parameters() -> Files {
    texts(&[
        ("range", "application/vnd.appgate.peer-v22+json\nquery=web\nrange=0-1\norderBy=weight\ndescending=true"),
        ("filters", "text/html, Application/vnd.Appgate.peer-v18+json;q=0.9\ntags=prod\nsite.name=E\nquery="),
        ("far", "*/*\nrange=18446744073709551615-18446744073709551615\norderBy=site.name"),
    ])
}

fn policies() -> Files {
    let file = |control: &[u8], lines: &str| {
        let length = u8::try_from(control.len()).expect("short");
        [&[length], control, lines.as_bytes()].concat()
    };
    vec![
        ("warning", file(&[0x30, 6, 0xa0, 4, 0x80, 2, 0x0e, 0x10], "")),
        ("graces", file(&[0x30, 8, 0xa0, 3, 0x81, 1, 2, 0x81, 1, 2], "")),
        ("filetime", file(&[], "134300000000000000")),
        ("shadow", file(&[0x30, 0], "\n20600\n30")),
        ("far", file(&[], "-1\n9223372036854775807\n99998")),
        ("text", file(&[], "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data 532, v1db1")),
    ]
}

fn keys() -> Files {
    let n = "ALRLAeXW4QhQRbMCBwwJ5wS6yD8k0TYrPBzDLl2TzSlNgWbcZ1c8j7lYyq2d5gqk2n4uTzQyBPgq4R_dgSEAAAE";
    let rsa = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": n, "e": "AQAB"});
    let small = json!({"kty": "RSA", "kid": "1", "n": "AQ", "e": "AA"});
    let okp = json!({"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    let ec = json!({"kty": "EC", "crv": "P-256", "kid": "1", "x": "AA", "y": "AA"});
    let secret = json!({"kty": "oct", "kid": "1", "k": "c2VjcmV0"});
    let file = |keys: &[&Value]| json!({ "keys": keys }).to_string().into_bytes();
    vec![("all", file(&[&rsa, &okp, &ec, &secret])), ("small", file(&[&small])), ("point", file(&[&okp]))]
}

fn answers() -> Files {
    let attribute = |kind: u8, value: &[u8]| {
        let size = u8::try_from(value.len() + 2).expect("short");
        [&[kind, size], value].concat()
    };
    let answer = |code: u8, attributes: &[Vec<u8>]| [vec![code], attributes.concat()].concat();
    let (hello, class) = (attribute(18, "hello\n\u{fffd}".as_bytes()), attribute(25, b"engineers"));
    vec![
        ("accept", answer(2, &[hello.clone(), class.clone(), attribute(11, b"root"), attribute(25, &[0xff])])),
        ("reject", answer(3, std::slice::from_ref(&hello))),
        ("challenge", answer(11, &[hello, attribute(24, &[1, 2, 3]), attribute(76, &[0, 0, 0, 1])])),
        ("twice", answer(2, &[attribute(80, &[0; 16]), class])),
        ("empty", answer(2, &[attribute(24, &[]), attribute(18, &[])])),
    ]
}

fn names() -> Files {
    texts(&[
        ("latin", "Müller@corp.example"),
        ("cyrillic", "Иван"),
        ("greek", "νίκος"),
        ("sharp", "straße"),
        ("dotless", "ılgın"),
        ("odd", "O'Brien, Pat=x\\y"),
    ])
}
