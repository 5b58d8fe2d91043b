//! Tokens that somebody presents, and bodies as only a member's key could have signed them: whatever is accepted says what
//! was wanted, by a key that may say it.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey};
use ringwall_protocol::id::{CollectiveId, Incarnation, IncarnationId, LogIndex, NodeId};
use ringwall_protocol::membership::{KeyRecord, KeyState};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{AdminToken, ClaimsToken, EntitlementToken, TokenBody};
use serde_json::Value;

use super::{Expected, KeySet, MAX_CLOCK_LEAD, TokenError, TokenSigner, UnverifiedToken, max_life};

/// When tokens are judged.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// PKCS#8 of an Ed25519 key (RFC 8410 §7) up to the 32 bytes of its seed.
const ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A Collective whose keys are always the same.
pub(crate) struct World {
    pub(crate) expected: Expected,
    /// Active from index 50, retired at 100, removed, and one of nobody.
    pub(crate) signers: [TokenSigner; 4],
    records: [KeyRecord; 3],
    keys: KeySet,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let signers = std::array::from_fn(|number| {
        let pkcs8 = [&ED25519[..], &[number as u8 + 1; 32]].concat();
        TokenSigner::from_pkcs8(pkcs8.into()).expect("a fixed key")
    });
    let record = |signer: &TokenSigner| signer.record(NodeId(1), LogIndex(50));
    let [active, retired, removed, _] = &signers;
    let records = [
        record(active),
        KeyRecord { state: KeyState::Retired, until: Some(LogIndex(100)), ..record(retired) },
        KeyRecord { state: KeyState::Removed, ..record(removed) },
    ];
    let incarnation = Incarnation { epoch: 7, id: IncarnationId::from_random([2; 16]) };
    let expected = Expected::collective(CollectiveId::from_random([1; 16]), incarnation);
    let keys = KeySet::from_records(&records).expect("sound records");
    World { expected, signers, records, keys }
});

/// A first byte that chooses the key; 0: a token as text. Else: a header and a body as JSON, with a byte 0 between them,
/// which that key signs.
#[must_use]
pub fn token(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return false };
    let text = match first % 5 {
        0 => std::str::from_utf8(rest).map(str::to_owned).ok(),
        key => Some(signed(&WORLD.signers[usize::from(key) - 1], rest)),
    };
    let Some(text) = text else { return false };
    let claims = judge::<ClaimsToken>(&text);
    let entitlement = judge::<EntitlementToken>(&text);
    let admin = judge::<AdminToken>(&text);
    assert!(u8::from(claims) + u8::from(entitlement) + u8::from(admin) <= 1, "a token is of one kind");
    claims || entitlement || admin
}

fn signed(signer: &TokenSigner, parts: &[u8]) -> String {
    let mut parts = parts.splitn(2, |byte| *byte == 0).map(|part| data_encoding::BASE64URL_NOPAD.encode(part));
    let message = format!("{}.{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let key = EncodingKey::from_ed_der(signer.expose_pkcs8());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("signed");
    format!("{message}.{signature}")
}

/// Whether the token is one of this kind, here and now.
fn judge<T: TokenBody>(text: &str) -> bool {
    let world = &*WORLD;
    let Ok(parsed) = UnverifiedToken::<T>::parse(text) else { return false };
    assert!(text.len() <= T::MAX_LEN);
    let mut expected = world.expected;
    let verified = match parsed.verify(&world.keys, &expected, NOW) {
        // Entitlement tokens are for a Site, whichever it is here.
        Err(TokenError::Audience) => {
            let body = body(text).expect("was read before");
            expected.audience = body["aud"].as_str().and_then(|text| text.parse().ok()).expect("an id");
            parsed.verify(&world.keys, &expected, NOW)
        }
        verified => verified,
    };
    let Ok(verified) = verified else { return false };
    let head = verified.head();
    assert_eq!((head.iss, head.incarnation(), head.aud), (expected.issuer, expected.incarnation, expected.audience));
    let record = world.records.iter().find(|record| record.kid == verified.kid()).expect("a known key");
    assert!(record.covers(head.idx), "{record:?} does not cover {}", head.idx);
    assert!(head.exp > NOW.seconds() && head.iat.max(head.nbf) <= NOW.plus(MAX_CLOCK_LEAD).seconds());
    assert!(head.exp.saturating_sub(head.iat) <= max_life(T::KIND).as_secs());
    assert_eq!(serde_json::to_value(&*verified).ok(), body(text), "the body says more or less than was read");
    is_signed_by(text, verified.kid());
    true
}

fn body(text: &str) -> Option<Value> {
    let body = data_encoding::BASE64URL_NOPAD.decode(text.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Ed25519 signs the same message in one way only.
fn is_signed_by(text: &str, kid: &str) {
    let (message, signature) = text.rsplit_once('.').expect("three parts");
    let signer = WORLD.signers.iter().find(|signer| signer.kid() == kid).expect("a known key");
    let key = EncodingKey::from_ed_der(signer.expose_pkcs8());
    let own = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA);
    assert_eq!(own.as_deref().ok(), Some(signature), "accepted with another signature than the key's");
}
