//! Which names are asked for, for whom, when next, and what they stand for. Pure: time and answers come from outside.
//!
//! A name that entitlements write out (`dns://`) is asked for while a session has such an entitlement, and stands for the
//! same addresses for everybody. A name that a Client asked for is asked again for that session alone, for as long as it
//! lives, so that its connections go on; what an answer no longer names lingers for a while.
//!
//! When name servers fail, the last answer is kept for [`HOLD`] and no longer: then the name stands for nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::rules::compile::MAX_ADDRESSES_PER_NAME;

/// How long an answer outlives its time when no name server answers.
pub(super) const HOLD: Duration = Duration::from_mins(5);
/// How long an address that a session was told is believed after the last answer that named it: a connection begun in
/// its last second has to end, and pools of servers answer in turns.
const LINGER: Duration = Duration::from_mins(2);
/// Shortest time between two questions for one name, whatever its TTL says.
pub(super) const FLOOR: Duration = Duration::from_secs(5);
/// A name that does not exist is asked for again after this.
const ABSENT: Duration = Duration::from_secs(10);
/// Longest wait after name servers failed; from 1 s on it doubles.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Names that one Gateway asks for at most: at their floor 3,000 questions a second.
const MAX_NAMES: usize = 16_384;
/// Names that one session may have asked for at a time.
const MAX_ASKED: usize = ringwall_protocol::entitlement::MAX_NAMES;
/// Names of either kind together; beyond it what a session asked for is not asked again and runs out: 50 MB.
const MAX_ENTRIES: usize = 262_144;

/// A name that is asked for, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Entitlements name it.
    Everybody(String),
    /// This session asked for it.
    Session(SessionId, String),
}

impl Subject {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Everybody(name) | Self::Session(_, name) => name,
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// These addresses, as far as they may be reached at all; for this time.
    Found(Vec<IpAddr>, Duration),
    /// The name has none.
    Absent,
    /// No name server answered.
    Failed,
}

/// What a name stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) subject: Subject,
    /// Each with the time that it is believed, if no other answer comes.
    pub(super) addresses: Vec<(IpAddr, Duration)>,
}

#[derive(Debug)]
struct Entry {
    /// Sessions that want it.
    users: usize,
    addresses: BTreeMap<IpAddr, Instant>,
    /// When it is asked for next; `None`: it is being asked for.
    next: Option<Instant>,
    failures: u32,
    /// Orders names that sessions asked for: the oldest makes room.
    touched: Instant,
}

/// All names of a Gateway.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    entries: BTreeMap<Subject, Entry>,
    schedule: BTreeSet<(Instant, Subject)>,
    sessions: HashMap<SessionId, BTreeSet<Host>>,
    /// Names that found no room.
    turned_away: u64,
}

impl NameTable {
    /// The names and domains of a session's entitlements; answers what stands for nothing any more.
    pub(super) fn want(&mut self, session: SessionId, hosts: BTreeSet<Host>, now: Instant) -> Vec<Change> {
        let former = self.sessions.insert(session, hosts.clone()).unwrap_or_default();
        for name in names(hosts.difference(&former)) {
            self.take(name, now);
        }
        names(former.difference(&hosts)).filter_map(|name| self.release(name)).collect()
    }

    /// The session has ended.
    pub(super) fn forget(&mut self, session: SessionId) -> Vec<Change> {
        for subject in self.asked_by(session) {
            self.drop_entry(&subject);
        }
        let former = self.sessions.remove(&session).unwrap_or_default();
        names(former.iter()).filter_map(|name| self.release(name)).collect()
    }

    /// The hosts of a session's entitlements that this name is, or lies below.
    pub(super) fn covering(&self, session: SessionId, name: &str) -> Vec<Host> {
        let hosts = self.sessions.get(&session).into_iter().flatten();
        hosts.filter(|host| host.covers(name)).cloned().collect()
    }

    /// The hosts of a session's entitlements that an address stands for.
    pub(super) fn known_as(&self, session: SessionId, address: IpAddr, now: Instant) -> BTreeSet<Host> {
        let stands = |subject: &Subject| {
            let entry = self.entries.get(subject);
            entry.is_some_and(|entry| entry.addresses.get(&address).is_some_and(|until| *until > now))
        };
        let hosts = self.sessions.get(&session).into_iter().flatten();
        let mut found: BTreeSet<Host> = hosts
            .filter(|host| matches!(host, Host::Name(name) if stands(&Subject::Everybody(name.clone()))))
            .cloned()
            .collect();
        for subject in self.asked_by(session).into_iter().filter(stands) {
            found.extend(self.covering(session, subject.name()));
        }
        found
    }

    /// Up to `most` names whose time has come.
    pub(super) fn due(&mut self, now: Instant, most: usize) -> Vec<Subject> {
        let mut due = vec![];
        while due.len() < most {
            let Some((at, _)) = self.schedule.first() else { break };
            if *at > now {
                break;
            }
            let Some((_, subject)) = self.schedule.pop_first() else { break };
            if let Some(entry) = self.entries.get_mut(&subject) {
                entry.next = None;
                due.push(subject);
            }
        }
        due
    }

