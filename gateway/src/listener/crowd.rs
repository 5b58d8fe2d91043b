//! Who is on the way in: connections before the end of their handshake, bounded for the process and for each source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringwall_trust::spa::Source;

/// Connections before the end of their handshake.
const PROCESS: usize = 2_000;
/// The same for one source.
const PER_SOURCE: usize = 32;

/// All that are on the way in.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<HashMap<Source, usize>>);

/// A place in the crowd; free again when dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    source: Source,
}

impl Crowd {
    /// A place for a connection from `address`, if there is one.
    #[must_use]
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = Source::from(address);
        let mut sources = self.lock();
        let everybody: usize = if sources.len() >= PROCESS / PER_SOURCE { sources.values().sum() } else { 0 };
        let mine = sources.entry(source).or_insert(0);
        if *mine >= PER_SOURCE || everybody >= PROCESS {
            if *mine == 0 {
                sources.remove(&source);
            }
            return None;
        }
        *mine += 1;
        drop(sources);
        Some(Place { crowd: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.crowd.lock();
        if let Some(mine) = sources.get_mut(&self.source) {
            *mine -= 1;
            if *mine == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_takes_only_its_share_and_gives_it_back() {
        let crowd = Arc::new(Crowd::default());
        let flooder: IpAddr = "192.0.2.1".parse().expect("an address");
        let places: Vec<_> = (0..100).filter_map(|_| crowd.enter(flooder)).collect();
        assert_eq!(places.len(), PER_SOURCE);
        assert!(crowd.enter("192.0.2.2".parse().expect("an address")).is_some());
        drop(places);
        assert!(crowd.enter(flooder).is_some());
        assert!(crowd.lock().is_empty());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_source() {
        let crowd = Arc::new(Crowd::default());
        let places: Vec<_> = (0..100u16)
            .filter_map(|n| crowd.enter(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()))
            .collect();
        assert_eq!(places.len(), PER_SOURCE);
    }

    #[test]
    fn whole_process_has_a_bound() {
        let crowd = Arc::new(Crowd::default());
        let places: Vec<_> = (0..3_000u32).filter_map(|n| crowd.enter(std::net::Ipv4Addr::from(n).into())).collect();
        assert_eq!(places.len(), PROCESS);
    }
}
