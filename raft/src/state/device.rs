//! Registered devices: matched by cookie and key, limited per user, forgotten when unseen (T15, S19–S22).

use std::time::Duration;

use ringwall_protocol::device::DeviceRegistration;
use ringwall_protocol::id::{DeviceId, LogIndex, ProviderId, Thumbprint, UserId};
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::object::identity_provider::DeviceTakeover;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::step::{Cutoff, Step};

/// How long a replaced cookie is accepted once more: the answer with the new one may have been lost.
pub(crate) const FORMER_COOKIE: Duration = Duration::from_secs(10 * 60);
/// `last_seen_at` is kept to the hour, so that renewals rarely write.
pub(crate) const SEEN_STEP: Duration = Duration::from_secs(3600);
/// Most devices that one entry touches.
pub(crate) const MAX_TOUCHED: usize = 1_000;

/// A user on a device.
pub(crate) type Registrations = Map<(UserId, DeviceId), DeviceRegistration>;

/// A user signed in on a device. Decides here, and nowhere else: matched, new within the provider's limit, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterDevice {
    /// The user.
    pub user_id: UserId,
    /// The user's provider; its object holds limit and takeover rule.
    pub provider_id: ProviderId,
    /// The session DN of the pair; holds the device id.
    pub dn: SessionDn,
    /// Key of the device.
    pub key: Thumbprint,
    /// SHA-256 of the cookie that the device presented, base64url.
    pub presented_cookie: Option<String>,
    /// SHA-256 of the cookie that it is given now, base64url.
    pub new_cookie: String,
    /// What the device says of itself.
    #[serde(default)]
    pub hostname: String,
    /// The user gave another factor in this sign-in: with `replaceWithMfa` a registration that does not match gives way.
    #[serde(default)]
    pub mfa_given: bool,
    /// SPA key of the device, if it is issued now.
    #[serde(default)]
    pub spa_key: Option<Sealed>,
}

/// Devices were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchDevices {
    /// Which; unknown ones are disregarded.
    pub devices: Vec<(UserId, DeviceId)>,
}

/// Removes a registration and cuts its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveDevice {
    /// The user.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
    /// Reason, in words.
    #[serde(default)]
    pub reason: String,
}

/// Takes a device's SPA key away and leaves its registration: what knows the key opens no port of a Controller any more.
/// With the profile's key the device signs in again, and is given a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeDeviceSpaKey {
    /// The user.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
}

/// How a device stands before it is written.
enum Standing {
    New,
    Matched,
    GivesWay,
}

impl RegisterDevice {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.hostname.len() > 256 || self.new_cookie.len() > 64 {
            return Err(Rejection::invalid("hostname", "has at most 256 bytes, a cookie's hash 64"));
        }
        if let Some(key) = &self.spa_key {
            key.check("spaKey", &step.state.kek)?;
        }
        if step.state.blocked(&self.dn.user).is_some() {
            return Err(Rejection::Blocked);
        }
        let key = (self.user_id, self.dn.device);
        let known = step.state.devices.find(&key).cloned();
        let standing = self.judge(step, known.as_ref())?;
        let registration = self.registration((step.now, step.index), &standing, known);
        step.state.devices.insert(key, registration.clone());
        let revocation = match standing {
            Standing::GivesWay => {
                let reason = "the device was registered anew with another key";
                Some(step.revoke(Cutoff::cut(DnScope::Device(self.dn.clone()), reason))?)
            }
            Standing::New | Standing::Matched => None,
        };
        let matched = matches!(standing, Standing::Matched);
        Ok(Reply::Device { registration: Box::new(registration), matched, revocation })
    }

    fn judge(&self, step: &Step<'_>, known: Option<&DeviceRegistration>) -> Result<Standing, Rejection> {
        let Some(provider) = step.state.identity_provider(self.provider_id) else {
            return Err(Rejection::not_found("identity provider", self.provider_id));
        };
        let Some(known) = known else {
            let limit = provider.device_limit_per_user;
            let has = step.state.devices_of(self.user_id).filter(|one| one.provider_id == self.provider_id).count();
            return if has >= limit as usize { Err(Rejection::DeviceLimit { limit }) } else { Ok(Standing::New) };
        };
        match match_device(known, self.presented_cookie.as_deref(), self.key, step.now) {
            DeviceMatch::Known if known.dn == self.dn => Ok(Standing::Matched),
            _ if provider.device_takeover == DeviceTakeover::ReplaceWithMfa && self.mfa_given => Ok(Standing::GivesWay),
            DeviceMatch::CookieReused => Err(Rejection::DeviceCookieReused),
            DeviceMatch::Known | DeviceMatch::Conflict => Err(Rejection::DeviceConflict),
        }
    }

    fn registration(
        &self,
        (now, index): (UnixMillis, LogIndex),
        standing: &Standing,
        known: Option<DeviceRegistration>,
    ) -> DeviceRegistration {
        let spa_key = self.spa_key.as_ref().map(|key| key.as_str().to_owned());
        match (standing, known) {
            (Standing::Matched, Some(known)) => {
                // A former cookie that was accepted is spent: the lost answer is forgiven once.
                let was_former = self.presented_cookie.as_deref() != Some(known.cookie_hash.as_str());
                let replaced = spa_key.is_some() && spa_key != known.spa_key;
                DeviceRegistration {
                    cookie_hash: self.new_cookie.clone(),
                    // The cookie came with the key: who shows the new one has both.
                    former_spa_key: match known.spa_key.clone().filter(|_| replaced) {
                        Some(former) => Some((former, known.spa_key_at)),
                        None => known.former_spa_key.filter(|_| was_former),
                    },
                    former_cookie: if was_former { None } else { Some((known.cookie_hash, now)) },
                    hostname: self.hostname.clone(),
                    last_seen_at: now,
                    spa_key_at: if replaced { index } else { known.spa_key_at },
                    spa_key: spa_key.or(known.spa_key),
                    ..known
                }
            }
            _ => DeviceRegistration {
                user_id: self.user_id,
                provider_id: self.provider_id,
                device_id: self.dn.device,
                dn: self.dn.clone(),
                key: self.key,
                cookie_hash: self.new_cookie.clone(),
                former_cookie: None,
                hostname: self.hostname.clone(),
                on_boarded_at: now,
                last_seen_at: now,
                spa_key_at: if spa_key.is_some() { index } else { LogIndex(0) },
                spa_key,
                former_spa_key: None,
            },
        }
    }
}

