//! What an echo probe found. Pure: computed from the list of packets.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::Packet;

/// The result of an echo probe.
#[derive(Debug, Clone)]
pub struct EchoReport {
    /// Packets sent, including those that the kernel refused.
    pub sent: usize,
    /// Packets that came back.
    pub received: usize,
    /// Answers that came twice.
    pub duplicates: u64,
    /// Packets that did not come back, in the order of sending.
    pub lost: Vec<LostPacket>,
    /// The longest time without any answer, from the first packet sent to the last answer.
    pub longest_gap: Duration,
    /// When the last answer came.
    pub(crate) last_received: Option<Instant>,
    /// Median round trip.
    pub rtt_median: Option<Duration>,
}

/// A packet without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPacket {
    /// Its number, from 0.
    pub(crate) sequence: usize,
    /// When it was sent.
    pub sent: Instant,
    /// The kernel would not send it (no route, no interface).
    pub refused: bool,
}

impl EchoReport {
    pub(super) fn new(packets: &[Packet], duplicates: u64) -> Self {
        let mut answers: Vec<Instant> = packets.iter().filter_map(|packet| packet.answered).collect();
        answers.sort_unstable();
        let mut trips: Vec<Duration> =
            packets.iter().filter_map(|packet| Some(packet.answered?.duration_since(packet.sent))).collect();
        trips.sort_unstable();
        let unanswered = packets.iter().enumerate().filter(|(_, packet)| packet.answered.is_none());
        Self {
            sent: packets.len(),
            received: answers.len(),
            duplicates,
            lost: unanswered
                .map(|(sequence, packet)| LostPacket { sequence, sent: packet.sent, refused: packet.refused })
                .collect(),
            longest_gap: longest_gap(packets.first().map(|packet| packet.sent), &answers),
            last_received: answers.last().copied(),
            rtt_median: trips.get(trips.len() / 2).copied(),
        }
    }

    /// Packets lost that were sent in a span of time.
    #[must_use]
    pub fn lost_between(&self, from: Instant, to: Instant) -> usize {
        self.lost.iter().filter(|packet| from <= packet.sent && packet.sent < to).count()
    }
}

impl fmt::Display for EchoReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} came back, longest gap {:.1?}", self.received, self.sent, self.longest_gap)?;
        match self.rtt_median {
            Some(rtt) => write!(formatter, ", round trip {rtt:.1?}"),
            None => Ok(()),
        }
    }
}

fn longest_gap(start: Option<Instant>, answers: &[Instant]) -> Duration {
    let earlier = start.into_iter().chain(answers.iter().copied());
    earlier.zip(answers).map(|(before, after)| after.duration_since(before)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(start: Instant, sent: u64, answered: Option<u64>) -> Packet {
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        Packet { sent: at(sent), refused: false, answered: answered.map(at) }
    }

    #[test]
    fn gap_and_losses_are_those_of_the_packets() {
        let start = Instant::now();
        let packets =
            [packet(start, 0, Some(1)), packet(start, 10, None), packet(start, 20, None), packet(start, 30, Some(33))];
        let report = EchoReport::new(&packets, 0);
        assert_eq!((report.sent, report.received), (4, 2));
        assert_eq!(report.lost.iter().map(|lost| lost.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(report.longest_gap, Duration::from_millis(32));
        assert_eq!(report.lost_between(start, start + Duration::from_millis(15)), 1);
    }

    #[test]
    fn a_probe_that_heard_nothing_has_no_round_trip() {
        let report = EchoReport::new(&[packet(Instant::now(), 0, None)], 0);
        assert_eq!((report.received, report.rtt_median, report.last_received), (0, None, None));
        assert_eq!(report.to_string(), "0 of 1 came back, longest gap 0.0ns");
    }
}
