//! What names stand for, in the kernel: a change costs its own elements and touches no rule set and no session.
//!
//! Every element expires by itself, so an address that nobody confirms any more stops passing whoever is still alive.
//! Asking name servers, and judging what they say, is [`crate::names`]' business.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::rules::RuleSet;

use super::worker::Worker;
use crate::firewall::batch::Batch;
use crate::firewall::objects::{ELEMENTS_PER_MESSAGE, Element, Message, Table};
use crate::firewall::ruleset::{NamedPart, named_parts};
use crate::firewall::slots::Mark;

/// Addresses that one session may have asked for at a time: a browser's day, not a scan of a directory.
const MAX_ASKED: usize = 1_024;

/// Set and key of an element.
type Place = (&'static str, Vec<u8>);
/// Addresses, and until when each is believed.
type Addresses = BTreeMap<IpAddr, Instant>;

/// Names, groups of names in slots, and what sessions were told.
#[derive(Debug)]
pub(super) struct Names {
    known: HashMap<Host, Addresses>,
    groups: HashMap<Mark, Vec<Group>>,
    sessions: HashMap<SessionId, Told>,
    next: u32,
}

impl Default for Names {
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

impl Names {
    /// Number of the next slot's first group.
    fn number(&mut self, parts: usize) -> u32 {
        let first = self.next;
        self.next = self.next.wrapping_add(u32::try_from(parts).expect("rules are bounded")).max(1);
        first
    }

    /// The messages that bring every group with this name, or all of a slot's, to what is known.
    fn settle(&mut self, table: &Table, now: Instant, wanted: impl Fn(Mark, &NamedPart) -> bool) -> Vec<Message> {
        let mut changes = Changes::default();
        for (mark, groups) in &mut self.groups {
            for group in groups.iter_mut().filter(|group| wanted(*mark, &group.part)) {
                let known = group.part.hosts.iter().filter_map(|host| self.known.get(host));
                group.settle(&union(known, now), now, &mut changes);
            }
        }
        changes.messages(table)
    }

    /// Elements that let a session reach, through the groups of `mark`, what it was told.
    fn tell(
        &mut self,
        session: SessionId,
        (mark, addresses): (Mark, SessionAddresses),
        only: Option<&Host>,
        now: Instant,
    ) -> Changes {
        let mut changes = Changes::default();
        let Some(told) = self.sessions.get_mut(&session) else { return changes };
        for group in self.groups.get(&mark).into_iter().flatten() {
            let hosts = group.part.hosts.iter().filter(|host| only.is_none_or(|only| only == *host));
            for (remote, until) in union(hosts.filter_map(|host| told.known.get(host)), now) {
                if let Some(place) = group.part.own_element(addresses, remote) {
                    told.present.insert(place.clone());
                    changes.add(place, until, now);
                }
            }
        }
        changes
    }
}

impl Group {
    fn settle(&mut self, wanted: &Addresses, now: Instant, changes: &mut Changes) {
        for gone in self.present.keys().filter(|address| !wanted.contains_key(address)) {
            changes.gone.extend(self.part.element(*gone));
        }
        for (address, until) in wanted {
            if self.present.get(address) != Some(until)
                && let Some(place) = self.part.element(*address)
            {
                changes.add(place, *until, now);
            }
        }
        self.present.clone_from(wanted);
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

/// Elements to be taken out and put in, in one transaction.
#[derive(Debug, Default)]
struct Changes {
    gone: Vec<Place>,
    added: Vec<(Place, u64)>,
}

impl Changes {
    /// `destroy` and `add`: a plain add would not move the end of an element that is there (T27).
    fn add(&mut self, place: Place, until: Instant, now: Instant) {
        let left = until.saturating_duration_since(now).as_millis();
        self.gone.push(place.clone());
        self.added.push((place, u64::try_from(left).unwrap_or(u64::MAX)));
    }

    fn messages(self, table: &Table) -> Vec<Message> {
        let mut gone: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for (set, key) in self.gone {
            gone.entry(set).or_default().push(Element::key(key));
        }
        let mut added: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for ((set, key), milliseconds) in self.added {
            added.entry(set).or_default().push(Element::key(key).expiring(milliseconds));
        }
        let chunks = |all: &BTreeMap<&str, Vec<Element>>, message: &dyn Fn(&str, Vec<Element>) -> Message| {
            all.iter()
                .flat_map(|(set, elements)| {
                    elements.chunks(ELEMENTS_PER_MESSAGE).map(|chunk| message(set, chunk.into()))
                })
                .collect::<Vec<_>>()
        };
        let mut messages = chunks(&gone, &|set, elements| table.destroy_elements(set, elements));
        messages.extend(chunks(&added, &|set, elements| table.add(set, elements)));
        messages
    }
}

impl Worker {
    /// A slot is being filled with these rules: number of its first group of names.
    pub(super) fn number_names(&mut self, mark: Mark, rules: &Arc<RuleSet>) -> u32 {
        let count = named_parts(mark, rules, 0).len();
        let first = self.names.number(count);
        let groups = named_parts(mark, rules, first).into_iter().map(|part| Group { part, present: Addresses::new() });
        self.names.groups.insert(mark, groups.collect());
        first
    }

    /// What the names of a slot stand for; follows on the rules that ask.
    pub(super) fn names_of_slot(&mut self, mark: Mark) -> Vec<Message> {
        self.names.settle(&self.table, Instant::now(), |of, _| of == mark)
    }

    /// The messages that take out what the names of a slot stood for; its numbers never come back.
    pub(super) fn forget_names_of(&self, mark: Mark) -> Vec<Message> {
        let groups = self.names.groups.get(&mark).into_iter().flatten();
        let gone = groups.flat_map(|group| group.present.keys().filter_map(|address| group.part.element(*address)));
        Changes { gone: gone.collect(), added: vec![] }.messages(&self.table)
    }

    /// The slot is empty in the kernel.
    pub(super) fn names_forgotten(&mut self, mark: Mark) {
        self.names.groups.remove(&mark);
    }

    /// A name stands for these addresses from now on and for no others.
    pub(super) fn resolved(&mut self, host: Host, addresses: Vec<(IpAddr, Duration)>, at: Instant) {
        let known: Addresses = addresses.into_iter().map(|(address, time)| (address, at + time)).collect();
        if known.is_empty() {
            self.names.known.remove(&host);
        } else {
            self.names.known.insert(host.clone(), known);
        }
        let messages = self.names.settle(&self.table, Instant::now(), |_, part| part.hosts.contains(&host));
        metrics::gauge!("ringwall_firewall_names").set(self.names.known.len() as f64);
        // Refused, what is there expires by itself; the next answer tries again.
        self.commit_names(messages);
    }

    /// A session was told, or is about to be told, that a name stands for these addresses; false if it is not to be.
    pub(super) fn told(
        &mut self,
        session: SessionId,
        host: Host,
        addresses: &[(IpAddr, Duration)],
        at: Instant,
    ) -> bool {
        let (Some(held), now) = (self.ledger.held(session), Instant::now()) else { return false };
        let told = self.names.sessions.entry(session).or_default();
        for known in told.known.values_mut() {
            known.retain(|_, until| *until > now);
        }
        told.known.retain(|_, known| !known.is_empty());
        if told.known.values().map(BTreeMap::len).sum::<usize>() + addresses.len() > MAX_ASKED {
            metrics::counter!("ringwall_firewall_names_refused_total").increment(1);
            return false;
        }
        let known = told.known.entry(host.clone()).or_default();
        for (address, time) in addresses {
            let until = known.entry(*address).or_insert(at + *time);
            *until = (*until).max(at + *time);
        }
        let changes = self.names.tell(session, (held.mark, held.addresses), Some(&host), now);
        let messages = changes.messages(&self.table);
        self.commit_names(messages)
    }

    /// What a session was told, for the slot that it is about to stand in; in front of the element that leads there.
    pub(super) fn names_of_session(
        &mut self,
        session: SessionId,
        mark: Mark,
        addresses: SessionAddresses,
    ) -> Vec<Message> {
        self.names.tell(session, (mark, addresses), None, Instant::now()).messages(&self.table)
    }

    /// The session has gone, or has left an address behind: what it was told is nobody else's.
    pub(super) fn withdraw_session_names(&mut self, session: SessionId) {
        let Some(told) = self.names.sessions.remove(&session) else { return };
        let changes = Changes { gone: told.present.into_iter().collect(), added: vec![] };
        let messages = changes.messages(&self.table);
        self.commit_names(messages);
    }

    /// Elements of groups that should be there, for the read-back.
    pub(super) fn named_elements(&self) -> HashSet<Vec<u8>> {
        let groups = self.names.groups.values().flatten();
        groups
            .flat_map(|group| group.present.keys().filter_map(|address| group.part.element(*address)))
            .map(|(_, key)| key)
            .collect()
    }

    fn commit_names(&mut self, messages: Vec<Message>) -> bool {
        if messages.is_empty() {
            return true;
        }
        let batch: Batch = messages.into_iter().collect();
        self.commit(batch).is_ok()
    }
}
