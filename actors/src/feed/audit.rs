//! Audit records of a Gateway, kept until a Controller has them: at least once each, bounded, the oldest go first.

use std::collections::VecDeque;

use ringwall_protocol::name::SessionDn;
use ringwall_protocol::time::UnixMillis;
use serde_json::{Map, Value, json};

/// Records that wait for a Controller.
pub(crate) const CAPACITY: usize = 100_000;
/// Records of one frame.
const BATCH: usize = 256;
/// Bytes of one frame's records: half of what a frame may have.
const BATCH_BYTES: usize = 512 * 1024;

/// One record; secrets never get into it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord(Map<String, Value>);

impl AuditRecord {
    /// A record about a session's device.
    #[must_use]
    pub(crate) fn new(kind: &'static str, dn: &SessionDn, time: UnixMillis) -> Self {
        let mut fields = Map::new();
        fields.insert("event_type".to_owned(), json!(kind));
        fields.insert("timestamp".to_owned(), json!(time.to_string()));
        fields.insert("distinguished_name".to_owned(), json!(dn));
        fields.insert("distinguished_name_device_id".to_owned(), json!(dn.device.simple()));
        fields.insert("distinguished_name_user".to_owned(), json!(dn.user.user));
        fields.insert("distinguished_name_ou".to_owned(), json!(dn.user.provider));
        Self(fields)
    }

    /// The same with a further field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Its JSON.
    #[must_use]
    pub(crate) fn into_json(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// Records that no Controller has confirmed.
#[derive(Debug)]
pub(crate) struct AuditBuffer {
    records: VecDeque<String>,
    /// Number of the first record in `records`.
    first: u64,
    /// Records that were sent and not confirmed.
    in_flight: usize,
    /// Records that were lost because nobody took them.
    dropped: u64,
}

impl AuditBuffer {
    /// An empty buffer. `first` must be above every number that this Gateway has ever used.
    #[must_use]
    pub(crate) const fn new(first: u64) -> Self {
        Self { records: VecDeque::new(), first, in_flight: 0, dropped: 0 }
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, record: AuditRecord) {
        if self.records.len() >= CAPACITY {
            self.records.pop_front();
            self.first += 1;
            self.dropped += 1;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        self.records.push_back(record.into_json());
    }

    /// The next batch with its number (that of its last record), if none is on its way.
    pub(crate) fn batch(&mut self) -> Option<(u64, Vec<String>)> {
        if self.in_flight > 0 || self.records.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |record: &&String| {
            bytes += record.len();
            bytes <= BATCH_BYTES
        };
        let batch: Vec<String> = self.records.iter().take(BATCH).take_while(fits).cloned().collect();
        if batch.is_empty() {
            // One record larger than a frame: nobody could ever take it.
            self.records.pop_front();
            self.first += 1;
            self.dropped += 1;
            return self.batch();
        }
        self.in_flight = batch.len();
        Some((self.first + batch.len() as u64 - 1, batch))
    }

    /// A Controller has everything up to `seq`.
    pub(crate) fn stored(&mut self, seq: u64) {
        while self.first <= seq && self.records.pop_front().is_some() {
            self.first += 1;
        }
        self.in_flight = 0;
    }

    /// The connection is gone: what was on its way is sent again.
    pub(crate) const fn disconnected(&mut self) {
        self.in_flight = 0;
    }

    /// How many records were lost.
    #[cfg(test)]
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> AuditRecord {
        let dn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
        AuditRecord::new("session_created", &dn, UnixMillis(n)).with("n", json!(n))
    }

    #[test]
    fn unconfirmed_records_are_sent_again_and_confirmed_ones_never() {
        let mut buffer = AuditBuffer::new(10);
        (0..300).for_each(|n| buffer.add(record(n)));
        let (seq, batch) = buffer.batch().expect("a batch");
        assert_eq!((seq, batch.len()), (265, 256));
        assert!(buffer.batch().is_none(), "one at a time");
        buffer.disconnected();
        assert_eq!(buffer.batch().map(|(seq, _)| seq), Some(265));
        buffer.stored(265);
        assert_eq!(buffer.batch().map(|(seq, batch)| (seq, batch.len())), Some((309, 44)));
        buffer.stored(309);
        assert!(buffer.batch().is_none());
    }

    #[test]
    fn full_buffer_drops_its_oldest_and_counts() {
        let mut buffer = AuditBuffer::new(0);
        (0..CAPACITY as u64 + 3).for_each(|n| buffer.add(record(n)));
        assert_eq!(buffer.dropped(), 3);
        assert_eq!(buffer.batch().map(|(seq, _)| seq), Some(3 + 255));
    }
}
