//! One name: who wants it, what it stands for, and when it is asked for next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::feed::NameRefusal;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::rules::compile::MAX_ADDRESSES_PER_NAME;

use super::{ABSENT, FLOOR, HOLD, LINGER, LONGEST_RETRY, Outcome};

#[derive(Debug)]
pub(super) struct Entry {
    /// Sessions that want it.
    owners: BTreeSet<SessionId>,
    addresses: BTreeMap<IpAddr, Instant>,
    /// When it is asked for next; `None`: it is being asked for.
    pub(super) next: Option<Instant>,
    failures: u32,
    /// Orders names that sessions asked for: the oldest makes room.
    pub(super) touched: Instant,
    /// An address of the last answer that no name may stand for.
    refused: Option<(IpAddr, NameRefusal)>,
}

impl Entry {
    /// Nothing is known of it; asked for at `next`, or being asked for.
    pub(super) const fn new(owners: BTreeSet<SessionId>, next: Option<Instant>, now: Instant) -> Self {
        Self { owners, addresses: BTreeMap::new(), next, failures: 0, touched: now, refused: None }
    }

    /// One more session wants it.
    pub(super) fn own(&mut self, session: SessionId) {
        self.owners.insert(session);
    }

    /// A session wants it no longer; whether nobody does.
    pub(super) fn disown(&mut self, session: SessionId) -> bool {
        self.owners.remove(&session) && self.owners.is_empty()
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.owners.iter().copied()
    }

    /// Whether it stands for an address now.
    pub(super) fn holds(&self, address: IpAddr, now: Instant) -> bool {
        self.addresses.get(&address).is_some_and(|until| *until > now)
    }

    /// Its addresses, each with the time that it is believed.
    pub(super) fn addresses(&self, now: Instant) -> Vec<(IpAddr, Duration)> {
        self.addresses.iter().map(|(address, until)| (*address, until.saturating_duration_since(now))).collect()
    }

    /// What the last answer held that does not count; whether that is new.
    pub(super) fn refuse(&mut self, refused: Option<(IpAddr, NameRefusal)>) -> bool {
        std::mem::replace(&mut self.refused, refused) != refused
    }

    /// Keeps the addresses that may be reached; whether one went.
    pub(super) fn keep(&mut self, allows: impl Fn(IpAddr) -> bool) -> bool {
        let before = self.addresses.len();
        self.addresses.retain(|address, _| allows(*address));
        self.addresses.len() < before
    }

    /// Takes an answer over; how long until the next question, and whether the kernel is to be told.
    pub(super) fn take(&mut self, own: bool, outcome: Outcome, every: Duration, now: Instant) -> (Duration, bool) {
        self.addresses.retain(|_, until| *until > now);
        match outcome {
            Outcome::Failed => {
                self.failures += 1;
                let doubled = Duration::from_secs(1 << self.failures.min(6).saturating_sub(1));
                (doubled.min(LONGEST_RETRY), false)
            }
            Outcome::Found(addresses, ttl) if !addresses.is_empty() => {
                self.failures = 0;
                let wait = ttl.min(every).max(FLOOR);
                let until = now + wait + if own { LINGER } else { HOLD };
                if !own {
                    self.addresses.clear();
                }
                for address in addresses.into_iter().take(MAX_ADDRESSES_PER_NAME) {
                    self.addresses.insert(address, until);
                }
                // A session's own: the freshest stay.
                while self.addresses.len() > MAX_ADDRESSES_PER_NAME {
                    let oldest = self.addresses.iter().min_by_key(|(_, end)| **end).map(|(address, _)| *address);
                    oldest.and_then(|address| self.addresses.remove(&address));
                }
                (wait, true)
            }
            Outcome::Found(..) | Outcome::Absent => {
                self.failures = 0;
                let known = !self.addresses.is_empty();
                if !own {
                    self.addresses.clear();
                }
                (every.clamp(FLOOR, ABSENT), known && !own)
            }
        }
    }
}
