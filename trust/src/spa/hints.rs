//! The keys of a receiver and the hints by which it recognises them: junk costs one look-up, however many keys there are.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::key::{HandleRoot, OuterKeys, hint, outer_key};
use super::{KeyOwner, Realm, SpaKey};
use crate::secret::SecretKey;

/// A key that the receiver holds.
pub(super) enum Held {
    /// As its holders have it.
    Plain { owner: KeyOwner, key: SpaKey },
    /// One from which every holder has another key, told by a handle.
    Root { realm: Realm, outer: OuterKeys, root: HandleRoot },
}

impl Held {
    pub(super) fn plain(owner: KeyOwner, key: SpaKey) -> Self {
        Self::Plain { owner, key }
    }

    pub(super) fn root(realm: Realm, secret: &SecretKey) -> Self {
        Self::Root { realm, outer: OuterKeys::new(&outer_key(secret)), root: HandleRoot::new(secret) }
    }

    const fn outer(&self) -> &OuterKeys {
        match self {
            Self::Plain { key, .. } => &key.outer,
            Self::Root { outer, .. } => outer,
        }
    }
}

/// Which key a hint stands for, and in which period.
#[derive(Clone, Copy)]
struct Hinted {
    key: u32,
    period: u64,
}

/// Keys by number, and their hints of the periods that count now.
#[derive(Default)]
pub(super) struct Keys {
    held: HashMap<u32, Held>,
    next: u32,
    hints: HashMap<[u8; 8], Hinted>,
    /// Periods of which the hints are held; `None` until the first look.
    periods: Option<RangeInclusive<u64>>,
}

impl Keys {
    pub(super) fn add(&mut self, held: Held) {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        for period in self.periods.clone().into_iter().flatten() {
            put_hints(&mut self.hints, id, held.outer(), period);
        }
        self.held.insert(id, held);
    }

    pub(super) fn remove(&mut self, owner: &KeyOwner) {
        self.retain(|held| !matches!(held, Held::Plain { owner: of, .. } if of == owner));
    }

    pub(super) fn remove_roots(&mut self, realm: Realm) {
        self.retain(|held| !matches!(held, Held::Root { realm: of, .. } if *of == realm));
    }

    fn retain(&mut self, wanted: impl Fn(&Held) -> bool) {
        self.held.retain(|_, held| wanted(held));
        let held = &self.held;
        self.hints.retain(|_, hinted| held.contains_key(&hinted.key));
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.hints.clear();
    }

    pub(super) fn holds(&self, owner: &KeyOwner) -> bool {
        self.held.values().any(|held| match (held, owner) {
            (Held::Plain { owner: of, .. }, owner) => of == owner,
            (Held::Root { realm: Realm::Gateway(of), .. }, KeyOwner::Session(gateway, _)) => of == gateway,
            (Held::Root { realm: Realm::Administrators, .. }, KeyOwner::Administrator(_)) => true,
            (Held::Root { .. }, _) => false,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The key that a hint stands for.
    pub(super) fn find(&self, said: [u8; 8]) -> Option<&Held> {
        self.hints.get(&said).and_then(|hinted| self.held.get(&hinted.key))
    }

    /// Holds the hints of these periods and no others.
    pub(super) fn turn_to(&mut self, periods: &RangeInclusive<u64>) {
        if self.periods.as_ref() == Some(periods) {
            return;
        }
        let former = self.periods.replace(periods.clone());
        self.hints.retain(|_, hinted| periods.contains(&hinted.period));
        for period in periods.clone().filter(|period| former.as_ref().is_none_or(|there| !there.contains(period))) {
            for (id, held) in &self.held {
                put_hints(&mut self.hints, *id, held.outer(), period);
            }
        }
    }
}

fn put_hints(hints: &mut HashMap<[u8; 8], Hinted>, id: u32, outer: &OuterKeys, period: u64) {
    hints.insert(hint(&outer.udp_hint, period), Hinted { key: id, period });
    hints.insert(hint(&outer.tcp_hint, period), Hinted { key: id, period });
}
