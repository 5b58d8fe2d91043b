//! How many right knocks one source may make in a second: junk is not counted, for whoever sends it may write any source
//! on it and would spend another's share.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{MAX_KNOCKS_PER_SOURCE_AND_SECOND, Source};

/// Sources counted at once; more in one second are refused.
const MAX_SOURCES: usize = 65_536;

/// The form of a knock. Who knocks by packet shows a proof as well: each has a share of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A UDP packet.
    Packet,
    /// An ALPN entry.
    Proof,
}

/// Right knocks of the present second by source and form.
#[derive(Debug, Default)]
pub(super) struct Sources {
    second: u64,
    counts: HashMap<(Source, Form), u32>,
}

impl Sources {
    /// Counts a knock; false if its source has had its share.
    pub(super) fn admit(&mut self, source: IpAddr, form: Form, second: u64) -> bool {
        if self.second != second {
            self.second = second;
            self.counts.clear();
        }
        let source = (Source::from(source), form);
        if !self.counts.contains_key(&source) && self.counts.len() >= MAX_SOURCES {
            return false;
        }
        let count = self.counts.entry(source).or_default();
        *count += 1;
        *count <= MAX_KNOCKS_PER_SOURCE_AND_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_has_twenty_knocks_a_second_and_takes_none_of_anothers() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut sources = Sources::default();
        let admitted = (0..100).filter(|_| sources.admit(address("192.0.2.1"), Form::Packet, 7)).count();
        assert_eq!(admitted, 20);
        assert!(!sources.admit(address("::ffff:192.0.2.1"), Form::Packet, 7), "the same in another writing");
        assert!(sources.admit(address("192.0.2.2"), Form::Packet, 7), "another source");
        assert!(sources.admit(address("192.0.2.1"), Form::Proof, 7), "the proof of a connection that a packet opened");
        assert!(sources.admit(address("192.0.2.1"), Form::Packet, 8), "another second");
        let neighbours =
            (0..100u16).filter(|n| sources.admit(address(&format!("2001:db8::{n:x}")), Form::Packet, 8)).count();
        assert_eq!(neighbours, 20, "one IPv6 network is one source");
    }
}
