//! Keys of knocks: whose they are, what they open, and the keys that HKDF (RFC 5869) makes of each (T42).

use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use ringwall_protocol::id::{ApplianceId, DeviceId, UserId};
use ringwall_protocol::spa::Service;
use zeroize::Zeroizing;

use super::handle::{HANDLE_LEN, Handle, SessionTag};
use crate::secret::{InvalidSecret, SecretKey};

/// Whose key was used: what the program behind the gate may conclude from a knock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// All clients of a profile, for first contact; the SPA key's name.
    Profile(Arc<str>),
    /// One registered device.
    Device(UserId, DeviceId),
    /// One device of one user at this Gateway, with the key in its entitlement token.
    Session(ApplianceId, SessionTag),
    /// A member, or somebody who joins.
    Peer(PeerRole),
    /// One administrator's tools on one machine.
    Administrator(SessionTag),
}

/// What the Collective's own keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerRole {
    /// Controller to Controller.
    Raft,
    /// Gateway to Controller.
    Feed,
    /// A joining appliance; stands in its seed file.
    Join,
}

impl PeerRole {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Raft => b"raft",
            Self::Feed => b"feed",
            Self::Join => b"join",
        }
    }
}

impl KeyOwner {
    /// Whether this owner's key may ask for the service.
    #[must_use]
    pub(crate) const fn may_ask_for(&self, service: Service) -> bool {
        match self {
            Self::Profile(_) | Self::Device(..) => matches!(service, Service::Client),
            Self::Session(..) => matches!(service, Service::Tunnel | Service::Datagram),
            Self::Administrator(_) => matches!(service, Service::Admin),
            Self::Peer(_) => matches!(service, Service::Peer),
        }
    }

    /// Whether many devices hold the key.
    #[must_use]
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Profile(_) | Self::Peer(_))
    }
}

/// A profile's key: the same on every Controller, without being stored.
#[must_use]
pub fn derive_profile_key(master: &SecretKey, spa_key_name: &str, generation: u32) -> SecretKey {
    derive(master, &[b"profile", spa_key_name.as_bytes(), &[0], &generation.to_be_bytes()])
}

/// One of the Collective's own keys.
#[must_use]
pub fn derive_peer_key(master: &SecretKey, role: PeerRole, generation: u32) -> SecretKey {
    derive(master, &[b"peer", role.label(), &[0], &generation.to_be_bytes()])
}

/// The root of administrators' keys for the admin port.
#[must_use]
pub fn derive_administrators_root(master: &SecretKey, generation: u32) -> SecretKey {
    derive(master, &[b"administrators", &[0], &generation.to_be_bytes()])
}

/// What a sender knocks with.
///
/// Text form: base64url without padding of the 32 bytes of a key, or of 96 bytes: outer key, handle, key.
#[derive(Clone, PartialEq, Eq)]
pub struct KnockSecret {
    key: SecretKey,
    session: Option<SessionPart>,
}

/// What belongs to a key that a Gateway derives from a handle.
#[derive(Clone, PartialEq, Eq)]
struct SessionPart {
    /// Shared by all Clients of the Gateway; it opens nothing, and only hides the handle on the wire.
    outer: SecretKey,
    handle: Handle,
}

impl KnockSecret {
    /// The key of one device at a receiver whose own key is `root`.
    #[must_use]
    pub fn for_session(root: &SecretKey, handle: Handle) -> Self {
        let key = HandleRoot::new(root).key_of(&handle);
        Self { key, session: Some(SessionPart { outer: outer_key(root), handle }) }
    }

    /// The text form, for a token, a file or a link that is itself secret.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(3 * 32));
        if let Some(session) = &self.session {
            bytes.extend(session.outer.expose());
            bytes.extend(session.handle.as_bytes());
        }
        bytes.extend(self.key.expose());
        Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }
}

impl From<SecretKey> for KnockSecret {
    fn from(key: SecretKey) -> Self {
        Self { key, session: None }
    }
}

impl FromStr for KnockSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        const LONG: usize = 32 + HANDLE_LEN + 32;
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| InvalidSecret)?;
        let part = |at: usize| -> Result<[u8; 32], InvalidSecret> {
            bytes.get(at..at + 32).and_then(|part| part.try_into().ok()).ok_or(InvalidSecret)
        };
        match bytes.len() {
            32 => Ok(SecretKey::new(part(0)?).into()),
            LONG => Ok(Self {
                key: SecretKey::new(part(32 + HANDLE_LEN)?),
                session: Some(SessionPart { outer: SecretKey::new(part(0)?), handle: Handle::from_bytes(part(32)?) }),
            }),
            _ => Err(InvalidSecret),
        }
    }
}

/// The keys that one SPA secret stands for, ready for use. No `Debug`.
pub struct SpaKey {
    pub(super) outer: OuterKeys,
    pub(super) udp_seal: LessSafeKey,
    pub(super) tcp_mac: hmac::Key,
    /// Absent: the key is known to the receiver as it is.
    pub(super) handle: Option<Handle>,
}

/// By what a receiver recognises a key, and what hides a handle.
pub(super) struct OuterKeys {
    pub(super) udp_hint: hmac::Key,
    pub(super) tcp_hint: hmac::Key,
    pub(super) mask: hmac::Key,
}

