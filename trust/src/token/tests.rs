//! Tokens: what verifies, and each way in which one does not.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{AdminSessionId, Incarnation, IncarnationId, LogIndex, NodeId};
use ringwall_protocol::membership::{KeyRecord, KeyState};
use ringwall_protocol::token::{AdminToken, ClaimsToken, EntitlementToken, Routes, TokenBody};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{TestClient, TestCollective, TestController};

struct Scene {
    collective: TestCollective,
    controller: TestController,
    client: TestClient,
}

fn scene() -> Scene {
    let mut collective = TestCollective::new();
    let controller = collective.controller(NodeId(1));
    let client = collective.client("alice");
    Scene { collective, controller, client }
}

impl Scene {
    fn claims(&self) -> ClaimsToken {
        let head = self.collective.head(&self.client, self.collective.id.uuid(), LogIndex(100));
        ClaimsToken {
            sign_in_idx: LogIndex(90),
            auth_time: head.iat,
            sign_in_until: head.iat + 86_400,
            head,
            user: ClaimMap::from_iter([("groups".to_owned(), json!(["staff", "admins"]))]),
            system: ClaimMap::default(),
            tun_ipv4: Some(Ipv4Addr::new(100, 64, 0, 7)),
            tun_ipv6: None,
            step_ups: BTreeMap::new(),
        }
    }

    fn mint(&self, body: &impl TokenBody) -> String {
        self.controller.signer.mint(body).expect("minted")
    }

    fn keys(&self) -> KeySet {
        self.collective.keys([&self.controller])
    }

    fn record(&self) -> KeyRecord {
        self.controller.signer.record(NodeId(1), LogIndex(50))
    }

    fn verify(&self, token: &str) -> Result<Verified<ClaimsToken>, TokenError> {
        self.verify_with(token, &self.keys())
    }

    fn verify_with(&self, token: &str, keys: &KeySet) -> Result<Verified<ClaimsToken>, TokenError> {
        UnverifiedToken::parse(token)?.verify(keys, &self.collective.expected(), self.collective.now)
    }

    /// A token with this header and body text, signed by the Controller's own key.
    fn signed(&self, header: &str, body: &str) -> String {
        let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
        let message = format!("{}.{}", encode(header), encode(body));
        let key = EncodingKey::from_ed_der(self.controller.signer.expose_pkcs8());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("signed");
        format!("{message}.{signature}")
    }

    fn header(&self) -> String {
        json!({"alg": "EdDSA", "typ": "rw-claims+jwt", "kid": self.controller.signer.kid()}).to_string()
    }

    fn body(&self) -> Value {
        serde_json::to_value(self.claims()).expect("encoded")
    }
}

#[test]
fn a_minted_token_verifies_and_says_what_was_put_into_it() {
    let scene = scene();
    let claims = scene.claims();
    let token = scene.mint(&claims);
    let verified = scene.verify(&token).expect("verified");
    assert_eq!(*verified, claims);
    assert_eq!(format!("{verified:?}"), format!("Verified({})", token_hash_prefix(&token)));
    assert_eq!(verified.prefix().to_string().len(), 8);
    assert_eq!(verified.into_inner(), claims);
}

#[test]
fn a_hand_signed_token_with_the_same_content_verifies_too() {
    let scene = scene();
    scene.verify(&scene.signed(&scene.header(), &scene.body().to_string())).expect("the tests below alter this one");
}

#[test]
fn every_kind_is_refused_in_place_of_another() {
    let scene = scene();
    let claims = scene.mint(&scene.claims());
    let expected = TokenError::Kind { expected: "rw-entitlement+jwt" };
    assert_eq!(UnverifiedToken::<EntitlementToken>::parse(&claims).err(), Some(expected));
    let head = scene.collective.head(&scene.client, scene.collective.id.uuid(), LogIndex(100));
    let admin = scene.mint(&AdminToken { head, session_id: AdminSessionId::from_random([1; 16]) });
    assert_eq!(scene.verify(&admin).err(), Some(TokenError::Kind { expected: "rw-claims+jwt" }));
    let header = scene.header().replace("rw-claims+jwt", "JWT");
    assert!(matches!(scene.verify(&scene.signed(&header, &scene.body().to_string())), Err(TokenError::Kind { .. })));
}

#[test]
fn none_and_confused_algorithms_are_refused() {
    let scene = scene();
    for alg in ["none", "HS256", "ES256", "RS256", "eddsa", ""] {
        let header = scene.header().replace("EdDSA", alg);
        let token = scene.signed(&header, &scene.body().to_string());
        assert_eq!(scene.verify(&token).err(), Some(TokenError::Algorithm), "{alg}");
    }
    // The classic: an HMAC with the public key as its secret.
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("rw-claims+jwt".to_owned());
    header.kid = Some(scene.controller.signer.kid().to_owned());
    let public = data_encoding::BASE64URL_NOPAD.decode(scene.record().public_key.as_bytes()).expect("base64url");
    let token = jsonwebtoken::encode(&header, &scene.claims(), &EncodingKey::from_secret(&public)).expect("made");
    assert_eq!(scene.verify(&token).err(), Some(TokenError::Algorithm));
}

