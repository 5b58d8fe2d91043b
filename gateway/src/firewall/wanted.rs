//! What sessions are to have in the kernel: from an install to addresses, mark and end. Pure.
//!
//! The rules behind a mark are [`super::ruleset`]'s; whether a session may have them is decided by the
//! [`super::ledger`].

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, SessionAddresses};
use ringwall_protocol::id::SessionId;

use super::slots::Mark;

/// The number of a session's user: what users have together is counted by it (T84). Two users may have the same one, as
/// rarely as two hashes of 32 bits are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u32);

/// The rules of one session: its addresses lead to one rule set until they expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionRules {
    pub(super) generation: u64,
    pub(super) addresses: SessionAddresses,
    /// The slot of the rule set.
    pub(super) mark: Mark,
    pub(super) owner: Owner,
    /// When its elements vanish by themselves.
    pub(super) expires: Instant,
}

impl SessionRules {
    /// What an install that was asked for at `at` comes to once its rule set has a slot.
    pub(super) fn of(install: &Install, at: Instant, mark: Mark, owner: Owner) -> Self {
        let Install { generation, addresses, expires_in, .. } = *install;
        Self { generation, addresses, mark, owner, expires: at + expires_in }
    }

    /// Time that its elements have left; none if they are over.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.expires.saturating_duration_since(now);
        (left.as_millis() > 0).then_some(left)
    }

    /// Addresses of these rules that `later` ones of the same session no longer have.
    pub(super) fn left_behind(&self, later: SessionAddresses) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(move |address| !later.contains(*address))
    }
}

/// What the sessions of one transaction are to have. Removals and installs never share one: a refused install must
/// not hold a removal back (T27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No rules at all.
    Nothing(Vec<SessionId>),
    /// These rules, in place of what they have.
    Rules(Vec<(SessionId, SessionRules)>),
}
