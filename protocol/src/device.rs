//! Registered devices: which installation of a Client a user has used before (S15, S19–S22).

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, LogIndex, ProviderId, Thumbprint, UserId};
use crate::name::SessionDn;
use crate::time::UnixMillis;

/// A registration. Matched at sign-in by cookie *and* key (T15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRegistration {
    /// The user.
    pub user_id: UserId,
    /// The user's provider.
    pub provider_id: ProviderId,
    /// The device.
    pub device_id: DeviceId,
    /// The session DN that the pair has.
    pub dn: SessionDn,
    /// Key of the device.
    pub key: Thumbprint,
    /// SHA-256 of the present cookie, base64url.
    pub cookie_hash: String,
    /// SHA-256 of the former cookie and when it was replaced: accepted once more within 10 minutes.
    #[serde(default)]
    pub former_cookie: Option<(String, UnixMillis)>,
    /// What the device said of itself, for people.
    #[serde(default)]
    pub hostname: String,
    /// First seen.
    pub on_boarded_at: UnixMillis,
    /// Last seen, to the hour.
    pub last_seen_at: UnixMillis,
    /// Sealed SPA key of this device, base64url; absent until the first one was issued.
    #[serde(default)]
    pub spa_key: Option<String>,
    /// Log index at which that key was made; 0 if it is absent.
    #[serde(default)]
    pub spa_key_at: LogIndex,
    /// The key before it, and when that was made: accepted until the device has shown that it got the new one.
    #[serde(default)]
    pub former_spa_key: Option<(String, LogIndex)>,
}