#[test]
fn unsigned_altered_and_foreign_signatures_are_refused() {
    let scene = scene();
    let token = scene.mint(&scene.claims());
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    assert_eq!(scene.verify(&format!("{message}.")).err(), Some(TokenError::Signature));
    let other = TokenSigner::generate().expect("a key").mint(&scene.claims()).expect("minted");
    let foreign = other.rsplit_once('.').expect("three parts").1;
    assert_eq!(scene.verify(&format!("{message}.{foreign}")).err(), Some(TokenError::Signature));
    let mut body = scene.body();
    body["user"]["groups"] = json!(["root"]);
    let encode = |text: String| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let altered = format!("{}.{}.{signature}", encode(scene.header()), encode(body.to_string()));
    assert_eq!(scene.verify(&altered).err(), Some(TokenError::Signature));
}

#[test]
fn headers_say_exactly_three_things() {
    let scene = scene();
    let kid = scene.controller.signer.kid();
    for header in [
        r#"{"alg":"EdDSA","typ":"rw-claims+jwt"}"#.to_owned(),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"rw-claims+jwt","kid":"{kid}","jku":"https://example.org"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"rw-claims+jwt","kid":"{kid}","crit":[]}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"EdDSA","typ":"rw-claims+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"rw-claims+jwt","kid":"{}"}}"#, "k".repeat(600)),
        "[]".to_owned(),
    ] {
        let token = scene.signed(&header, &scene.body().to_string());
        assert_eq!(scene.verify(&token).err(), Some(TokenError::Malformed), "{header}");
    }
}

