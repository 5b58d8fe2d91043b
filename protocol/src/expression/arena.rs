//! Claims laid out once in slots, and a view of them that notes every slot an expression reads.
//!
//! A missing key notes the map itself: the expression must be asked again when the map gains a key. A claim becomes a
//! value of the interpreter only when that looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{ExecutionError, Value};
use serde_json::Value as Json;

use crate::claims::{ClaimMap, Facts};

/// The claims of one evaluation, laid out.
#[derive(Debug)]
pub struct ClaimArena<'f> {
    slots: Vec<Slot<'f>>,
    paths: Vec<String>,
    seen: Vec<AtomicU64>,
    /// Elements of the longest list.
    longest: usize,
}

/// A map by its children's slots, or a value.
#[derive(Debug)]
pub(super) enum Slot<'f> {
    Map(BTreeMap<&'f str, usize>),
    Leaf(Leaf<'f>),
}

/// A claim that is no map.
#[derive(Debug)]
pub(super) struct Leaf<'f> {
    pub(super) json: &'f Json,
    /// What the interpreter sees, once it looks.
    value: OnceLock<Box<dyn Val>>,
}

/// Slots of the roots, in this order.
pub(super) const ROOTS: [&str; 4] = ["claims", "user", "device", "system"];

impl<'f> ClaimArena<'f> {
    /// Lays out the user, device and system claims of `facts`. Absent device claims are an empty map.
    #[must_use]
    pub fn new(facts: &Facts<'f>) -> Self {
        let mut arena = Self { slots: Vec::new(), paths: Vec::new(), seen: Vec::new(), longest: 0 };
        for root in ROOTS {
            arena.push(root.to_owned(), Slot::Map(BTreeMap::new()));
        }
        let device = facts.device.map(|claims| &claims.0);
        let roots: [(usize, Option<&'f ClaimMap>); 3] = [(1, Some(facts.user)), (2, device), (3, Some(facts.system))];
        for (slot, claims) in roots {
            let Some(claims) = claims else { continue };
            let child = |(name, value): (&'f String, &'f Json)| {
                (name.as_str(), arena.add(format!("{}.{name}", ROOTS[slot]), value))
            };
            let children = claims.0.iter().map(child).collect();
            arena.slots[slot] = Slot::Map(children);
        }
        arena.slots[0] = Slot::Map((1..ROOTS.len()).map(|slot| (ROOTS[slot], slot)).collect());
        arena.seen = (0..arena.slots.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        arena
    }

    pub(super) const fn view(&self, slot: usize) -> View<'_> {
        View { arena: self, slot }
    }

    pub(super) fn slot(&self, slot: usize) -> &Slot<'f> {
        &self.slots[slot]
    }

    /// The slot under a name of the map in `slot`.
    pub(super) fn child(&self, slot: usize, name: &str) -> Option<usize> {
        match &self.slots[slot] {
            Slot::Map(children) => children.get(name).copied(),
            Slot::Leaf(_) => None,
        }
    }

    pub(super) fn note(&self, slot: usize) {
        self.seen[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
    }

    /// Elements of the longest list in all claims.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// Notes every root: any change of any claim counts.
    pub(super) fn note_everything(&self) {
        (1..ROOTS.len()).for_each(|slot| self.note(slot));
    }

    pub(super) fn forget_reads(&self) {
        self.seen.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    pub(super) fn reads(&self) -> BTreeSet<String> {
        let noted = |slot: &usize| self.seen[slot / 64].load(Ordering::Relaxed) >> (slot % 64) & 1 == 1;
        (0..self.slots.len()).filter(noted).map(|slot| self.paths[slot].clone()).collect()
    }

    fn push(&mut self, path: String, slot: Slot<'f>) -> usize {
        self.slots.push(slot);
        self.paths.push(path);
        self.slots.len() - 1
    }

    fn add(&mut self, path: String, value: &'f Json) -> usize {
        let Json::Object(map) = value else {
            self.longest = self.longest.max(longest_list(value));
            return self.push(path, Slot::Leaf(Leaf { json: value, value: OnceLock::new() }));
        };
        let slot = self.push(path.clone(), Slot::Map(BTreeMap::new()));
        let children =
            map.iter().map(|(name, value)| (name.as_str(), self.add(format!("{path}.{name}"), value))).collect();
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

fn interpreted(value: &Json) -> Box<dyn Val> {
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
    arena: &'c ClaimArena<'c>,
    slot: usize,
}

impl View<'_> {
    fn child(&self, key: &dyn Val) -> Option<usize> {
        self.arena.child(self.slot, key.downcast_ref::<CelString<'_>>()?.inner())
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
        self.arena.note(self.slot);
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
            self.arena.note(self.slot);
            let name = key.downcast_ref::<CelString<'_>>().map_or("?", CelString::inner);
            return Err(ExecutionError::no_such_key(name));
        };
        Ok(match &self.arena.slots[slot] {
            Slot::Map(_) => CowVal::owned(View { slot, ..*self }),
            Slot::Leaf(leaf) => {
                self.arena.note(slot);
                CowVal::Borrowed(&**leaf.value.get_or_init(|| interpreted(leaf.json)))
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
        self.arena.note(self.slot);
        Ok(self.child(key).is_some())
    }
}