    /// When [`Self::due`] has something next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// An answer to a question of [`Self::due`]; at least `every` until the next one. `None` if nothing changes.
    pub(super) fn answered(
        &mut self,
        subject: &Subject,
        outcome: Outcome,
        every: Duration,
        now: Instant,
    ) -> Option<Change> {
        let entry = self.entries.get_mut(subject)?;
        entry.addresses.retain(|_, until| *until > now);
        let (wait, change) = entry.take(matches!(subject, Subject::Session(..)), outcome, every, now);
        entry.next = Some(now + wait);
        self.schedule.insert((now + wait, subject.clone()));
        change.then(|| Change { subject: subject.clone(), addresses: self.addresses_of(subject, now) })
    }

    /// A session was told what a name stands for; it is asked for again in its time.
    pub(super) fn told(
        &mut self,
        session: SessionId,
        name: &str,
        (addresses, ttl): (&[IpAddr], Duration),
        now: Instant,
    ) -> Vec<(IpAddr, Duration)> {
        if !self.sessions.contains_key(&session) {
            return vec![];
        }
        let subject = Subject::Session(session, name.to_owned());
        if !self.entries.contains_key(&subject) {
            self.make_room_for(session);
            if self.entries.len() >= MAX_ENTRIES {
                self.turned_away += 1;
                let time = ttl.max(FLOOR) + LINGER;
                return addresses.iter().map(|address| (*address, time)).collect();
            }
            let fresh = Entry { users: 1, addresses: BTreeMap::new(), next: None, failures: 0, touched: now };
            self.entries.insert(subject.clone(), fresh);
        }
        let Some(entry) = self.entries.get_mut(&subject) else { return vec![] };
        entry.touched = now;
        let found = Outcome::Found(addresses.to_vec(), ttl);
        let (wait, _) = entry.take(true, found, Duration::MAX, now);
        let former = entry.next.replace(now + wait);
        self.schedule.extend([(now + wait, subject.clone())]);
        if let Some(former) = former.filter(|former| *former != now + wait) {
            self.schedule.remove(&(former, subject.clone()));
        }
        self.addresses_of(&subject, now)
    }

    /// How many names are asked for.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How often a name found no room.
    pub(super) const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    fn take(&mut self, name: &str, now: Instant) {
        let subject = Subject::Everybody(name.to_owned());
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.users += 1;
        } else if self.entries.len() >= MAX_NAMES {
            self.turned_away += 1;
        } else {
            let addresses = BTreeMap::new();
            let fresh = Entry { users: 1, addresses, next: Some(now), failures: 0, touched: now };
            self.entries.insert(subject.clone(), fresh);
            self.schedule.insert((now, subject));
        }
    }

    fn release(&mut self, name: &str) -> Option<Change> {
        let subject = Subject::Everybody(name.to_owned());
        let entry = self.entries.get_mut(&subject)?;
        entry.users -= 1;
        if entry.users > 0 {
            return None;
        }
        self.drop_entry(&subject);
        Some(Change { subject, addresses: vec![] })
    }

    fn drop_entry(&mut self, subject: &Subject) {
        if let Some(Entry { next: Some(next), .. }) = self.entries.remove(subject) {
            self.schedule.remove(&(next, subject.clone()));
        }
    }

    fn make_room_for(&mut self, session: SessionId) {
        let asked = self.asked_by(session);
        if asked.len() >= MAX_ASKED
            && let Some(oldest) = asked.into_iter().min_by_key(|subject| self.entries[subject].touched)
        {
            self.drop_entry(&oldest);
        }
    }

    fn asked_by(&self, session: SessionId) -> Vec<Subject> {
        let from = Subject::Session(session, String::new());
        let own = self.entries.range(from..).map(|(subject, _)| subject);
        own.take_while(|subject| matches!(subject, Subject::Session(of, _) if *of == session)).cloned().collect()
    }

    fn addresses_of(&self, subject: &Subject, now: Instant) -> Vec<(IpAddr, Duration)> {
        let known = self.entries.get(subject).into_iter().flat_map(|entry| &entry.addresses);
        known.map(|(address, until)| (*address, until.saturating_duration_since(now))).collect()
    }
}

impl Entry {
    /// Takes an answer over; how long until the next question, and whether the kernel is to be told.
    fn take(&mut self, own: bool, outcome: Outcome, every: Duration, now: Instant) -> (Duration, bool) {
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
                self.addresses.retain(|_, end| *end > now);
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

fn names<'a>(hosts: impl Iterator<Item = &'a Host>) -> impl Iterator<Item = &'a str> {
    hosts.filter_map(|host| match host {
        Host::Name(name) => Some(name.as_str()),
        Host::Domain(_) | Host::Range(..) => None,
    })
}

#[cfg(test)]
mod tests;
