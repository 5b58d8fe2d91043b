//! The first files of the corpora: messages as programs of this Collective send them.

use serde::Serialize;
use serde_json::{Value, json};

use super::replay::Seeds;
use crate::wire::error::{ErrorBody, ErrorCode};

const ID: &str = "0198c0de-0000-7000-8000-000000000001";
const OTHER: &str = "4c07bc67-57ea-42dd-b702-c2d6c45419fc";
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const DN: &str = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local";

pub(super) fn seeds() -> Vec<Seeds> {
    vec![
        ("actions", actions()),
        ("admin_api", [objects(), orders()].concat()),
        ("client_api", [sign_in(), tokens()].concat()),
        ("expression", expressions()),
        ("join", join()),
        ("names", names()),
        ("session_messages", session_messages()),
        ("times", times()),
    ]
}

fn bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("written")
}

fn encoded(messages: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<(&'static str, Vec<u8>)> {
    messages.into_iter().map(|(name, message)| (name, bytes(&message))).collect()
}

fn sign_in() -> Vec<(&'static str, Vec<u8>)> {
    let device = json!({"os": {"type": "linux"}, "firewall": true, "patches": [1, -2, 0.1, null]});
    let mut all = encoded([
        (
            "begin",
            json!({"deviceId": ID, "identityProvider": "sso", "keyThumbprint": KEY,
            "redirectUri": "http://127.0.0.1:49152/signed-in"}),
        ),
        (
            "password",
            json!({"deviceId": ID, "identityProvider": "local", "keyThumbprint": KEY, "deviceClaims": device,
            "credential": {"kind": "password", "username": "alice", "password": "correct horse"}, "deviceCookie": KEY}),
        ),
        (
            "certificate-user",
            json!({"deviceId": ID, "identityProvider": "cards", "keyThumbprint": KEY,
            "deviceClaims": {}, "credential": {"kind": "certificate", "chain": [KEY], "scheme": 1027, "signature": KEY}}),
        ),
        (
            "oidc",
            json!({"deviceId": ID, "identityProvider": "sso", "keyThumbprint": KEY, "deviceClaims": {},
            "credential": {"kind": "oidc", "request": KEY, "answer": {"code": "c", "state": "s", "iss": "https://sso"}}}),
        ),
        ("mfa", json!({"transaction": ID, "answer": "123456", "keyThumbprint": KEY})),
        (
            "step-up",
            json!({"claimsToken": "a.b.c", "conditionId": ID, "interactionIndex": 0, "promptId": ID,
            "answer": "123456", "deviceClaims": device}),
        ),
        ("entitlements", json!({"claimsToken": "a.b.c", "deviceClaims": device, "sites": [ID]})),
        ("certificate", json!({"claimsToken": "a.b.c", "csr": KEY})),
        (
            "signed-in",
            json!({"outcome": "signedIn", "claimsToken": "a.b.c", "deviceCookie": KEY,
            "controllers": [{"addresses": ["192.0.2.1:443"], "spkiSha256": [KEY]}], "onDemandClaims": []}),
        ),
        (
            "mfa-wanted",
            json!({"outcome": "mfaWanted", "transaction": ID, "kind": "OtpAuthentication", "message": "code",
            "challenge": {"type": "webAuthn", "create": true, "options": "{}"}}),
        ),
    ]);
    all.push(("refusal", bytes(&ErrorBody::new(ErrorCode::Busy, "too many sign-ins"))));
    all
}

fn head() -> Value {
    json!({"iss": ID, "sub": DN, "sid": ID, "jti": ID, "iat": 1_795_348_800_u64, "nbf": 1_795_348_800_u64,
        "exp": 1_795_352_400_u64, "aud": ID, "idx": 100, "epoch": 1, "inc": OTHER, "cnf": {"jkt": KEY},
        "userId": ID, "providerId": ID, "deviceId": OTHER})
}

fn with(mut head: Value, more: Value) -> Value {
    if let (Value::Object(head), Value::Object(more)) = (&mut head, more) {
        head.extend(more);
    }
    head
}

fn tokens() -> Vec<(&'static str, Vec<u8>)> {
    let condition = json!({"name": "managed", "expression": "device.managed == true", "remedyLogic": "and",
        "interactions": [{"type": "Reason", "message": "why?", "claimSuffix": "why"}], "repeatSchedules": ["5m"]});
    let granted = json!({"id": ID, "name": "web", "conditionLogic": "and", "conditions": [ID],
        "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["443"]}]});
    let gateway = json!({"id": ID, "name": "gw", "addresses": ["192.0.2.2:443"], "weight": 100, "state": "active",
        "spkiSha256": [KEY]});
    encoded([
        (
            "claims-token",
            with(
                head(),
                json!({"signInIdx": 90, "authTime": 1_795_348_800_u64,
            "signInUntil": 1_795_435_200_u64, "user": {"groups": ["staff"]}, "system": {}, "tunIpv4": "10.9.0.1",
            "stepUps": {}}),
            ),
        ),
        (
            "entitlement-token",
            with(
                head(),
                json!({"claimsIdx": 100, "policyIdx": 90, "siteName": "office",
            "gateways": [gateway], "entitlements": [granted], "conditions": {ID: condition},
            "routes": {"include": ["10.0.0.0/8"]}, "leaseSeconds": 15}),
            ),
        ),
        ("admin-token", with(head(), json!({"sessionId": ID}))),
    ])
}

fn session_messages() -> Vec<(&'static str, Vec<u8>)> {
    encoded([
        (
            "hello",
            json!({"type": "hello", "versions": [1], "connectSeq": 7, "claimsToken": "a.b.c",
            "entitlementToken": "d.e.f", "deviceClaims": {"managed": true}, "lastSessionId": ID}),
        ),
        ("attach-request", json!({"type": "attachRequest"})),
        ("claims-token", json!({"type": "claimsToken", "token": "a.b.c"})),
        ("device-claims", json!({"type": "deviceClaims", "claims": {"os": {"type": "linux", "patches": [1, 2.5]}}})),
        ("reason", json!({"type": "reason", "promptId": ID, "text": "ticket\u{1b}[2J 17"})),
        ("goodbye", json!({"type": "goodbye"})),
        (
            "welcome",
            json!({"type": "welcome", "sessionId": ID, "resumed": false, "version": 1, "attachToken": KEY,
            "mtu": 1_400, "tunIpv4": "10.9.0.1", "routes": {"include": ["10.0.0.0/8"]}, "keepAliveSeconds": 15,
            "controllerTime": 1_795_348_800_000_u64, "entitlements": [{"id": ID, "name": "web", "open": true}]}),
        ),
        (
            "interaction",
            json!({"type": "interaction", "promptId": ID, "conditionId": ID, "interactionIndex": 0,
            "kind": "Reason", "entitlementId": ID, "destination": "10.0.0.1:443"}),
        ),
        (
            "expiring",
            json!({"type": "tokensExpiring", "kinds": ["Claims"], "notAfter": 1_795_352_400_000_u64,
            "reason": "expiry"}),
        ),
        ("end", json!({"type": "end", "code": "revoked", "message": "revoked by entry 7"})),
    ])
}

fn join() -> Vec<(&'static str, Vec<u8>)> {
    let incarnation = json!({"epoch": 1, "id": OTHER});
    encoded([
        (
            "seed",
            json!({"version": 1, "collectiveId": ID, "incarnation": incarnation, "role": "gateway",
            "applianceId": ID, "name": "gw", "siteId": ID, "rootCertificate": KEY, "spaKey": KEY, "joinToken": KEY,
            "controllers": [{"addresses": ["192.0.2.1:444"], "spkiSha256": [KEY]}], "notAfter": 1_795_352_400_000_u64}),
        ),
        (
            "request",
            json!({"joinToken": KEY, "applianceId": ID, "role": "controller", "csr": KEY,
            "softwareVersion": "0.1.0", "commandId": ID, "controller": {"peerAddresses": ["192.0.2.1:444"],
            "clientAddresses": [], "clientIssuerCsr": KEY, "applianceIssuerCsr": KEY, "tokenKey": KEY}}),
        ),
        (
            "admitted",
            json!({"admitted": {"collectiveId": ID, "incarnation": incarnation, "applianceId": ID,
            "certificateChain": [KEY, KEY], "controllers": [{"node": 1, "appliance": ID, "name": "c1", "state": "active",
            "keys": [KEY], "peerAddresses": [], "clientAddresses": []}], "peerSpaKey": KEY}}),
        ),
        ("refused", json!({"refused": {"code": "unauthorized", "message": "unknown token", "retryable": false}})),
    ])
}

fn objects() -> Vec<(&'static str, Vec<u8>)> {
    let base = |kind: &str, more: Value| {
        with(json!({"kind": kind, "id": ID, "name": "one", "created": "2026-01-01T00:00:00Z", "tags": ["a"]}), more)
    };
    encoded([
        (
            "site",
            base(
                "Site",
                json!({"networkSubnets": ["10.0.0.0/8", "fd00::/8"], "graceSeconds": 60,
            "nameResolution": {"dnsResolvers": [{"name": "r", "servers": ["10.0.0.53"], "matchDomains": ["corp"]}]}}),
            ),
        ),
        (
            "policy",
            base(
                "Policy",
                json!({"expression": "\"dev\" in user.groups", "type": "Access",
            "entitlements": [ID], "dnsSettings": [{"domain": "Default", "servers": ["10.0.0.53"]}]}),
            ),
        ),
        (
            "condition",
            base(
                "Condition",
                json!({"expression": "hasMfa(\"a\", 60)", "remedyMethods": [
            {"type": "OtpAuthentication", "message": "code", "claimSuffix": "a", "providerId": ID}]}),
            ),
        ),
        (
            "provider",
            base(
                "IdentityProvider",
                json!({"type": "Oidc", "issuer": "https://sso.example",
            "audience": "ringwall", "claimMappings": [{"attributeName": "groups", "claimName": "groups", "list": true}]}),
            ),
        ),
        (
            "ldap",
            base(
                "IdentityProvider",
                json!({"type": "Ldap", "hostnames": ["ldap"], "port": 636,
            "adminDistinguishedName": "cn=a", "baseDn": "dc=x"}),
            ),
        ),
        (
            "pool",
            base("IpPool", json!({"ranges": [{"cidr": "10.9.0.0/16"}, {"first": "10.8.0.1", "last": "10.8.0.9"}]})),
        ),
        (
            "role",
            base(
                "AdministrativeRole",
                json!({"privileges": [{"type": "View", "target": "All",
            "scope": {"all": false, "ids": [ID], "tags": ["a"]}}]}),
            ),
        ),
        ("settings", json!({"claimsTokenExpiration": 60, "spaMode": "UDP-TCP", "messageOfTheDay": "hello"})),
    ])
}

fn orders() -> Vec<(&'static str, Vec<u8>)> {
    encoded([
        ("login", json!({"providerName": "local", "username": "root", "password": "secret", "deviceId": ID})),
        (
            "revoke",
            json!({"distinguishedNameFilter": "OU=local", "specificDistinguishedNames": [DN],
            "delayMinutes": 0, "devicesPerSecond": 0.5, "mode": "cut", "wait": "enforced"}),
        ),
        ("explain", json!({"user": "CN=alice,OU=local", "destination": "[fd00::1]:443"})),
        (
            "draft",
            json!({"objects": [{"kind": "Site", "object": {"name": "s"}}],
            "deletions": [{"kind": "Policy", "id": ID}]}),
        ),
    ])
}

fn expressions() -> Vec<(&'static str, Vec<u8>)> {
    let with_claims = |source: &str, claims: Value| [source.as_bytes(), &[0], &bytes(&claims)].concat();
    let groups: Vec<String> = (0..40).map(|number| format!("group-{number}")).collect();
    let claims = json!({"user": {"groups": groups, "a": "x", "n": 3, "mail": "alice@example.org"},
        "device": {"os": {"type": "linux"}, "managed": true}});
    vec![
        ("member", with_claims(r#""group-7" in user.groups && device.os.type == "linux""#, claims.clone())),
        ("exists", with_claims(r#"user.groups.exists(g, g.startsWith("group-3")) || !has(user.b)"#, claims.clone())),
        ("filter", with_claims(r#"size(user.groups.filter(g, g.matches("^group-[0-9]{1,2}$"))) > 3"#, claims.clone())),
        ("answers", with_claims(r#"hasMfa("a", 5) && hasReason("a", 60) ? weekday() < 6 : false"#, claims.clone())),
        ("network", with_claims(r#"isClientInNetwork("192.0.2.0/24") && inTimeRange("22:00", "06:00")"#, json!({}))),
        ("kinds", with_claims("1 == 1.0 && 1u != 1", json!({}))),
        ("since", with_claims(r#"minutesSince(timestamp("2026-11-22T11:00:00Z")) >= 60"#, json!({}))),
        ("map", with_claims(r#"{"a": [1, 2u, 0.5, null, b"x"]}["a"].exists(e, e == user.n)"#, claims.clone())),
        ("nested", with_claims(r#"user.groups.exists(a, user.groups.exists(b, a == b && a != ""))"#, claims.clone())),
        // Patterns that are short and compile to much: counted repetitions, also where a comment hides the count.
        ("wide-pattern", with_claims(r#"user.groups.exists(g, g.matches("^(\\w{30}){30}$"))"#, claims.clone())),
        ("hidden-count", with_claims("user.groups.exists(g, g.matches(\"(?x)(\\\\w{#}\\n900}){#}\\n900}\"))", claims)),
        ("deep", with_claims(&("(".repeat(90) + "true" + &")".repeat(90)), json!({}))),
    ]
}

fn actions() -> Vec<(&'static str, Vec<u8>)> {
    let action = |subtype: &str, kind: &str, hosts: &[&str], ports: &[&str]| json!({"subtype": subtype, "action": kind, "hosts": hosts, "ports": ports});
    // The rings of an onion, in both dimensions: the worst for what cuts boxes out of each other.
    let hosts: Vec<String> = (1..40).map(|n| format!("10.0.0.{n}-10.0.1.{}", 200 - n)).collect();
    let ports: Vec<String> = (1..40).map(|n| format!("{n}-{}", 60_000 - n)).collect();
    let rings = json!({"subtype": "tcp_up", "action": "allow", "hosts": hosts, "ports": ports});
    encoded([
        (
            "web",
            json!([
                action("tcp_up", "allow", &["10.0.0.0/8", "dns://web.example", "*.corp.example"], &["80,443"]),
                action("tcp_up", "block", &["10.0.0.5-10.0.0.9"], &[]),
                action("udp_down", "alert", &["fd00::/64"], &["53"])
            ]),
        ),
        (
            "ping",
            json!([{"subtype": "icmp_up", "action": "allow", "hosts": ["10.0.0.1"], "types": ["0-8"]},
            {"subtype": "icmpv6_up", "action": "allow", "hosts": ["::/0"], "types": ["128"]}]),
        ),
        ("exclude", json!([{"action": "exclude", "hosts": ["0.0.0.0/0", "255.255.255.255"]}])),
        (
            "edges",
            json!([
                action("tcp_up", "allow", &["0.0.0.0/0", "::/0"], &["0-65535"]),
                action(
                    "tcp_up",
                    "block",
                    &["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
                    &["0", "65535"]
                )
            ]),
        ),
        ("rings", json!([rings])),
    ])
}

fn names() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("session", text(DN)),
        ("user", text(r"CN=mallory\,OU\=other,OU=local")),
        ("provider", text("OU=corp \\2b co")),
        ("device", text(OTHER)),
        ("key", text(KEY)),
        ("blanks", text(r"CN=\20a\20,OU=\#x")),
    ]
}

fn times() -> Vec<(&'static str, Vec<u8>)> {
    let at = |now: u64, text: &str| [&now.to_be_bytes()[..], text.as_bytes()].concat();
    vec![
        ("every", at(1_795_348_800_000, "15m exact")),
        ("daily", at(1_795_348_800_000, "13:32")),
        ("text", at(0, "2026-11-22T12:00:00+02:00")),
        ("end", at(u64::MAX, "1h")),
        ("last", at(253_402_207_200_999, "9999-12-30T22:00:00.999Z")),
    ]
}
