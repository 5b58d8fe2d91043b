//! What devices last said of themselves to this Controller. Untrusted, like all of it; a step-up comes without device
//! claims, and policies may ask for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ringwall_protocol::claims::{DEVICE_CLAIM_MAX_AGE, UntrustedClaims};
use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::time::UnixMillis;

/// Devices remembered at once.
const MAX_DEVICES: usize = 65_536;

/// Device claims by user and device.
#[derive(Debug, Default)]
pub(crate) struct LastSaid(Mutex<BTreeMap<(UserId, DeviceId), (UnixMillis, UntrustedClaims)>>);

impl LastSaid {
    /// Remembers what a device said.
    pub(crate) fn hear(&self, who: (UserId, DeviceId), claims: &UntrustedClaims, now: UnixMillis) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MAX_DEVICES && !said.contains_key(&who) {
            said.retain(|_, (at, _)| at.plus(DEVICE_CLAIM_MAX_AGE) > now);
        }
        if said.len() < MAX_DEVICES || said.contains_key(&who) {
            said.insert(who, (now, claims.clone()));
        }
    }

    /// What a device said, if it is not too old to count.
    pub(crate) fn of(&self, who: (UserId, DeviceId), now: UnixMillis) -> Option<UntrustedClaims> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&who).filter(|(at, _)| at.plus(DEVICE_CLAIM_MAX_AGE) > now).map(|(_, claims)| claims.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_long_ago_counts_no_more() {
        let said = LastSaid::default();
        let who = (UserId::from_random([1; 16]), DeviceId::from_random([2; 16]));
        let now = UnixMillis(1_000_000);
        said.hear(who, &UntrustedClaims::default(), now);
        assert!(said.of(who, now).is_some());
        assert!(said.of(who, now.plus(DEVICE_CLAIM_MAX_AGE)).is_none());
    }
}
