//! Ordered, persistent maps and sets: a clone costs nanoseconds and shares everything with its origin.
//!
//! Newtypes over imbl, so that the library is named in one file. Order and encoding are those of `BTreeMap`. Values
//! stand behind an `Arc`, so that copying a tree node on change never copies large values.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A persistent ordered map.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[serde(bound(
    serialize = "K: Ord + Serialize, V: Serialize",
    deserialize = "K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>"
))]
pub struct Map<K: Ord, V>(imbl::OrdMap<K, Arc<V>>);

impl<K: Ord + Clone, V> Map<K, V> {
    /// The value of a key.
    #[must_use]
    pub(crate) fn find(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(Arc::as_ref)
    }

    /// Whether the key is present.
    #[must_use]
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// How many entries.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries in order of their keys.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// All values in order of their keys.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Entries whose keys lie in `range`.
    pub(crate) fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range(range).map(|(key, value)| (key, value.as_ref()))
    }

    /// The entry with the lowest key.
    #[must_use]
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.0.get_min().map(|(key, value)| (key, value.as_ref()))
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, Arc::new(value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.0.remove(key)
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// The value of a key, to be changed in place; versions that share it keep theirs.
    pub(crate) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(Arc::make_mut)
    }
}

impl<K: Ord, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(imbl::OrdMap::new())
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter()).finish()
    }
}

/// A persistent ordered set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[serde(bound(serialize = "K: Ord + Serialize", deserialize = "K: Ord + Clone + Deserialize<'de>"))]
pub(crate) struct Set<K: Ord>(imbl::OrdSet<K>);

impl<K: Ord + Clone> Set<K> {
    /// Elements that lie in `range`.
    pub(crate) fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = &K> {
        self.0.range(range)
    }

    pub(crate) fn insert(&mut self, key: K) {
        self.0.insert(key);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }
}

impl<K: Ord> Default for Set<K> {
    fn default() -> Self {
        Self(imbl::OrdSet::new())
    }
}

impl<K: Ord + fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    proptest! {
        /// The library below had defects in just this; what is promised is `BTreeMap`'s behaviour, version by version.
        #[test]
        fn every_version_behaves_and_encodes_as_a_btree_map(
            steps in prop::collection::vec((0u16..200, prop::option::of(0u32..9)), 1..400),
            bounds in (0u16..200, 0u16..200),
        ) {
            let mut ours: Map<u16, u32> = Map::default();
            let mut theirs = BTreeMap::new();
            let mut versions = Vec::new();
            for (at, (key, value)) in steps.into_iter().enumerate() {
                match value {
                    Some(value) => {
                        ours.insert(key, value);
                        theirs.insert(key, value);
                    }
                    None => prop_assert_eq!(ours.remove(&key).map(|value| *value), theirs.remove(&key)),
                }
                if let (Some(ours), Some(theirs)) = (ours.find_mut(&(key / 2)), theirs.get_mut(&(key / 2))) {
                    *ours += 1;
                    *theirs += 1;
                }
                if at % 16 == 0 {
                    versions.push((ours.clone(), theirs.clone()));
                }
            }
            versions.push((ours, theirs));
            let (low, high) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            for (ours, theirs) in versions {
                prop_assert!(ours.iter().eq(theirs.iter()));
                prop_assert!(ours.range(low..=high).eq(theirs.range(low..=high)));
                prop_assert_eq!(ours.len(), theirs.len());
                prop_assert_eq!(ours.first(), theirs.first_key_value());
                let bytes = codec::encode(&ours).expect("encoded");
                prop_assert_eq!(&bytes, &codec::encode(&theirs).expect("encoded"));
                prop_assert_eq!(codec::decode::<Map<u16, u32>>(&bytes).expect("decoded"), ours);
            }
        }
    }
}
