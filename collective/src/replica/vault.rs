//! The Collective's stored secrets: sealed before they are proposed, opened only here. Each has a label of its own, so
//! that one moved to another's place does not open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ringwall_protocol::id::{AdminSessionId, ApplianceId, DeviceId, TransactionId, UserId};
use ringwall_raft::state::kek::Kek;
use ringwall_raft::state::secret::{Sealed, split};
use ringwall_raft::state::secret_place::SecretPlace;
use ringwall_trust::secret::{SecretKey, SystemRandom, open, seal};
use zeroize::Zeroizing;

use super::key_ring::KeyRing;
use crate::refusal::Refusal;

/// Label of every generation of the SPA master key.
const SPA_MASTER: &str = "spa/master";

/// What a secret is for; also its label under the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// From which profiles' and peers' SPA keys are derived.
    SpaMaster,
    /// With which Clients knock on a Gateway.
    GatewaySpa(ApplianceId),
    /// With which one device knocks on Controllers.
    DeviceSpa(UserId, DeviceId),
    /// A user's TOTP seed.
    TotpSeed(UserId),
    /// What a provider must remember of a transaction.
    Transaction(TransactionId),
    /// What a provider needs again with the next answer of a transaction.
    TransactionState(TransactionId),
    /// A secret of an identity provider or MFA provider, by field.
    Provider(uuid::Uuid, &'static str),
    /// The name of an on-boarding page, which an unauthenticated peer brings back.
    OnBoarding,
    /// What a browser was sent out with, which a Client brings back.
    BrowserRequest,
    /// What the verifier keeps of a user's security keys.
    SecurityKey(UserId),
    /// What an identity provider said of an administrator at sign-in.
    AdminSession(AdminSessionId),
}

impl Purpose {
    fn label(self) -> String {
        match self {
            Self::SpaMaster => SPA_MASTER.to_owned(),
            Self::GatewaySpa(gateway) => format!("spa/gateway/{gateway}"),
            Self::DeviceSpa(user, device) => format!("spa/device/{user}/{device}"),
            Self::TotpSeed(user) => format!("totp/{user}"),
            Self::Transaction(transaction) => format!("transaction/{transaction}"),
            Self::TransactionState(transaction) => format!("transaction-state/{transaction}"),
            Self::Provider(provider, field) => format!("provider/{provider}/{field}"),
            Self::OnBoarding => "on-boarding".to_owned(),
            Self::BrowserRequest => "browser-request".to_owned(),
            Self::SecurityKey(user) => format!("security-key/{user}"),
            Self::AdminSession(session) => format!("admin-session/{session}"),
        }
    }
}

/// The label under which the secret of a place is sealed: that of its purpose.
fn label_of(place: &SecretPlace) -> String {
    match place {
        // Its name is its label.
        SecretPlace::Named(name) => name.clone(),
        SecretPlace::SpaMaster(_) => Purpose::SpaMaster.label(),
        SecretPlace::GatewaySpa(gateway, _) => Purpose::GatewaySpa(*gateway).label(),
        SecretPlace::DeviceSpa(user, device) | SecretPlace::FormerDeviceSpa(user, device) => {
            Purpose::DeviceSpa(*user, *device).label()
        }
        SecretPlace::TotpSeed(user) => Purpose::TotpSeed(*user).label(),
        SecretPlace::SecurityKey(user, _) => Purpose::SecurityKey(*user).label(),
        SecretPlace::AdminSession(session) => Purpose::AdminSession(*session).label(),
        SecretPlace::Transaction(transaction) => Purpose::Transaction(*transaction).label(),
        SecretPlace::TransactionState(transaction) => Purpose::TransactionState(*transaction).label(),
    }
}

/// Seals under the active key-encryption key, and opens under any that is held. No `Debug`.
pub struct Vault {
    ring: RwLock<KeyRing>,
    /// The generation under which it seals.
    sealing: AtomicU32,
}

