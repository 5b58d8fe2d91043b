//! Devices at sign-in: cookies, registration with addresses in one log entry, and what a device is told of Controllers.

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::device::DeviceRegistration;
use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::ControllerAddress;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::address::{Addresses, AllocateAddresses};
use ringwall_raft::state::device::{DeviceMatch, RegisterDevice, match_device};
use ringwall_raft::{Command, Rejection, Reply, State};
use ringwall_trust::secret::{SecretKey, SystemRandom};

use super::decision::device_conflict;
use super::{AuthenticatedUser, SignIn};
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;

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
pub(super) struct Registering<'a> {
    pub(super) authenticated: &'a AuthenticatedUser,
    pub(super) new_cookie: &'a Cookie,
    pub(super) mfa_given: bool,
}

/// A sign-in that was recorded.
pub(crate) struct Registered {
    pub(crate) addresses: Addresses,
    /// Text of the device's SPA key, if knocks are wanted.
    pub(crate) spa_key: Option<String>,
    /// The device was known.
    pub(crate) matched: bool,
}

impl SignIn {
    /// Records the device and its addresses in one entry.
    pub(super) async fn register(&self, it: Registering<'_>) -> Result<Registered, Refusal> {
        let state = self.replica.state();
        let (user, device) = (it.authenticated.user.id, it.authenticated.begun.dn.device);
        let spa_key =
            (state.settings().spa_mode != SpaMode::Open).then(|| self.device_spa_key(&state, it)).transpose()?;
        let purpose = Purpose::DeviceSpa(user, device);
        let sealed = spa_key.as_ref().map(|key| self.vault.seal_new(state.kek(), purpose, key.expose()));
        let register = RegisterDevice {
            user_id: user,
            provider_id: it.authenticated.begun.provider.base.id,
            dn: it.authenticated.begun.dn.clone(),
            key: it.authenticated.begun.jkt,
            presented_cookie: it.authenticated.begun.cookie.as_ref().map(Cookie::hash),
            new_cookie: it.new_cookie.hash(),
            hostname: it.authenticated.begun.hostname.clone(),
            mfa_given: it.mfa_given,
            spa_key: sealed,
        };
        let allocate = AllocateAddresses {
            user_id: user,
            provider_id: it.authenticated.begun.provider.base.id,
            device_id: device,
        };
        let group = Command::Group(vec![register.into(), allocate.into()]);
        let outcome = self.replica.propose(group).await?;
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

    /// The key that the device has already, or a new one: also if whoever was removed since may know it (T72).
    fn device_spa_key(&self, state: &State, it: Registering<'_>) -> Result<SecretKey, Refusal> {
        let (user, device) = (it.authenticated.user.id, it.authenticated.begun.dn.device);
        let known = state.device(user, device).filter(|known| known.spa_key_at >= state.spa_masters().at());
        match known.and_then(|known| known.spa_key.as_deref()) {
            Some(sealed) => self.vault.open_key(Purpose::DeviceSpa(user, device), sealed),
            None => Ok(SecretKey::generate(&SystemRandom)),
        }
    }
}

/// How a device that is registered stands at a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the registered one.
    Registered,
    /// Somebody else may have its id, its key or its cookie (T15).
    Doubtful {
        /// What the audit calls it.
        audited: &'static str,
    },
}

/// Compares what a device brings with its registration. A cookie that was replaced long ago was copied: by whoever shows
/// it now, or by whoever had it replaced.
pub(crate) fn standing(
    known: &DeviceRegistration,
    dn: &SessionDn,
    cookie: Option<&str>,
    key: Thumbprint,
    now: UnixMillis,
) -> Standing {
    match match_device(known, cookie, key, now) {
        DeviceMatch::Known if known.dn == *dn => Standing::Registered,
        DeviceMatch::CookieReused => Standing::Doubtful { audited: "device_cookie_reused" },
        DeviceMatch::Known | DeviceMatch::Conflict => Standing::Doubtful { audited: "device_conflict" },
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringwall_protocol::id::{DeviceId, LogIndex, ProviderId, UserId};

    use super::*;

    const REPLACED: UnixMillis = UnixMillis(1_795_348_800_000);

    fn registration() -> DeviceRegistration {
        let device_id = DeviceId::from_random([1; 16]);
        DeviceRegistration {
            user_id: UserId::from_random([2; 16]),
            provider_id: ProviderId::from_random([3; 16]),
            device_id,
            dn: format!("CN={},CN=alice,OU=local", device_id.simple()).parse().expect("a DN"),
            key: Thumbprint([4; 32]),
            cookie_hash: "present".to_owned(),
            former_cookie: Some(("former".to_owned(), REPLACED)),
            hostname: String::new(),
            on_boarded_at: REPLACED,
            last_seen_at: REPLACED,
            spa_key: None,
            spa_key_at: LogIndex(0),
            former_spa_key: None,
        }
    }

    #[test]
    fn a_former_cookie_is_audited_as_reused_after_ten_minutes() {
        let known = registration();
        let at = |seconds: u64| {
            let now = REPLACED.plus(Duration::from_secs(seconds));
            standing(&known, &known.dn, Some("former"), known.key, now)
        };
        assert_eq!([at(0), at(600)], [Standing::Registered; 2], "the answer with the new one may have been lost");
        assert_eq!([at(601), at(86_400)], [Standing::Doubtful { audited: "device_cookie_reused" }; 2]);
    }

    #[test]
    fn whatever_else_differs_is_a_conflict() {
        let known = registration();
        let conflict = Standing::Doubtful { audited: "device_conflict" };
        let other: SessionDn = known.dn.to_string().replace("alice", "mallory").parse().expect("a DN");
        let now = REPLACED.plus(Duration::from_secs(3_600));
        assert_eq!(standing(&known, &known.dn, Some("present"), known.key, now), Standing::Registered);
        assert_eq!(standing(&known, &other, Some("present"), known.key, now), conflict);
        assert_eq!(standing(&known, &known.dn, Some("present"), Thumbprint([5; 32]), now), conflict);
        assert_eq!(standing(&known, &known.dn, Some("former"), Thumbprint([5; 32]), now), conflict);
        assert_eq!(standing(&known, &known.dn, None, known.key, now), conflict);
        assert_eq!(standing(&known, &known.dn, Some("guessed"), known.key, now), conflict);
    }
}
