//! How many TLS handshakes one source may begin while it has proved nothing: they cost the processor, not a seat (T17).
//! Sources from which a peer proved itself lately, and connections that knocked, are not held up.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use ringwall_trust::spa::Source;

use crate::identity::throttle::Throttle;

/// Handshakes of one unknown source.
#[derive(Debug)]
pub(crate) struct HandshakeThrottle(Mutex<Throttle<Source>>);

impl HandshakeThrottle {
    /// So many at once, and as many again in each `period`.
    #[must_use]
    pub(crate) fn new(burst: u32, period: Duration) -> Self {
        Self(Mutex::new(Throttle::new(burst, period)))
    }

    /// Takes one; false if the source has had its share.
    #[must_use]
    pub(crate) fn take(&self, from: IpAddr, now: UnixMillis) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(&Source::from(from), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    #[test]
    fn one_source_is_slowed_down_and_another_is_not() {
        let throttle = HandshakeThrottle::new(3, Duration::from_secs(1));
        let source = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert_eq!((0..100).filter(|_| throttle.take(source(1), NOW)).count(), 3);
        assert!(throttle.take(source(2), NOW));
        assert!(throttle.take(source(1), NOW.plus(Duration::from_secs(1))));
    }
}
