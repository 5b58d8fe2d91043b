//! Whether the other end of a tunnel still answers. Pure: the time is an argument.
//!
//! An idle tunnel asks every 15 s; one with something unanswered asks every second; after 3 s without an answer it is
//! dead. Any byte from the peer is an answer.

use std::time::{Duration, Instant};

/// An idle tunnel asks this often.
const IDLE: Duration = Duration::from_secs(15);
/// And this often while something is unanswered.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// This long without any answer means dead.
const DEAD: Duration = Duration::from_secs(3);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Wait,
    /// Send a keep-alive.
    Ask,
    /// Give the tunnel up.
    Dead,
}

/// The state of one tunnel.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    heard: Instant,
    /// Since when something is unanswered.
    unanswered: Option<Instant>,
    /// When the peer was asked last since it was heard.
    asked: Option<Instant>,
}

impl KeepAlive {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { heard: now, unanswered: None, asked: None }
    }

    /// Something came from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Something was sent to the peer.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// A full queue moved on: the peer acknowledges, it is only slow.
    pub(crate) fn progressed(&mut self, now: Instant) {
        if self.unanswered.is_some() {
            self.unanswered = Some(now);
        }
    }

    /// When [`Self::due`] will want something, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Instant {
        match self.unanswered {
            None => self.heard + IDLE,
            Some(since) => (since.max(self.asked.unwrap_or(since)) + ASK_AGAIN).min(since + DEAD),
        }
    }

    /// What is due. [`Due::Ask`] is answered once per interval.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        if now < self.next_deadline() {
            return Due::Wait;
        }
        if self.unanswered.is_some_and(|since| now >= since + DEAD) {
            return Due::Dead;
        }
        self.sent(now);
        self.asked = Some(now);
        Due::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn idle_tunnel_asks_every_fifteen_seconds_and_dies_three_seconds_after_silence() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(start);
        assert_eq!(keep_alive.due(start + seconds(14)), Due::Wait);
        assert_eq!(keep_alive.due(start + seconds(15)), Due::Ask);
        keep_alive.heard(start + seconds(15));
        assert_eq!(keep_alive.next_deadline(), start + seconds(30));
        assert_eq!(keep_alive.due(start + seconds(30)), Due::Ask);
        assert_eq!(keep_alive.due(start + seconds(30)), Due::Wait);
        assert_eq!(keep_alive.due(start + seconds(31)), Due::Ask);
        assert_eq!(keep_alive.due(start + seconds(32)), Due::Ask);
        assert_eq!(keep_alive.next_deadline(), start + seconds(33));
        assert_eq!(keep_alive.due(start + seconds(33)), Due::Dead);
    }

    #[test]
    fn unanswered_packet_is_asked_after_within_a_second() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(start);
        keep_alive.sent(start + seconds(5));
        keep_alive.sent(start + seconds(6));
        assert_eq!(keep_alive.next_deadline(), start + seconds(6));
        assert_eq!(keep_alive.due(start + seconds(6)), Due::Ask);
        keep_alive.heard(start + seconds(6));
        assert_eq!(keep_alive.next_deadline(), start + seconds(21));
    }

    #[test]
    fn slow_peer_that_takes_bytes_is_not_dead() {
        let start = Instant::now();
        let mut keep_alive = KeepAlive::new(start);
        keep_alive.sent(start);
        for second in 1..20 {
            keep_alive.progressed(start + seconds(second));
            assert_ne!(keep_alive.due(start + seconds(second)), Due::Dead);
        }
        assert_eq!(keep_alive.due(start + seconds(22)), Due::Dead);
    }
}
