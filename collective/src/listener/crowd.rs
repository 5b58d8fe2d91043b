//! How many connections each source has open: a flood from one place must not take everybody's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_trust::spa::Source;

/// Counts open connections by source.
#[derive(Debug)]
pub struct Crowd {
    limit: usize,
    open: Mutex<HashMap<Source, usize>>,
}

/// A place in the crowd; dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    source: Source,
}

impl Crowd {
    /// At most `limit` connections of one source.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, open: Mutex::default() })
    }

    /// A place for one more connection; `None` if the source has enough.
    #[must_use]
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let source = Source::from(from);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_the_places_of_another() {
        let crowd = Crowd::new(2);
        let (one, other) = ("192.0.2.1".parse().expect("an address"), "192.0.2.2".parse().expect("an address"));
        let first = crowd.enter(one).expect("a place");
        let _second = crowd.enter(one).expect("a place");
        assert!(crowd.enter(one).is_none());
        assert!(crowd.enter(other).is_some());
        drop(first);
        assert!(crowd.enter(one).is_some());
    }
}
