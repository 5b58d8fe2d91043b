//! The difference between what is wanted and what stands in the kernel: elements out, elements in. Pure.
//!
//! Promises: applied to what stands it gives what is wanted, also if elements expired meanwhile; in its messages every
//! removal goes before the first installation. Sending it is left to [`super::transactions`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringwall_kernel::nft::{ELEMENTS_PER_MESSAGE, Element, Message, Table, mark_and_owner};

use super::ledger::Ledger;
use super::place::Place;
use super::slots::Mark;
use super::wanted::{Owner, SessionRules, Wanted};

/// Elements to be taken out and put in, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    removed: Vec<Place>,
    added: Vec<Addition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Addition {
    place: Place,
    /// What a map gives for it.
    gives: Option<(Mark, Owner)>,
    /// When it vanishes by itself.
    after: Duration,
}

impl Difference {
    /// What brings the sessions of `wanted` from what the ledger says of them to what they are to have.
    pub(super) fn between(wanted: &Wanted, standing: &Ledger, now: Instant) -> Self {
        let mut difference = Self::default();
        match wanted {
            Wanted::Nothing(sessions) => {
                let held = sessions.iter().filter_map(|session| standing.held(*session));
                held.flat_map(|held| held.addresses.iter()).for_each(|one| difference.remove(Place::of_session(one)));
            }
            Wanted::Rules(sessions) => {
                for (session, rules) in sessions {
                    difference.replace(standing.held(*session), rules, now);
                }
            }
        }
        difference
    }

    /// One session's elements: former addresses out, all others anew. Elements that are over are not put in.
    fn replace(&mut self, former: Option<SessionRules>, rules: &SessionRules, now: Instant) {
        if let Some(former) = former {
            former.left_behind(rules.addresses).for_each(|address| self.remove(Place::of_session(address)));
        }
        for address in rules.addresses.iter() {
            let place = Place::of_session(address);
            match rules.left(now) {
                Some(after) => self.put(place, Some((rules.mark, rules.owner)), after),
                None => self.remove(place),
            }
        }
    }

    /// Takes an element out, whether it is there or not.
    pub(super) fn remove(&mut self, place: Place) {
        self.removed.push(place);
    }

    /// Puts an element in that vanishes by itself: `destroy` and `add` work in every state, where a plain add would not
    /// move the end of an element that is there (T27).
    pub(super) fn put(&mut self, place: Place, gives: Option<(Mark, Owner)>, after: Duration) {
        self.removed.push(place.clone());
        self.added.push(Addition { place, gives, after });
    }

    /// The messages, set by set, all removals first.
    pub(super) fn messages(self, table: &Table) -> Vec<Message> {
        let mut removed: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for Place { set, key } in self.removed {
            removed.entry(set).or_default().push(Element::key(key));
        }
        let mut added: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for Addition { place: Place { set, key }, gives, after } in self.added {
            let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let element = match gives {
                Some((mark, owner)) => Element::key(key).giving(mark_and_owner(mark.0, owner.0)),
                None => Element::key(key),
            };
            added.entry(set).or_default().push(element.expiring(milliseconds));
        }
        let mut messages = chunked(removed, |set, elements| table.destroy_elements(set, elements));
        messages.extend(chunked(added, |set, elements| table.add(set, elements)));
        messages
    }
}

fn chunked(sets: BTreeMap<&str, Vec<Element>>, message: impl Fn(&str, Vec<Element>) -> Message) -> Vec<Message> {
    let chunks = |(set, elements): (&str, Vec<Element>)| {
        elements.chunks(ELEMENTS_PER_MESSAGE).map(|chunk| message(set, chunk.into())).collect::<Vec<_>>()
    };
    sets.into_iter().flat_map(chunks).collect()
}

#[cfg(test)]
mod tests;
