//! Which names are asked for, for whom, when next, and what they stand for. Pure: time and answers come from outside.
//!
//! A name that entitlements write out (`dns://`) is asked for while a session has such an entitlement, and stands for the
//! same addresses for everybody. A name that a Client asked for is asked again for that session alone, for as long as it
//! lives, so that its connections go on; what an answer no longer names lingers for a while.
//!
//! When name servers fail, the last answer is kept for [`HOLD`] and no longer: then the name stands for nothing.
//!
//! Room is shared out (T80): names of entitlements have a part of their own, what Clients ask for is bounded for each session
//! and each user before it is bounded for all, and a session gives back only what it was given.

mod entry;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::entitlement::Host;
use ringwall_protocol::feed::NameRefusal;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::name::UserDn;

use self::entry::Entry;

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
/// Names of entitlements that one Gateway asks for at most: at their floor 3,000 questions a second.
const MAX_NAMES: usize = 16_384;
/// Names that one session may have asked for at a time; the oldest makes room.
const MAX_ASKED: usize = ringwall_protocol::entitlement::MAX_NAMES;
/// Names that the sessions of one user may have asked for at a time; the oldest makes room.
const MAX_ASKED_BY_USER: usize = 4 * MAX_ASKED;
/// Names that all sessions may have asked for at a time; beyond it one is not asked again and runs out: 50 MB.
const MAX_ASKED_BY_ALL: usize = 245_760;

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

/// What a session wants.
#[derive(Debug)]
struct Wanted {
    user: UserDn,
    hosts: BTreeSet<Host>,
}

/// All names of a Gateway.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    entries: BTreeMap<Subject, Entry>,
    schedule: BTreeSet<(Instant, Subject)>,
    sessions: HashMap<SessionId, Wanted>,
    users: HashMap<UserDn, BTreeSet<SessionId>>,
    /// How many of the entries are names of entitlements.
    shared: usize,
    /// Names of entitlements that found no room, and who wants them.
    waiting: BTreeMap<String, BTreeSet<SessionId>>,
    /// How often a name found no room.
    turned_away: u64,
}

impl NameTable {
    /// The names and domains of a session's entitlements; answers what stands for nothing any more.
    pub(super) fn want(
        &mut self,
        session: SessionId,
        user: &UserDn,
        hosts: BTreeSet<Host>,
        now: Instant,
    ) -> Vec<Change> {
        self.users.entry(user.clone()).or_default().insert(session);
        let wanted = Wanted { user: user.clone(), hosts: hosts.clone() };
        let former = self.sessions.insert(session, wanted).map(|former| former.hosts).unwrap_or_default();
        for name in names(hosts.difference(&former)) {
            self.take(name, session, now);
        }
        names(former.difference(&hosts)).filter_map(|name| self.release(name, session, now)).collect()
    }