/// How a device that signs in compares with its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceMatch {
    /// Cookie and key are those of the registration.
    Known,
    /// Another key, no cookie, or a foreign one.
    Conflict,
    /// The right key with a cookie that was replaced and is no longer accepted.
    CookieReused,
}

/// Compares what a device brings with its registration. A sign-in asks it before MFA; [`RegisterDevice`] again.
#[must_use]
pub fn match_device(
    known: &DeviceRegistration,
    presented_cookie: Option<&str>,
    key: Thumbprint,
    now: UnixMillis,
) -> DeviceMatch {
    match (presented_cookie, &known.former_cookie) {
        (Some(cookie), _) if key == known.key && cookie == known.cookie_hash => DeviceMatch::Known,
        (Some(cookie), Some((former, at))) if key == known.key && cookie == former => {
            if now <= at.plus(FORMER_COOKIE) {
                DeviceMatch::Known
            } else {
                DeviceMatch::CookieReused
            }
        }
        _ => DeviceMatch::Conflict,
    }
}

impl TouchDevices {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.devices.len() > MAX_TOUCHED {
            return Err(Rejection::too_many("devices in an entry", MAX_TOUCHED));
        }
        for key in &self.devices {
            let stale = step.state.devices.find(key).is_some_and(|one| one.last_seen_at.plus(SEEN_STEP) <= step.now);
            if let (true, Some(device)) = (stale, step.state.devices.find_mut(key)) {
                device.last_seen_at = step.now;
            }
        }
        Ok(Reply::Done)
    }
}

impl RemoveDevice {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let key = (self.user_id, self.device_id);
        let Some(device) = step.state.devices.remove(&key) else {
            return Err(Rejection::not_found("device", self.device_id));
        };
        step.release_addresses(self.user_id, self.device_id);
        step.state.bindings.end_all_of(&device.dn);
        let index = step.revoke(Cutoff::cut(DnScope::Device(device.dn.clone()), self.reason.clone()))?;
        Ok(Reply::Revoked(index))
    }
}

impl RevokeDeviceSpaKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let Some(device) = step.state.devices.find_mut(&(self.user_id, self.device_id)) else {
            return Err(Rejection::not_found("device", self.device_id));
        };
        device.spa_key = None;
        device.former_spa_key = None;
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    /// Removes registrations whose user or provider is gone; the caller cuts them.
    pub(crate) fn forget_devices(&mut self, which: impl Fn(&DeviceRegistration) -> bool) {
        let gone: Vec<_> = self.state.devices().filter(|device| which(device)).cloned().collect();
        for device in gone {
            self.state.devices.remove(&(device.user_id, device.device_id));
            self.release_addresses(device.user_id, device.device_id);
            self.state.bindings.end_all_of(&device.dn);
        }
    }
}

impl State {
    /// The registration of a user's device.
    #[must_use]
    pub fn device(&self, user: UserId, device: DeviceId) -> Option<&DeviceRegistration> {
        self.devices.find(&(user, device))
    }

    /// All registrations.
    pub fn devices(&self) -> impl DoubleEndedIterator<Item = &DeviceRegistration> {
        self.devices.values()
    }

    /// A user's registrations.
    pub fn devices_of(&self, user: UserId) -> impl Iterator<Item = &DeviceRegistration> {
        let (first, last) = (DeviceId::new(uuid::Uuid::nil()), DeviceId::new(uuid::Uuid::max()));
        self.devices.range((user, first)..=(user, last)).map(|(_, device)| device)
    }

    /// Registrations not seen for as long as the settings permit.
    pub(crate) fn unseen_devices(&self, now: UnixMillis) -> impl Iterator<Item = &DeviceRegistration> {
        let days = u64::from(self.settings().registered_device_expiration_days);
        let kept = Duration::from_secs(days * 24 * 3600);
        self.devices().filter(move |device| device.last_seen_at.plus(kept) < now)
    }
}
