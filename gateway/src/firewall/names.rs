//! What names stand for, in the kernel: a change costs its own elements and touches no rule set and no session. Pure.
//!
//! Every element expires by itself, so an address that nobody confirms any more stops passing whoever is still alive.
//! Asking name servers, and judging what they say, is [`crate::names`]' business; what is returned here is to be sent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::rules::RuleSet;

use super::difference::Difference;
use super::place::Place;
use super::ruleset::{NamedPart, named_parts};
use super::slots::Mark;
use super::wanted::SessionRules;

/// Addresses that one session may have asked for at a time: a browser's day, not a scan of a directory.
const MAX_ASKED: usize = 1_024;

/// Addresses, and until when each is believed.
type Addresses = BTreeMap<IpAddr, Instant>;

/// Names, groups of names in slots, and what sessions were told.
#[derive(Debug)]
pub(super) struct NameSlots {
    known: HashMap<Host, Addresses>,
    groups: HashMap<Mark, Vec<Group>>,
    sessions: HashMap<SessionId, Told>,
    next: u32,
}

impl Default for NameSlots {
    fn default() -> Self {
        // 0 stands for no group.
        Self { known: HashMap::new(), groups: HashMap::new(), sessions: HashMap::new(), next: 1 }
    }
}

/// One group of names of a filled slot, and what the kernel has of it.
#[derive(Debug)]
struct Group {
    part: NamedPart,
    present: Addresses,
}

/// What one session was told, and what the kernel has of it.
#[derive(Debug, Default)]
struct Told {
    known: BTreeMap<Host, Addresses>,
    present: HashSet<Place>,
}

impl NameSlots {
    /// Number of the next slot's first group.
    fn number(&mut self, parts: usize) -> u32 {
        let first = self.next;
        self.next = self.next.wrapping_add(u32::try_from(parts).expect("rules are bounded")).max(1);
        first
    }

    /// What brings every group with this name, or all of a slot's, to what is known.
    fn settle(&mut self, now: Instant, wanted: impl Fn(Mark, &NamedPart) -> bool) -> Difference {
        let mut difference = Difference::default();
        for (mark, groups) in &mut self.groups {
            for group in groups.iter_mut().filter(|group| wanted(*mark, &group.part)) {
                let known = group.part.hosts.iter().filter_map(|host| self.known.get(host));
                group.settle(&union(known, now), now, &mut difference);
            }
        }
        difference
    }

    /// Elements that let a session reach, through the groups of `mark`, what it was told.
    fn tell(
        &mut self,
        session: SessionId,
        (mark, addresses): (Mark, SessionAddresses),
        only: Option<&Host>,
        now: Instant,
    ) -> Difference {
        let mut difference = Difference::default();
        let Some(told) = self.sessions.get_mut(&session) else { return difference };
        for group in self.groups.get(&mark).into_iter().flatten() {
            let hosts = group.part.hosts.iter().filter(|host| only.is_none_or(|only| only == *host));
            for (remote, until) in union(hosts.filter_map(|host| told.known.get(host)), now) {
                if let Some(place) = group.part.own_element(addresses, remote) {
                    told.present.insert(place.clone());
                    difference.put(place, None, until.saturating_duration_since(now));
                }
            }
        }
        difference
    }

    /// A slot is being filled with these rules: number of its first group of names.
    pub(super) fn number_slot(&mut self, mark: Mark, rules: &RuleSet) -> u32 {
        let count = named_parts(mark, rules, 0).len();
        let first = self.number(count);
        let groups = named_parts(mark, rules, first).into_iter().map(|part| Group { part, present: Addresses::new() });
        self.groups.insert(mark, groups.collect());
        first
    }

    /// What the names of a slot stand for; follows on the rules that ask.
    pub(super) fn fill_slot(&mut self, mark: Mark, now: Instant) -> Difference {
        self.settle(now, |of, _| of == mark)
    }

    /// Takes out what the names of a slot stood for; its numbers never come back.
    pub(super) fn empty_slot(&self, mark: Mark) -> Difference {
        let mut difference = Difference::default();
        let groups = self.groups.get(&mark).into_iter().flatten();
        groups.flat_map(Group::places).for_each(|place| difference.remove(place));
        difference
    }

