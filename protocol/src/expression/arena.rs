//! Claims flattened once into slots, and a view of them that notes every slot an expression reads.
//!
//! A missing key notes the map itself: the expression must be asked again when the map gains a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{ExecutionError, Value};
use serde_json::Value as Json;

use crate::claims::{ClaimMap, Facts};

/// The claims of one evaluation, flattened.
#[derive(Debug)]
pub struct ClaimArena {
    slots: Vec<Slot>,
    paths: Vec<String>,
    seen: Vec<AtomicU64>,
    /// Elements of the longest list.
    longest: usize,
}

#[derive(Debug)]
enum Slot {
    Map(BTreeMap<String, usize>),
    Leaf(Box<dyn Val>),
}

/// Slots of the roots, in this order.
pub(super) const ROOTS: [&str; 4] = ["claims", "user", "device", "system"];

impl ClaimArena {
    /// Flattens the user, device and system claims of `facts`. Absent device claims are an empty map.
    #[must_use]
    pub fn new(facts: &Facts<'_>) -> Self {
        let mut arena = Self { slots: Vec::new(), paths: Vec::new(), seen: Vec::new(), longest: 0 };
        for root in ROOTS {
            arena.push(root.to_owned(), Slot::Map(BTreeMap::new()));
        }
        let empty = ClaimMap::default();
        let device = facts.device.map_or(&empty, |claims| &claims.0);
        for (slot, root, claims) in [(1, "user", facts.user), (2, "device", device), (3, "system", facts.system)] {
            let children = claims
                .0
                .iter()
                .map(|(name, value)| (name.clone(), arena.add(format!("{root}.{name}"), value)))
                .collect();
            arena.slots[slot] = Slot::Map(children);
        }
        arena.slots[0] = Slot::Map((1..ROOTS.len()).map(|slot| (ROOTS[slot].to_owned(), slot)).collect());
        arena.seen = (0..arena.slots.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        arena
    }

    pub(super) const fn view(&self, slot: usize) -> View<'_> {
        View { arena: self, slot }
    }

    /// Elements of the longest list in all claims.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// Notes every root: any change of any claim counts.
    pub(super) fn note_everything(&self) {
        (1..ROOTS.len()).for_each(|slot| self.view(slot).note(slot));
    }

    pub(super) fn forget_reads(&self) {
        self.seen.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    pub(super) fn reads(&self) -> BTreeSet<String> {
        let noted = |slot: &usize| self.seen[slot / 64].load(Ordering::Relaxed) >> (slot % 64) & 1 == 1;
        (0..self.slots.len()).filter(noted).map(|slot| self.paths[slot].clone()).collect()
    }

    fn push(&mut self, path: String, slot: Slot) -> usize {
        self.slots.push(slot);
        self.paths.push(path);
        self.slots.len() - 1
    }

    fn add(&mut self, path: String, value: &Json) -> usize {
        let Json::Object(map) = value else {
            self.longest = self.longest.max(longest_list(value));
            return self.push(path, Slot::Leaf(leaf(value)));
        };
        let slot = self.push(path.clone(), Slot::Map(BTreeMap::new()));
        let children =
            map.iter().map(|(name, value)| (name.clone(), self.add(format!("{path}.{name}"), value))).collect();
        self.slots[slot] = Slot::Map(children);
        slot
    }
}

fn longest_list(value: &Json) -> usize {
    match value {
        Json::Array(items) => items.iter().map(longest_list).fold(items.len(), usize::max),
        Json::Object(map) => map.values().map(longest_list).fold(map.len(), usize::max),
        _ => 0,
    }
}

fn leaf(value: &Json) -> Box<dyn Val> {
    match value {
        Json::String(text) => Box::new(CelString::from(text.clone())),
        Json::Bool(truth) => Box::new(CelBool::from(*truth)),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Box::new(CelInt::from(integer)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => cel::to_value(value)
            .ok()
            .and_then(|value: Value| <Box<dyn Val>>::try_from(value).ok())
            .unwrap_or_else(|| Box::new(cel::common::types::CelNull)),
    }
}

/// One map of the arena, as an expression sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'c> {
    arena: &'c ClaimArena,
    slot: usize,
}

impl View<'_> {
    fn note(&self, slot: usize) {
        self.arena.seen[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
    }

    fn child(&self, key: &dyn Val) -> Option<usize> {
        let Slot::Map(children) = &self.arena.slots[self.slot] else { return None };
        children.get(key.downcast_ref::<CelString<'_>>()?.inner()).copied()
    }
}

impl Val for View<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }
    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }
    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }
    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.note(self.slot);
        None
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for View<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(slot) = self.child(key) else {
            self.note(self.slot);
            let name = key.downcast_ref::<CelString<'_>>().map_or("?", CelString::inner);
            return Err(ExecutionError::no_such_key(name));
        };
        Ok(match &self.arena.slots[slot] {
            Slot::Map(_) => CowVal::owned(View { slot, ..*self }),
            Slot::Leaf(value) => {
                self.note(slot);
                CowVal::Borrowed(&**value)
            }
        })
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl Container for View<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        self.note(self.slot);
        Ok(self.child(key).is_some())
    }
}
