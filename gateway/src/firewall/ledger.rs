//! What stands: who has which rules at which address; tombstones, quarantine. Pure; the kernel is the enforcer's business.
//!
//! Promises: an install is refused if its session was cut, if it is older than what is applied, if its tokens were
//! checked before the last cut at its address, or if another session holds the address (T3, T18). A cut
//! address waits until its connection-tracking entries are gone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_actors::ports::{InstallError, SessionAddresses};
use ringwall_protocol::id::{LogIndex, SessionId};

use super::wanted::SessionRules;

/// An install as far as admission goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstallRequest {
    pub(super) session: SessionId,
    pub(super) generation: u64,
    pub(super) checked_at: LogIndex,
    pub(super) addresses: SessionAddresses,
}

/// What the ledger decides about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InstallDecision {
    /// The kernel may be changed.
    Granted,
    /// The address's former flows are being forgotten; ask again then.
    Wait(IpAddr),
    Refused(InstallError),
}

/// Installed sessions, holders of addresses, quarantined addresses and tombstones.
#[derive(Debug)]
pub(super) struct Ledger {
    sessions: HashMap<SessionId, SessionRules>,
    holders: HashMap<IpAddr, SessionId>,
    quarantine: HashSet<IpAddr>,
    /// Until when each stands.
    tombstones: HashMap<SessionId, Instant>,
    /// Index of the last cut at an address, and until when the last tombstone of one stands.
    cuts: HashMap<IpAddr, (LogIndex, Instant)>,
    /// In the order in which they end.
    tombstone_ends: VecDeque<(Instant, SessionId, Vec<IpAddr>)>,
    memory: Duration,
}

impl Ledger {
    /// Tombstones stand for `memory`: the longest lease and 60 s.
    pub(super) fn new(memory: Duration) -> Self {
        Self {
            sessions: HashMap::new(),
            holders: HashMap::new(),
            quarantine: HashSet::new(),
            tombstones: HashMap::new(),
            cuts: HashMap::new(),
            tombstone_ends: VecDeque::new(),
            memory,
        }
    }

    /// Decides whether the kernel may be changed for this request.
    pub(super) fn check(&self, request: &InstallRequest) -> InstallDecision {
        let addresses = || request.addresses.iter();
        if self.tombstones.contains_key(&request.session) {
            return InstallDecision::Refused(InstallError::Ended);
        }
        if addresses().any(|address| self.cuts.get(&address).is_some_and(|(cut, _)| request.checked_at < *cut)) {
            return InstallDecision::Refused(InstallError::Ended);
        }
        if let Some(held) = self.sessions.get(&request.session)
            && request.generation <= held.generation
        {
            return InstallDecision::Refused(InstallError::Stale { got: request.generation, applied: held.generation });
        }
        let foreign = |address: &IpAddr| self.holders.get(address).is_some_and(|holder| *holder != request.session);
        if let Some(address) = addresses().find(foreign) {
            return InstallDecision::Refused(InstallError::AddressHeld(address));
        }
        match addresses().find(|address| self.quarantine.contains(address)) {
            Some(address) => InstallDecision::Wait(address),
            None => InstallDecision::Granted,
        }
    }

    /// Records an install that the kernel acknowledged. Returns what was in force before.
    pub(super) fn installed(&mut self, session: SessionId, held: SessionRules) -> Option<SessionRules> {
        let former = self.sessions.insert(session, held);
        if let Some(former) = former {
            for address in former.left_behind(held.addresses) {
                self.holders.remove(&address);
                self.quarantine.insert(address);
            }
        }
        self.holders.extend(held.addresses.iter().map(|address| (address, session)));
        former
    }

    /// What is in force for a session.
    pub(super) fn held(&self, session: SessionId) -> Option<SessionRules> {
        self.sessions.get(&session).copied()
    }

    /// Records that the session was cut at index `cut_at`, whether it is installed or not: later installs are refused.
    pub(super) fn add_tombstone(&mut self, session: SessionId, cut_at: LogIndex, now: Instant) {
        let addresses: Vec<IpAddr> = self.held(session).map(|held| held.addresses.iter().collect()).unwrap_or_default();
        let until = now + self.memory;
        for address in &addresses {
            let last = self.cuts.entry(*address).or_insert((cut_at, until));
            *last = (last.0.max(cut_at), last.1.max(until));
        }
        // A later cut stands for its own time: the former one's end is not its end.
        self.tombstones.insert(session, until);
        self.tombstone_ends.push_back((until, session, addresses));
    }

    /// The kernel no longer holds a cut session. Its addresses are quarantined.
    pub(super) fn removed(&mut self, session: SessionId) -> Option<SessionRules> {
        let held = self.sessions.remove(&session)?;
        for address in held.addresses.iter() {
            self.holders.remove(&address);
            self.quarantine.insert(address);
        }
        Some(held)
    }

    /// The kernel has forgotten the address's flows.
    pub(super) fn cleaned(&mut self, address: IpAddr) {
        self.quarantine.remove(&address);
    }