impl SpaKey {
    /// Derives the keys of a secret that the receiver holds.
    #[must_use]
    pub fn new(secret: &SecretKey) -> Self {
        let outer = OuterKeys::new(secret);
        Self { outer, udp_seal: udp_seal(secret), tcp_mac: tcp_mac(secret), handle: None }
    }

    /// Derives the keys of whatever a sender has.
    #[must_use]
    pub fn of(secret: &KnockSecret) -> Self {
        let key = Self::new(&secret.key);
        match &secret.session {
            None => key,
            Some(session) => Self { outer: OuterKeys::new(&session.outer), handle: Some(session.handle), ..key },
        }
    }
}

impl OuterKeys {
    pub(super) fn new(secret: &SecretKey) -> Self {
        let key = |label| mac_key(secret, label);
        Self { udp_hint: key(b"udp/hint"), tcp_hint: key(b"tcp/hint"), mask: key(b"handle/mask") }
    }

    /// What is laid over a handle in a knock with this nonce, so that nobody follows a sender by it.
    pub(super) fn mask(&self, nonce: &[u8]) -> [u8; HANDLE_LEN] {
        hmac::sign(&self.mask, nonce).as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}

/// A Gateway's own key: it makes the key of each handle, and needs no list of them.
pub(super) struct HandleRoot {
    secret: SecretKey,
    pub(super) seal: hmac::Key,
}

impl HandleRoot {
    pub(super) fn new(gateway: &SecretKey) -> Self {
        Self { secret: gateway.clone(), seal: mac_key(gateway, b"gateway/handle") }
    }

    pub(super) fn key_of(&self, handle: &Handle) -> SecretKey {
        derive(&self.secret, &[b"gateway/session", handle.as_bytes()])
    }
}

/// The key that all Clients of a Gateway share, to hide their handles.
pub(super) fn outer_key(gateway: &SecretKey) -> SecretKey {
    derive(gateway, &[b"gateway/outer"])
}

pub(super) fn udp_seal(secret: &SecretKey) -> LessSafeKey {
    let seal = UnboundKey::new(&AES_256_GCM, derive(secret, &[b"udp/seal"]).expose());
    LessSafeKey::new(seal.expect("AES-256 takes 32 bytes"))
}

pub(super) fn tcp_mac(secret: &SecretKey) -> hmac::Key {
    mac_key(secret, b"tcp/mac")
}

fn mac_key(secret: &SecretKey, label: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, derive(secret, &[label]).expose())
}

/// The hint of a key in a period.
pub(super) fn hint(key: &hmac::Key, period: u64) -> [u8; 8] {
    let tag = hmac::sign(key, &period.to_be_bytes());
    tag.as_ref()[..8].try_into().expect("HMAC-SHA256 has 32 bytes")
}

fn derive(secret: &SecretKey, info: &[&[u8]]) -> SecretKey {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"ringwall/spa/1")
        .extract(secret.expose())
        .expand(info, Length)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("HKDF-SHA256 gives 32 bytes");
    SecretKey::new(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_roles_and_generations_all_give_different_keys() {
        let master = SecretKey::new([7; 32]);
        let keys = [
            derive_profile_key(&master, "a", 0),
            derive_profile_key(&master, "b", 0),
            derive_profile_key(&master, "a", 1),
            derive_peer_key(&master, PeerRole::Raft, 0),
            derive_peer_key(&master, PeerRole::Feed, 0),
            derive_profile_key(&SecretKey::new([8; 32]), "a", 0),
            derive_administrators_root(&master, 0),
            derive_administrators_root(&master, 1),
            outer_key(&master),
            HandleRoot::new(&master).key_of(&Handle::from_bytes([1; 32])),
            HandleRoot::new(&master).key_of(&Handle::from_bytes([2; 32])),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(at + 1).all(|other| one != other), "key {at}");
        }
        assert!(derive_profile_key(&master, "a", 0) == keys[0], "derivation is a function");
    }

    #[test]
    fn a_key_opens_only_what_its_owner_may_ask_for() {
        let profile = KeyOwner::Profile("p".into());
        assert!(profile.may_ask_for(Service::Client));
        assert!(!profile.may_ask_for(Service::Admin));
        assert!(!profile.may_ask_for(Service::Peer));
        let session = KeyOwner::Session(ApplianceId::from_random([1; 16]), SessionTag([1; 8]));
        assert!(session.may_ask_for(Service::Tunnel));
        assert!(!session.may_ask_for(Service::Client));
        assert!(!KeyOwner::Peer(PeerRole::Feed).may_ask_for(Service::Client));
        let administrator = KeyOwner::Administrator(SessionTag([1; 8]));
        assert!(administrator.may_ask_for(Service::Admin));
        assert!(!administrator.may_ask_for(Service::Peer) && !administrator.may_ask_for(Service::Client));
    }

    #[test]
    fn what_a_sender_knocks_with_survives_its_text_form() {
        let shared = KnockSecret::from(SecretKey::new([1; 32]));
        let session = KnockSecret::for_session(&SecretKey::new([2; 32]), Handle::from_bytes([3; 32]));
        for secret in [shared, session] {
            assert!(secret.expose_text().parse::<KnockSecret>().expect("own text") == secret);
        }
        for bad in ["", "AAAA", &"A".repeat(44), &"A".repeat(127)] {
            assert!(bad.parse::<KnockSecret>().is_err(), "{bad}");
        }
    }
}
