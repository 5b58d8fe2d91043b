//! Which connection of a device is the newest, by (sign-in index, connect sequence) and never by arrival (T12);
//! and how often a device comes back.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ringwall_protocol::id::{LogIndex, Thumbprint};
use ringwall_protocol::name::SessionDn;

use crate::support::budget::Budget;

/// Devices that are remembered after their sessions ended: twice the sessions of a large Gateway.
const REMEMBERED: usize = 65_536;
/// Resumptions and supersessions of one device within [`FLAP_WINDOW`] before it is held off (a cloned installation).
const FLAPS: usize = 5;
/// See [`FLAPS`].
const FLAP_WINDOW: Duration = Duration::from_secs(60);
/// For how long a flapping device is held off.
pub(crate) const FLAP_PENALTY: Duration = Duration::from_secs(60);

/// Orders connections of one device: sign-in first, then connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionOrder {
    /// Index at which the sign-in began.
    pub sign_in: LogIndex,
    /// Counted up by the Client.
    pub connect_seq: u64,
}

/// The highest order of a device, and where it was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionClaim {
    /// The order.
    pub order: ConnectionOrder,
    /// The key that signed it.
    pub key: Thumbprint,
    /// True if another Gateway of the Site claimed it.
    pub elsewhere: bool,
}

/// What is remembered of devices; bounded, the oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    devices: HashMap<SessionDn, Device>,
    oldest: VecDeque<SessionDn>,
}

#[derive(Debug)]
struct Device {
    claim: Option<ConnectionClaim>,
    returns: Budget,
    held_off_until: Option<Instant>,
    last_session: Option<Instant>,
}

impl Orders {
    /// The highest claim of a device.
    #[must_use]
    pub(crate) fn claim(&self, dn: &SessionDn) -> Option<ConnectionClaim> {
        self.devices.get(dn).and_then(|device| device.claim)
    }

    /// Remembers a claim; a lower one changes nothing.
    pub(crate) fn remember(&mut self, dn: &SessionDn, claim: ConnectionClaim) {
        let device = self.device(dn);
        if device.claim.is_none_or(|known| known.order < claim.order) {
            device.claim = Some(claim);
        }
    }

    /// Counts a resumption or supersession.
    ///
    /// # Errors
    /// Until when the device is held off; `true` if that has just begun.
    pub(crate) fn returns(&mut self, dn: &SessionDn, now: Instant) -> Result<(), (Instant, bool)> {
        let device = self.device(dn);
        if let Some(until) = device.held_off_until.filter(|until| *until > now) {
            return Err((until, false));
        }
        if device.returns.spend(now) {
            return Ok(());
        }
        let until = now + FLAP_PENALTY;
        device.held_off_until = Some(until);
        Err((until, true))
    }

    /// Whether the device is held off now.
    #[must_use]
    pub(crate) fn held_off(&self, dn: &SessionDn, now: Instant) -> bool {
        self.devices.get(dn).and_then(|device| device.held_off_until).is_some_and(|until| until > now)
    }

    /// A session of the device is open now, or ended now.
    pub(crate) fn seen(&mut self, dn: &SessionDn, now: Instant) {
        self.device(dn).last_session = Some(now);
    }

    /// Whether the device had a session here within `span`.
    #[must_use]
    pub(crate) fn seen_within(&self, dn: &SessionDn, span: Duration, now: Instant) -> bool {
        let last = self.devices.get(dn).and_then(|device| device.last_session);
        last.is_some_and(|at| now.saturating_duration_since(at) <= span)
    }

    /// Forgets everything: the Collective's incarnation changed.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn device(&mut self, dn: &SessionDn) -> &mut Device {
        if !self.devices.contains_key(dn) {
            if self.devices.len() >= REMEMBERED
                && let Some(oldest) = self.oldest.pop_front()
            {
                self.devices.remove(&oldest);
            }
            self.oldest.push_back(dn.clone());
        }
        self.devices.entry(dn.clone()).or_insert_with(|| Device {
            claim: None,
            returns: Budget::new(FLAPS, FLAP_WINDOW),
            held_off_until: None,
            last_session: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(user: &str) -> SessionDn {
        format!("CN=4c07bc6757ea42ddb702c2d6c45419fc,CN={user},OU=local").parse().expect("a DN")
    }

    fn order(sign_in: u64, connect_seq: u64) -> ConnectionOrder {
        ConnectionOrder { sign_in: LogIndex(sign_in), connect_seq }
    }

    #[test]
    fn highest_claim_stays_whatever_the_order_of_reports() {
        for reports in [[(5, 1), (5, 3), (4, 9)], [(4, 9), (5, 3), (5, 1)], [(5, 3), (4, 9), (5, 1)]] {
            let mut orders = Orders::default();
            for (sign_in, seq) in reports {
                let claim = ConnectionClaim { order: order(sign_in, seq), key: Thumbprint([1; 32]), elsewhere: true };
                orders.remember(&dn("a"), claim);
            }
            assert_eq!(orders.claim(&dn("a")).map(|claim| claim.order), Some(order(5, 3)));
        }
    }

    #[test]
    fn device_that_returns_too_often_is_held_off_and_then_forgiven() {
        let (mut orders, start) = (Orders::default(), Instant::now());
        for n in 0..5 {
            assert_eq!(orders.returns(&dn("a"), start + Duration::from_secs(n)), Ok(()));
        }
        let sixth = start + Duration::from_secs(6);
        assert_eq!(orders.returns(&dn("a"), sixth), Err((sixth + FLAP_PENALTY, true)));
        assert!(orders.held_off(&dn("a"), sixth + Duration::from_secs(59)));
        assert!(!orders.held_off(&dn("b"), sixth));
        assert_eq!(orders.returns(&dn("a"), sixth + FLAP_PENALTY), Ok(()));
    }

    #[test]
    fn remembered_devices_are_bounded() {
        let mut orders = Orders::default();
        for n in 0..REMEMBERED + 10 {
            orders.seen(&dn(&format!("u{n}")), Instant::now());
        }
        assert_eq!(orders.devices.len(), REMEMBERED);
        assert_eq!(orders.oldest.len(), REMEMBERED);
        assert!(!orders.devices.contains_key(&dn("u0")));
    }
}