    /// The slot is empty in the kernel.
    pub(super) fn slot_emptied(&mut self, mark: Mark) {
        self.groups.remove(&mark);
    }

    /// A name stands for these addresses from `at` on, each for its time, and for no others.
    pub(super) fn resolved(
        &mut self,
        host: Host,
        addresses: Vec<(IpAddr, Duration)>,
        at: Instant,
        now: Instant,
    ) -> Difference {
        let known: Addresses = addresses.into_iter().map(|(address, time)| (address, at + time)).collect();
        if known.is_empty() {
            self.known.remove(&host);
        } else {
            self.known.insert(host.clone(), known);
        }
        metrics::gauge!("ringwall_firewall_names").set(self.known.len() as f64);
        self.settle(now, |_, part| part.hosts.contains(&host))
    }

    /// A session is about to be told that a name stands for these addresses; none if it was told too many.
    pub(super) fn told(
        &mut self,
        (session, held): (SessionId, SessionRules),
        host: &Host,
        addresses: &[(IpAddr, Duration)],
        at: Instant,
        now: Instant,
    ) -> Option<Difference> {
        let told = self.sessions.entry(session).or_default();
        if !told.learn(host, addresses, at, now) {
            metrics::counter!("ringwall_firewall_names_refused_total").increment(1);
            return None;
        }
        Some(self.tell(session, (held.mark, held.addresses), Some(host), now))
    }

    /// What a session was told, for the slot that it is about to stand in; in front of the element that leads there.
    pub(super) fn move_session(&mut self, session: SessionId, rules: &SessionRules, now: Instant) -> Difference {
        self.tell(session, (rules.mark, rules.addresses), None, now)
    }

    /// The session has gone, or has left an address behind: what it was told is nobody else's.
    pub(super) fn withdraw_session(&mut self, session: SessionId) -> Difference {
        let mut difference = Difference::default();
        let told = self.sessions.remove(&session).unwrap_or_default();
        told.present.into_iter().for_each(|place| difference.remove(place));
        difference
    }

    /// Keys of the elements of groups that should be there, for the read-back.
    pub(super) fn keys(&self) -> HashSet<Vec<u8>> {
        self.groups.values().flatten().flat_map(Group::places).map(|place| place.key).collect()
    }
}

impl Told {
    /// Takes over what the session is told; false if it would be too much.
    fn learn(&mut self, host: &Host, addresses: &[(IpAddr, Duration)], at: Instant, now: Instant) -> bool {
        for known in self.known.values_mut() {
            known.retain(|_, until| *until > now);
        }
        self.known.retain(|_, known| !known.is_empty());
        if self.known.values().map(BTreeMap::len).sum::<usize>() + addresses.len() > MAX_ASKED {
            return false;
        }
        let known = self.known.entry(host.clone()).or_default();
        for (address, time) in addresses {
            let until = known.entry(*address).or_insert(at + *time);
            *until = (*until).max(at + *time);
        }
        true
    }
}

impl Group {
    fn settle(&mut self, wanted: &Addresses, now: Instant, difference: &mut Difference) {
        let gone = self.present.keys().filter(|address| !wanted.contains_key(address));
        gone.filter_map(|address| self.part.element(*address)).for_each(|place| difference.remove(place));
        for (address, until) in wanted {
            if self.present.get(address) != Some(until)
                && let Some(place) = self.part.element(*address)
            {
                difference.put(place, None, until.saturating_duration_since(now));
            }
        }
        self.present.clone_from(wanted);
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.present.keys().filter_map(|address| self.part.element(*address))
    }
}

/// The latest end of every address that is believed still.
fn union<'a>(known: impl Iterator<Item = &'a Addresses>, now: Instant) -> Addresses {
    let mut all = Addresses::new();
    for (address, until) in known.flatten().filter(|(_, until)| **until > now) {
        let end = all.entry(*address).or_insert(*until);
        *end = (*end).max(*until);
    }
    all
}