    /// The session has ended.
    pub(super) fn forget(&mut self, session: SessionId, now: Instant) -> Vec<Change> {
        for subject in self.asked_by(session).cloned().collect::<Vec<_>>() {
            self.drop_entry(&subject);
        }
        let Some(former) = self.sessions.remove(&session) else { return vec![] };
        if let Some(sessions) = self.users.get_mut(&former.user) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.users.remove(&former.user);
            }
        }
        names(former.hosts.iter()).filter_map(|name| self.release(name, session, now)).collect()
    }

    /// The hosts of a session's entitlements that this name is, or lies below.
    pub(super) fn covering(&self, session: SessionId, name: &str) -> Vec<Host> {
        self.hosts_of(session).filter(|host| host.covers(name)).cloned().collect()
    }

    /// The hosts of a session's entitlements that an address stands for.
    pub(super) fn known_as(&self, session: SessionId, address: IpAddr, now: Instant) -> BTreeSet<Host> {
        let stands = |subject: &Subject| self.entries.get(subject).is_some_and(|entry| entry.holds(address, now));
        let mut found: BTreeSet<Host> = self
            .hosts_of(session)
            .filter(|host| matches!(host, Host::Name(name) if stands(&Subject::Everybody(name.clone()))))
            .cloned()
            .collect();
        for subject in self.asked_by(session).filter(|subject| stands(subject)) {
            found.extend(self.covering(session, subject.name()));
        }
        found
    }

    /// Notes that an answer for a name held an address that no name may stand for, or none; the sessions to tell, if
    /// that is new.
    pub(super) fn refused(&mut self, subject: &Subject, refused: Option<(IpAddr, NameRefusal)>) -> Vec<SessionId> {
        let Some(entry) = self.entries.get_mut(subject) else { return vec![] };
        if !entry.refuse(refused) || refused.is_none() {
            return vec![];
        }
        match subject {
            Subject::Everybody(_) => entry.owners().collect(),
            Subject::Session(session, _) => vec![*session],
        }
    }

    /// Takes away every address that may be reached no longer; what changed.
    pub(super) fn judge_again(&mut self, allows: impl Fn(IpAddr) -> bool, now: Instant) -> Vec<Change> {
        let changed =
            self.entries.iter_mut().filter_map(|(subject, entry)| entry.keep(&allows).then(|| subject.clone()));
        let changed: Vec<Subject> = changed.collect();
        changed.into_iter().map(|subject| Change { addresses: self.addresses_of(&subject, now), subject }).collect()
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
            if self.entries.len() - self.shared >= MAX_ASKED_BY_ALL {
                self.turned_away += 1;
                let time = ttl.max(FLOOR) + LINGER;
                return addresses.iter().map(|address| (*address, time)).collect();
            }
            self.entries.insert(subject.clone(), Entry::new([session].into(), None, now));
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

    fn take(&mut self, name: &str, session: SessionId, now: Instant) {
        let subject = Subject::Everybody(name.to_owned());
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.own(session);
        } else if self.shared >= MAX_NAMES {
            self.turned_away += 1;
            self.waiting.entry(name.to_owned()).or_default().insert(session);
        } else {
            self.ask_for_all(subject, [session].into(), now);
        }
    }

    fn ask_for_all(&mut self, subject: Subject, owners: BTreeSet<SessionId>, now: Instant) {
        self.shared += 1;
        self.entries.insert(subject.clone(), Entry::new(owners, Some(now), now));
        self.schedule.insert((now, subject));
    }

    fn release(&mut self, name: &str, session: SessionId, now: Instant) -> Option<Change> {
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.remove(&session);
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
        let subject = Subject::Everybody(name.to_owned());
        if !self.entries.get_mut(&subject)?.disown(session) {
            return None;
        }
        self.drop_entry(&subject);
        self.shared -= 1;
        if let Some((name, owners)) = self.waiting.pop_first() {
            self.ask_for_all(Subject::Everybody(name), owners, now);
        }
        Some(Change { subject, addresses: vec![] })
    }

    fn drop_entry(&mut self, subject: &Subject) {
        if let Some(Entry { next: Some(next), .. }) = self.entries.remove(subject) {
            self.schedule.remove(&(next, subject.clone()));
        }
    }

    /// Makes room for one more name that this session asked for: among its own, then among its user's.
    fn make_room_for(&mut self, session: SessionId) {
        let oldest = |subjects: Vec<Subject>, limit: usize| {
            let full = subjects.len() >= limit;
            full.then(|| subjects.into_iter().min_by_key(|subject| self.entries[subject].touched)).flatten()
        };
        let own = self.asked_by(session).cloned().collect();
        let user = self.sessions.get(&session).and_then(|wanted| self.users.get(&wanted.user));
        let of_user = || user.into_iter().flatten().flat_map(|one| self.asked_by(*one)).cloned().collect();
        let leaves = oldest(own, MAX_ASKED).or_else(|| oldest(of_user(), MAX_ASKED_BY_USER));
        if let Some(subject) = leaves {
            self.drop_entry(&subject);
        }
    }

    fn hosts_of(&self, session: SessionId) -> impl Iterator<Item = &Host> {
        self.sessions.get(&session).into_iter().flat_map(|wanted| &wanted.hosts)
    }

    fn asked_by(&self, session: SessionId) -> impl Iterator<Item = &Subject> {
        let from = Subject::Session(session, String::new());
        let own = self.entries.range(from..).map(|(subject, _)| subject);
        own.take_while(move |subject| matches!(subject, Subject::Session(of, _) if *of == session))
    }

    fn addresses_of(&self, subject: &Subject, now: Instant) -> Vec<(IpAddr, Duration)> {
        self.entries.get(subject).map(|entry| entry.addresses(now)).unwrap_or_default()
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