#[test]
fn unknown_missing_duplicate_and_mistyped_fields_are_refused() {
    let scene = scene();
    let text = scene.body().to_string();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = scene.body();
        change(&mut body);
        body.to_string()
    };
    for body in [
        with(&|body| body["admin"] = json!(true)),
        with(&|body| body["cnf"]["x5t"] = json!("x")),
        with(&|body| drop(body.as_object_mut().expect("an object").remove("cnf"))),
        with(&|body| drop(body.as_object_mut().expect("an object").remove("stepUps"))),
        with(&|body| drop(body.as_object_mut().expect("an object").remove("idx"))),
        with(&|body| body["idx"] = json!("100")),
        with(&|body| body["idx"] = json!(100.0)),
        with(&|body| body["iss"] = json!(body["iss"].as_str().expect("text").to_uppercase())),
        text.replacen('{', r#"{"idx":1,"#, 1),
        text.replacen(r#""groups":"#, r#""groups":[],"groups":"#, 1),
        format!("{text} {{}}"),
        "null".to_owned(),
    ] {
        let token = scene.signed(&scene.header(), &body);
        assert!(matches!(scene.verify(&token), Err(TokenError::Body(_))), "{body}");
    }
}

#[test]
fn malformed_and_oversized_text_is_refused_before_anything_else() {
    let scene = scene();
    let token = scene.mint(&scene.claims());
    for bad in ["", ".", "..", "a.b", &token.replace('.', ","), &format!("{token}.x"), &format!(" {token}")] {
        assert!(matches!(scene.verify(bad), Err(TokenError::Malformed)), "{bad}");
    }
    let padded = token.replacen('.', "=.", 1);
    assert_eq!(scene.verify(&padded).err(), Some(TokenError::Malformed));
    let long = "a".repeat(ClaimsToken::MAX_LEN + 1);
    let expected = TokenError::TooLarge { limit: ClaimsToken::MAX_LEN, got: ClaimsToken::MAX_LEN + 1 };
    assert_eq!(scene.verify(&long).err(), Some(expected));
}

#[test]
fn an_unknown_key_tells_the_index_to_wait_for() {
    let scene = scene();
    let token = scene.mint(&scene.claims());
    let refused = scene.verify_with(&token, &KeySet::default()).err();
    assert_eq!(refused, Some(TokenError::UnknownKey { idx: LogIndex(100) }));
    let mut keys = scene.keys();
    assert!(keys.knows(scene.controller.signer.kid()));
    keys.forget(scene.controller.signer.kid());
    assert!(matches!(scene.verify_with(&token, &keys), Err(TokenError::UnknownKey { .. })));
}

#[test]
fn a_key_proves_only_what_its_record_covers() {
    let scene = scene();
    let token = scene.mint(&scene.claims());
    let retired = |until| KeyRecord { state: KeyState::Retired, until: Some(LogIndex(until)), ..scene.record() };
    for (record, refused) in [
        (scene.record(), None),
        (KeyRecord { from: LogIndex(101), ..scene.record() }, Some(TokenError::KeyRange(LogIndex(100)))),
        (retired(100), None),
        (retired(99), Some(TokenError::KeyRange(LogIndex(100)))),
        (KeyRecord { state: KeyState::Removed, ..scene.record() }, Some(TokenError::KeyRemoved)),
    ] {
        let keys = KeySet::from_records([&record]).expect("a good record");
        assert_eq!(scene.verify_with(&token, &keys).err(), refused, "{record:?}");
    }
    let damaged = KeyRecord { public_key: "AAAA".to_owned(), ..scene.record() };
    assert!(KeySet::from_records([&damaged]).is_err());
}

#[test]
fn tokens_of_another_life_collective_or_audience_are_refused() {
    let scene = scene();
    let mut claims = scene.claims();
    claims.head.aud = scene.collective.site.uuid();
    assert_eq!(scene.verify(&scene.mint(&claims)).err(), Some(TokenError::Audience));
    let token = scene.mint(&scene.claims());
    let now = scene.collective.incarnation;
    for incarnation in
        [Incarnation { epoch: now.epoch + 1, ..now }, Incarnation { id: IncarnationId::from_random([9; 16]), ..now }]
    {
        let expected = Expected { incarnation, ..scene.collective.expected() };
        let parsed = UnverifiedToken::<ClaimsToken>::parse(&token).expect("a token");
        let refused = parsed.verify(&scene.keys(), &expected, scene.collective.now);
        assert_eq!(refused.err(), Some(TokenError::Incarnation));
    }
    let mut claims = scene.claims();
    claims.head.iss = TestCollective::new().id;
    assert_eq!(scene.verify(&scene.mint(&claims)).err(), Some(TokenError::Incarnation));
}

#[test]
fn times_are_checked_against_the_clock_that_is_given() {
    let scene = scene();
    let at = |seconds: i64| {
        let now = scene.collective.now;
        let span = Duration::from_secs(seconds.unsigned_abs());
        let now = if seconds < 0 { now.minus(span) } else { now.plus(span) };
        let token = scene.mint(&scene.claims());
        let parsed = UnverifiedToken::<ClaimsToken>::parse(&token).expect("a token");
        parsed.verify(&scene.keys(), &scene.collective.expected(), now).err()
    };
    assert_eq!(at(0), None);
    assert_eq!(at(-60), None, "a minute ahead is allowed");
    assert_eq!(at(-62), Some(TokenError::NotYetValid));
    assert_eq!(at(3_598), None);
    assert_eq!(at(3_600), Some(TokenError::Expired));
}

#[test]
fn no_token_lives_longer_than_its_kind_may() {
    let scene = scene();
    let mut claims = scene.claims();
    claims.head.exp = claims.head.iat + 86_401;
    assert!(matches!(scene.controller.signer.mint(&claims), Err(MintError::Life { limit: 86_400, .. })));
    let body = serde_json::to_string(&claims).expect("encoded");
    assert_eq!(scene.verify(&scene.signed(&scene.header(), &body)).err(), Some(TokenError::Life));
    claims.head.exp = claims.head.iat;
    assert!(matches!(scene.controller.signer.mint(&claims), Err(MintError::Life { .. })));
}

#[test]
fn tokens_beyond_the_bound_are_not_minted() {
    let scene = scene();
    let mut claims = scene.claims();
    claims.user = ClaimMap::from_iter([("x".to_owned(), json!("x".repeat(ClaimsToken::MAX_LEN)))]);
    assert!(matches!(scene.controller.signer.mint(&claims), Err(MintError::TooLarge { limit: 65_536, .. })));
    let large = EntitlementToken {
        head: scene.collective.head(&scene.client, scene.collective.site.uuid(), LogIndex(100)),
        claims_idx: LogIndex(100),
        policy_idx: LogIndex(100),
        site_name: "x".repeat(300 * 1024),
        gateways: Vec::new(),
        entitlements: Vec::new(),
        conditions: BTreeMap::new(),
        routes: Routes::default(),
        dns: Vec::new(),
        lease_seconds: 15,
    };
    let limit = EntitlementToken::MAX_LEN / 4 * 3;
    assert!(matches!(scene.controller.signer.mint(&large), Err(MintError::TooLarge { limit: l, .. }) if l == limit));
    let small = EntitlementToken { site_name: "office".to_owned(), ..large };
    let token = scene.mint(&small);
    let expected = Expected { audience: scene.collective.site.uuid(), ..scene.collective.expected() };
    let verified = UnverifiedToken::<EntitlementToken>::parse(&token).expect("a token").verify(
        &scene.keys(),
        &expected,
        scene.collective.now,
    );
    assert_eq!(*verified.expect("verified"), small);
}

#[test]
fn a_stored_signer_is_the_same_signer() {
    let signer = TokenSigner::generate().expect("a key");
    let again = TokenSigner::from_pkcs8(signer.expose_pkcs8().to_vec().into()).expect("own key");
    assert_eq!(again.record(NodeId(1), LogIndex(1)), signer.record(NodeId(1), LogIndex(1)));
    assert!(TokenSigner::from_pkcs8(vec![1, 2, 3].into()).is_err());
}

#[test]
fn verifying_is_fast_enough_for_every_request() {
    let scene = scene();
    let (token, keys) = (scene.mint(&scene.claims()), scene.keys());
    let start = Instant::now();
    for _ in 0..200 {
        scene.verify_with(&token, &keys).expect("verified");
    }
    let each = start.elapsed() / 200;
    assert!(each < Duration::from_millis(20), "{each:?}");
}
