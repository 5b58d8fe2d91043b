//! Devices at sign-in: cookies, registration with addresses in one log entry, and what a device is told of Controllers.

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::wire::client::ControllerAddress;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::address::{Addresses, AllocateAddresses};
use ringwall_raft::state::device::RegisterDevice;
use ringwall_raft::{Command, Rejection, Reply, State};
use ringwall_trust::secret::{SecretKey, SystemRandom};

use super::sign_in::{Proved, device_conflict};
use crate::controller::Controller;
use crate::refusal::Refusal;
use crate::vault::Purpose;

/// A device cookie as it is known here: the SHA-256 of 32 random bytes, base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookie(String);

impl Cookie {
    /// A new cookie, and the text that only the device gets.
    pub(crate) fn fresh() -> (Self, String) {
        let secret = SecretKey::generate(&SystemRandom);
        (Self::of(&secret), secret.expose_text().to_string())
    }

    /// A cookie that was presented; what is none counts as absent.
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        text?.parse().ok().map(|secret| Self::of(&secret))
    }

    /// A cookie whose hash was kept.
    pub(crate) const fn hashed(hash: String) -> Self {
        Self(hash)
    }

    /// As it is stored.
    pub(crate) fn hash(&self) -> String {
        self.0.clone()
    }

    fn of(secret: &SecretKey) -> Self {
        Self(BASE64URL_NOPAD.encode(&secret.digest()))
    }
}

/// A sign-in about to be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registering<'a> {
    pub(crate) proved: &'a Proved,
    pub(crate) new_cookie: &'a Cookie,
    pub(crate) mfa_given: bool,
}

/// A sign-in that was recorded.
pub(crate) struct Registered {
    pub(crate) addresses: Addresses,
    /// Text of the device's SPA key, if knocks are wanted.
    pub(crate) spa_key: Option<String>,
    /// The device was known.
    pub(crate) matched: bool,
}

impl Controller {
    /// Records the device and its addresses in one entry.
    pub(crate) async fn register(&self, it: Registering<'_>) -> Result<Registered, Refusal> {
        let state = self.node.state();
        let (user, device) = (it.proved.user.id, it.proved.dn.device);
        let spa_key =
            (state.settings().spa_mode != SpaMode::Open).then(|| self.device_spa_key(&state, it)).transpose()?;
        let sealed = spa_key.as_ref().map(|key| self.vault.seal(Purpose::DeviceSpa(user, device), key.expose()));
        let register = RegisterDevice {
            user_id: user,
            provider_id: it.proved.provider.base.id,
            dn: it.proved.dn.clone(),
            key: it.proved.jkt,
            presented_cookie: it.proved.cookie.as_ref().map(Cookie::hash),
            new_cookie: it.new_cookie.hash(),
            hostname: it.proved.hostname.clone(),
            mfa_given: it.mfa_given,
            spa_key: sealed,
        };
        let allocate = AllocateAddresses { user_id: user, provider_id: it.proved.provider.base.id, device_id: device };
        let group = Command::Group(vec![register.into(), allocate.into()]);
        let outcome = self.propose(group).await?;
        let (mut known, mut given) = (false, None);
        match outcome.reply {
            Reply::Refused(rejection) => return Err(refused(&rejection)),
            Reply::Group(parts) => parts.into_iter().for_each(|part| match part {
                Reply::Addresses(addresses) => given = Some(addresses),
                Reply::Device { matched, .. } => known = matched,
                _ => {}
            }),
            _ => {}
        }
        let addresses = given.ok_or_else(Refusal::internal)?;
        Ok(Registered { addresses, spa_key: spa_key.map(|key| key.expose_text().to_string()), matched: known })
    }

    /// The key that the device has already, or a new one.
    fn device_spa_key(&self, state: &State, it: Registering<'_>) -> Result<SecretKey, Refusal> {
        let (user, device) = (it.proved.user.id, it.proved.dn.device);
        match state.device(user, device).and_then(|known| known.spa_key.as_deref()) {
            Some(sealed) => self.vault.open_key(Purpose::DeviceSpa(user, device), sealed),
            None => Ok(SecretKey::generate(&SystemRandom)),
        }
    }
}

/// What a Client may learn, after its password was right, of why it was not registered.
fn refused(rejection: &Rejection) -> Refusal {
    match rejection.code() {
        ErrorCode::DeviceConflict => device_conflict(),
        ErrorCode::SignInRefused => Refusal::sign_in(),
        code => Refusal::new(code, rejection.to_string()),
    }
}

/// Controllers that serve Clients, to try in turn.
pub(crate) fn controllers(state: &State) -> Vec<ControllerAddress> {
    state
        .controllers()
        .filter(|record| record.state == ApplianceState::Active && !record.client_addresses.is_empty())
        .map(|record| ControllerAddress {
            addresses: record.client_addresses.clone(),
            spki_sha256: record.keys.clone(),
        })
        .collect()
}
