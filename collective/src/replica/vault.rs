//! The Collective's stored secrets: sealed before they are proposed, opened only here. Each has a label of its own, so
//! that one moved to another's place does not open.

use ringwall_protocol::id::{AdminSessionId, ApplianceId, DeviceId, TransactionId, UserId};
use ringwall_raft::state::secret::Sealed;
use ringwall_trust::secret::{SecretKey, SystemRandom, open, seal};
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// Name of the SPA master secret among the replicated secrets.
pub(crate) const SPA_MASTER: &str = "spa/master";

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
    /// The name of an on-boarding page, which a stranger brings back.
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

/// Seals and opens under the key-encryption key. No `Debug`.
pub struct Vault(SecretKey);

impl Vault {
    /// A vault under this key.
    #[must_use]
    pub const fn new(kek: SecretKey) -> Self {
        Self(kek)
    }

    /// The key itself, for a Controller that joins.
    #[must_use]
    pub const fn expose_kek(&self) -> &SecretKey {
        &self.0
    }

    /// Seals a secret.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, secret: &[u8]) -> Sealed {
        let sealed = seal(&self.0, &purpose.label(), secret, &SystemRandom);
        Sealed::new(data_encoding::BASE64URL_NOPAD.encode(&sealed))
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// `internal`, with the cause in the log: the secret was not sealed by this Collective for this purpose.
    pub fn open(&self, purpose: Purpose, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(sealed.as_bytes());
        let opened = bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| open(&self.0, &purpose.label(), &bytes).map_err(|error| error.to_string()));
        opened.map_err(|error| {
            tracing::error!(?purpose, error, "stored secret does not open");
            Refusal::internal()
        })
    }

    /// Opens what a stranger says that this Collective sealed; `None` if it did not.
    #[must_use]
    pub fn open_foreign(&self, purpose: Purpose, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        open(&self.0, &purpose.label(), &bytes).ok()
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
        let vault = Vault::new(SecretKey::new([1; 32]));
        let (one, other) = (ApplianceId::from_random([1; 16]), ApplianceId::from_random([2; 16]));
        let sealed = vault.seal(Purpose::GatewaySpa(one), &[7; 32]);
        assert!(vault.open_key(Purpose::GatewaySpa(one), sealed.as_str()).is_ok_and(|key| key.expose() == &[7; 32]));
        assert!(vault.open_key(Purpose::GatewaySpa(other), sealed.as_str()).is_err());
        assert!(vault.open_key(Purpose::SpaMaster, sealed.as_str()).is_err());
        assert!(vault.open(Purpose::GatewaySpa(one), "no base64!").is_err());
    }
}
