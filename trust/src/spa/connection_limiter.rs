//! How many connections may be open that passed the gate: for each holder, and for all together, with a share that only
//! proved connections can take (T17, T52). Connections before that have a [`super::Seat`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{KeyOwner, Source};

/// How many connections may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// Of one holder.
    pub each: usize,
    /// Of all whose other end proved nothing.
    pub unproved: usize,
    /// Of all whose other end proved a key, or whose source is known.
    pub proved: usize,
}

/// For whom an open connection is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConnectionHolder {
    /// Nothing is known but where it comes from.
    Source(Source),
    /// Nothing, but a peer proved itself from there within a day.
    Known(Source),
    /// The key that knocked; one that many share is counted by source.
    Key(KeyOwner, Source),
    /// Thumbprint of the certificate's key.
    Identity([u8; 32]),
}

impl ConnectionHolder {
    /// Whether it has a part in the share that strange sources cannot take.
    const fn is_proved(&self) -> bool {
        !matches!(self, Self::Source(_))
    }
}

/// Counts open connections by holder.
#[derive(Debug)]
pub struct ConnectionLimiter {
    bounds: ConnectionBounds,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    unproved: usize,
    proved: usize,
    by_holder: HashMap<ConnectionHolder, usize>,
}

/// The right to one open connection; free again when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    holder: ConnectionHolder,
}

impl ConnectionLimiter {
    /// With these bounds; nothing is open.
    #[must_use]
    pub fn new(bounds: ConnectionBounds) -> Arc<Self> {
        Arc::new(Self { bounds, open: Mutex::default() })
    }

    /// A permit for one more connection; `None` if its holder, or all of its kind together, have enough.
    #[must_use]
    pub fn enter(self: &Arc<Self>, holder: ConnectionHolder) -> Option<ConnectionPermit> {
        let holder = match holder {
            // Wherever it comes from, it is the same device.
            ConnectionHolder::Key(owner, _) if !owner.is_shared() => ConnectionHolder::Key(owner, Source::NOWHERE),
            other => other,
        };
        let mut open = self.lock();
        let count = open.by_holder.get(&holder).copied().unwrap_or(0);
        let (total, most) = match holder.is_proved() {
            true => (open.proved, self.bounds.proved),
            false => (open.unproved, self.bounds.unproved),
        };
        if count >= self.bounds.each || total >= most {
            return None;
        }
        open.by_holder.insert(holder.clone(), count + 1);
        *open.total_of(&holder) += 1;
        drop(open);
        Some(ConnectionPermit { limiter: Arc::clone(self), holder })
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    const fn total_of(&mut self, holder: &ConnectionHolder) -> &mut usize {
        if holder.is_proved() { &mut self.proved } else { &mut self.unproved }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.lock();
        *open.total_of(&self.holder) -= 1;
        if let Some(count) = open.by_holder.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                open.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    const BOUNDS: ConnectionBounds = ConnectionBounds { each: 32, unproved: 2_000, proved: 100 };

    fn from(address: impl Into<IpAddr>) -> ConnectionHolder {
        ConnectionHolder::Source(Source::from(address.into()))
    }

    #[test]
    fn one_source_takes_only_its_share_and_gives_it_back() {
        let limiter = ConnectionLimiter::new(BOUNDS);
        let flooder = Ipv4Addr::new(192, 0, 2, 1);
        let permits: Vec<_> = (0..100).filter_map(|_| limiter.enter(from(flooder))).collect();
        assert_eq!(permits.len(), BOUNDS.each);
        assert!(limiter.enter(from(Ipv4Addr::new(192, 0, 2, 2))).is_some());
        drop(permits);
        assert!(limiter.enter(from(flooder)).is_some());
        assert!(limiter.lock().by_holder.is_empty());
        assert_eq!(limiter.lock().unproved, 0);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_source() {
        let limiter = ConnectionLimiter::new(BOUNDS);
        let neighbour = |n| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n);
        let permits: Vec<_> = (0..100).filter_map(|n| limiter.enter(from(neighbour(n)))).collect();
        assert_eq!(permits.len(), BOUNDS.each);
    }

    #[test]
    fn those_who_proved_nothing_cannot_take_the_share_of_those_who_did() {
        let limiter = ConnectionLimiter::new(BOUNDS);
        let permits: Vec<_> = (0..3_000u32).filter_map(|n| limiter.enter(from(Ipv4Addr::from(n)))).collect();
        assert_eq!(permits.len(), BOUNDS.unproved);
        let proved: Vec<_> = (0..200u8).filter_map(|n| limiter.enter(ConnectionHolder::Identity([n; 32]))).collect();
        assert_eq!(proved.len(), BOUNDS.proved);
    }

    #[test]
    fn one_identity_or_device_has_its_share_wherever_it_comes_from() {
        use ringwall_protocol::id::{DeviceId, UserId};
        let limiter = ConnectionLimiter::new(BOUNDS);
        let device = KeyOwner::Device(UserId::from_random([1; 16]), DeviceId::from_random([2; 16]));
        let key = |n: u32| ConnectionHolder::Key(device.clone(), Source::from(IpAddr::from(Ipv4Addr::from(n))));
        assert_eq!((0..100).filter_map(|n| limiter.enter(key(n))).collect::<Vec<_>>().len(), BOUNDS.each);
        let same = |_| limiter.enter(ConnectionHolder::Identity([1; 32]));
        assert_eq!((0..100).filter_map(same).collect::<Vec<_>>().len(), BOUNDS.each);
    }
}