    /// Drops tombstones that nothing late can reach any more.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.tombstone_ends.front().is_some_and(|(until, ..)| *until <= now) {
            let Some((_, session, addresses)) = self.tombstone_ends.pop_front() else { return };
            if self.tombstones.get(&session).is_some_and(|until| *until <= now) {
                self.tombstones.remove(&session);
            }
            for address in addresses {
                if self.cuts.get(&address).is_some_and(|(_, until)| *until <= now) {
                    self.cuts.remove(&address);
                }
            }
        }
    }

    /// Every session in force.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&SessionId, &SessionRules)> {
        self.sessions.iter()
    }

    /// How many sessions are in force.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::firewall::slots::Mark;
    use crate::firewall::wanted::Owner;

    const MEMORY: Duration = Duration::from_secs(75);

    fn session(n: u8) -> SessionId {
        SessionId::from_random([n; 16])
    }

    fn at(last: u8) -> SessionAddresses {
        SessionAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, last)), v6: None }
    }

    fn request(n: u8, generation: u64, checked_at: u64) -> InstallRequest {
        InstallRequest { session: session(n), generation, checked_at: LogIndex(checked_at), addresses: at(1) }
    }

    fn held(generation: u64, now: Instant) -> SessionRules {
        SessionRules { generation, addresses: at(1), mark: Mark(1), owner: Owner(1), expires: now }
    }

    #[test]
    fn late_install_after_cut_is_refused() {
        let now = Instant::now();
        let mut ledger = Ledger::new(MEMORY);
        ledger.add_tombstone(session(1), LogIndex(101), now);
        assert_eq!(ledger.check(&request(1, 9, 200)), InstallDecision::Refused(InstallError::Ended));
        ledger.forget(now + MEMORY - Duration::from_secs(1));
        assert_eq!(ledger.check(&request(1, 9, 200)), InstallDecision::Refused(InstallError::Ended));
        ledger.forget(now + MEMORY);
        assert_eq!(ledger.check(&request(1, 9, 200)), InstallDecision::Granted);
    }

    #[test]
    fn a_session_that_is_cut_again_is_refused_for_the_whole_time_after_that() {
        let (now, half) = (Instant::now(), MEMORY / 2);
        let mut ledger = Ledger::new(MEMORY);
        ledger.installed(session(1), held(1, now));
        ledger.add_tombstone(session(1), LogIndex(101), now);
        ledger.add_tombstone(session(1), LogIndex(120), now + half);
        ledger.removed(session(1));
        ledger.cleaned(IpAddr::from([10, 9, 0, 1]));
        ledger.forget(now + MEMORY);
        let ended = InstallDecision::Refused(InstallError::Ended);
        assert_eq!(ledger.check(&request(1, 9, 200)), ended);
        assert_eq!(ledger.check(&request(2, 1, 119)), ended, "checked before the second cut at the address");
        ledger.forget(now + half + MEMORY);
        assert_eq!(ledger.check(&request(2, 1, 119)), InstallDecision::Granted);
    }

    #[test]
    fn an_older_generation_is_refused() {
        let mut ledger = Ledger::new(MEMORY);
        ledger.installed(session(1), held(5, Instant::now()));
        let stale = InstallError::Stale { got: 5, applied: 5 };
        assert_eq!(ledger.check(&request(1, 5, 1)), InstallDecision::Refused(stale));
        assert_eq!(ledger.check(&request(1, 6, 1)), InstallDecision::Granted);
    }

    #[test]
    fn an_address_has_one_holder_and_rests_until_its_flows_are_forgotten() {
        let now = Instant::now();
        let address = IpAddr::from([10, 9, 0, 1]);
        let mut ledger = Ledger::new(MEMORY);
        ledger.installed(session(1), held(1, now));
        assert_eq!(ledger.check(&request(2, 1, 100)), InstallDecision::Refused(InstallError::AddressHeld(address)));
        ledger.add_tombstone(session(1), LogIndex(50), now);
        assert!(ledger.removed(session(1)).is_some());
        assert_eq!(ledger.check(&request(2, 1, 100)), InstallDecision::Wait(address));
        ledger.cleaned(address);
        assert_eq!(ledger.check(&request(2, 1, 100)), InstallDecision::Granted);
    }

    #[test]
    fn revocation_between_check_and_install_wins_for_the_next_session_of_the_address_too() {
        let now = Instant::now();
        let address = IpAddr::from([10, 9, 0, 1]);
        let mut ledger = Ledger::new(MEMORY);
        ledger.installed(session(1), held(1, now));
        ledger.add_tombstone(session(1), LogIndex(101), now);
        ledger.removed(session(1));
        ledger.cleaned(address);
        assert_eq!(ledger.check(&request(2, 1, 100)), InstallDecision::Refused(InstallError::Ended));
        assert_eq!(ledger.check(&request(2, 1, 101)), InstallDecision::Granted);
    }

    #[test]
    fn an_address_left_behind_is_free_after_cleaning() {
        let now = Instant::now();
        let mut ledger = Ledger::new(MEMORY);
        ledger.installed(session(1), held(1, now));
        ledger.installed(session(1), SessionRules { addresses: at(2), ..held(2, now) });
        assert_eq!(ledger.check(&request(2, 1, 1)), InstallDecision::Wait(IpAddr::from([10, 9, 0, 1])));
    }
}
