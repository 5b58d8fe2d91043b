//! Keys of knocks: whose they are, what they open, and the four keys that HKDF (RFC 5869) makes of each (T42).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use ringwall_protocol::id::{ApplianceId, DeviceId, UserId};
use ringwall_protocol::spa::Service;

use crate::secret::SecretKey;

/// Whose key was used: what the program behind the gate may conclude from a knock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOwner {
    /// All clients of a profile, for first contact; the SPA key's name.
    Profile(Arc<str>),
    /// One registered device.
    Device(UserId, DeviceId),
    /// Whoever holds an entitlement token that names this Gateway.
    Gateway(ApplianceId),
    /// A member, or somebody who joins.
    Peer(PeerRole),
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
    /// An administrator's tools.
    Admin,
}

impl PeerRole {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Raft => b"raft",
            Self::Feed => b"feed",
            Self::Join => b"join",
            Self::Admin => b"admin",
        }
    }
}

impl KeyOwner {
    /// Whether this owner's key may ask for the service.
    #[must_use]
    pub(crate) const fn may_ask_for(&self, service: Service) -> bool {
        match self {
            Self::Profile(_) | Self::Device(..) => matches!(service, Service::Client),
            Self::Gateway(_) => matches!(service, Service::Tunnel | Service::Datagram),
            Self::Peer(PeerRole::Admin) => matches!(service, Service::Admin),
            Self::Peer(_) => matches!(service, Service::Peer),
        }
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

/// The four keys that one SPA secret stands for, ready for use. No `Debug`.
pub struct SpaKey {
    pub(super) udp_hint: hmac::Key,
    pub(super) udp_seal: LessSafeKey,
    pub(super) tcp_hint: hmac::Key,
    pub(super) tcp_mac: hmac::Key,
}

impl SpaKey {
    /// Derives the four keys.
    #[must_use]
    pub fn new(secret: &SecretKey) -> Self {
        let mac = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, derive(secret, &[label]).expose());
        let seal = UnboundKey::new(&AES_256_GCM, derive(secret, &[b"udp/seal"]).expose());
        Self {
            udp_hint: mac(b"udp/hint"),
            udp_seal: LessSafeKey::new(seal.expect("AES-256 takes 32 bytes")),
            tcp_hint: mac(b"tcp/hint"),
            tcp_mac: mac(b"tcp/mac"),
        }
    }
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
    let mut key = zeroize::Zeroizing::new([0; 32]);
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
        assert!(KeyOwner::Gateway(ApplianceId::from_random([1; 16])).may_ask_for(Service::Tunnel));
        assert!(!KeyOwner::Peer(PeerRole::Feed).may_ask_for(Service::Client));
        assert!(!KeyOwner::Peer(PeerRole::Admin).may_ask_for(Service::Peer));
    }
}