impl Vault {
    /// A vault with these keys. It seals under the oldest of them until it is told which one is active: that is never one that
    /// other members do not hold yet.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        Self { sealing: AtomicU32::new(ring.oldest()), ring: RwLock::new(ring) }
    }

    /// All keys, for their file and for a Controller that joins.
    #[must_use]
    pub(crate) fn ring(&self) -> KeyRing {
        self.read().clone()
    }

    /// Seals under this generation from now on, if it is held.
    pub(crate) fn seal_under(&self, active: u32) {
        // Never back: those who tell it may have read states of different age.
        if self.holds(active) {
            self.sealing.fetch_max(active, Ordering::AcqRel);
        }
    }

    /// Whether the key under which a text is sealed is held: not in a state that is replayed from before its rotation.
    pub(crate) fn holds_key_of(&self, sealed: &str) -> bool {
        split(sealed).is_some_and(|(generation, _)| self.holds(generation))
    }

    /// Under which generation it seals.
    pub(crate) fn sealing(&self) -> u32 {
        self.sealing.load(Ordering::Acquire)
    }

    /// Whether the key of a generation is held.
    pub(crate) fn holds(&self, generation: u32) -> bool {
        self.read().get(generation).is_some()
    }

    /// Replaces the keys: what the file of them holds by now.
    pub(crate) fn replace(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    fn read(&self) -> RwLockReadGuard<'_, KeyRing> {
        // A writer replaces the ring as a whole: a panic leaves the former one.
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals a secret.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, secret: &[u8]) -> Sealed {
        self.seal_as(&purpose.label(), secret)
    }

    /// Seals a key that is made now: never under a key-encryption key that `kek` says is replaced, however far behind this
    /// Controller's own part of a rotation is (T72).
    #[must_use]
    pub(crate) fn seal_new(&self, kek: &Kek, purpose: Purpose, secret: &[u8]) -> Sealed {
        self.seal_under(kek.active);
        self.seal(purpose, secret)
    }

    fn seal_as(&self, label: &str, secret: &[u8]) -> Sealed {
        let ring = self.read();
        let generation = self.sealing();
        // What it seals under is in the ring; a ring is never empty.
        let (generation, key) = match ring.get(generation) {
            Some(key) => (generation, key),
            None => ring.iter().next().expect("a ring holds a key"),
        };
        let sealed = seal(key, label, secret, &SystemRandom);
        Sealed::new(generation, data_encoding::BASE64URL_NOPAD.encode(&sealed))
    }

    /// Seals under the active key what stands in the state under a former one.
    ///
    /// # Errors
    /// Why it does not open.
    pub(crate) fn reseal(&self, place: &SecretPlace, sealed: &str) -> Result<Sealed, String> {
        let label = label_of(place);
        let opened = self.open_as(&label, sealed)?;
        Ok(self.seal_as(&label, &opened))
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// `internal`, with the cause in the log: the secret was not sealed by this Collective for this purpose.
    pub fn open(&self, purpose: Purpose, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        self.open_as(&purpose.label(), sealed).map_err(|error| {
            tracing::error!(?purpose, error, "stored secret does not open");
            Refusal::internal()
        })
    }

    /// Opens what an unauthenticated peer says that this Collective sealed; `None` if it did not.
    #[must_use]
    pub fn open_foreign(&self, purpose: Purpose, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.open_as(&purpose.label(), sealed).ok()
    }

    fn open_as(&self, label: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let (generation, text) = split(sealed).ok_or("it is no sealed text")?;
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| error.to_string())?;
        let ring = self.read();
        let key = ring.get(generation).ok_or_else(|| {
            format!("generation {generation} of the key-encryption key is not in kek.key; restore kek.key from a newer backup, or join again")
        })?;
        open(key, label, &bytes).map_err(|error| error.to_string())
    }

    /// Opens a secret of 32 bytes.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_key(&self, purpose: Purpose, sealed: &str) -> Result<SecretKey, Refusal> {
        let bytes = self.open(purpose, sealed)?;
        <[u8; 32]>::try_from(bytes.as_slice()).map(SecretKey::new).map_err(|_| {
            tracing::error!(?purpose, "stored secret has another length than a key");
            Refusal::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_for_its_own_purpose() {
        let vault = Vault::new(KeyRing::first(SecretKey::new([1; 32])));
        let (one, other) = (ApplianceId::from_random([1; 16]), ApplianceId::from_random([2; 16]));
        let sealed = vault.seal(Purpose::GatewaySpa(one), &[7; 32]);
        assert!(vault.open_key(Purpose::GatewaySpa(one), sealed.as_str()).is_ok_and(|key| key.expose() == &[7; 32]));
        assert!(vault.open_key(Purpose::GatewaySpa(other), sealed.as_str()).is_err());
        assert!(vault.open_key(Purpose::SpaMaster, sealed.as_str()).is_err());
        for bad in ["no base64!", "1.no base64!", ".", "2.AAAA"] {
            assert!(vault.open(Purpose::GatewaySpa(one), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_further_key_seals_only_when_told_and_what_the_former_sealed_still_opens() {
        let vault = Vault::new(KeyRing::first(SecretKey::new([1; 32])));
        let gateway = ApplianceId::from_random([1; 16]);
        let former = vault.seal(Purpose::GatewaySpa(gateway), &[7; 32]);
        let mut ring = vault.ring();
        ring.insert(2, SecretKey::new([2; 32]));
        vault.replace(ring);
        assert_eq!(vault.seal(Purpose::SpaMaster, &[1; 32]).generation(), Some(1));
        vault.seal_under(3);
        assert_eq!(vault.sealing(), 1, "a key that is not held seals nothing");
        vault.seal_under(2);
        let place = SecretPlace::GatewaySpa(gateway, 1);
        let sealed = vault.reseal(&place, former.as_str()).expect("resealed");
        assert_eq!(sealed.generation(), Some(2));
        let mut ring = vault.ring();
        ring.retain(|generation| generation == 2);
        vault.replace(ring);
        assert!(
            vault.open_key(Purpose::GatewaySpa(gateway), sealed.as_str()).is_ok_and(|key| key.expose() == &[7; 32])
        );
        assert!(vault.open(Purpose::GatewaySpa(gateway), former.as_str()).is_err());
    }
}
