//! Whether this Controller's clock is that of the Collective: held against the median of the Controllers' clocks. Pure.
//!
//! | Controllers | what is known |
//! | --- | --- |
//! | 1 | nobody else's clock: time counts as far as this Controller has seen it pass (`lived`) |
//! | 2 | that both agree, or that one is wrong, but not which |
//! | 3 and more | what the majority's clocks show, and whether this one does |

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringwall_protocol::id::NodeId;
use ringwall_protocol::time::UnixMillis;

/// Clocks that differ by no more than this agree. Windows of knocks are 30 s and more, lifetimes of tokens minutes.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(30);
/// What a Controller's clock showed counts for so long.
const FRESH: Duration = Duration::from_secs(30);

/// What the Controllers' clocks say about this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no other Controller.
    Alone,
    /// The clocks of a majority agree, and this one is among them; how far it is from their median, in milliseconds.
    Agrees(i64),
    /// The clocks of a majority agree on another time: what must be added to this one, in milliseconds.
    Off(i64),
    /// No majority agrees; how far this clock is from the median, in milliseconds.
    Undecided(i64),
    /// Too few of the others told their time of late.
    Unconfirmed,
}

impl Verdict {
    /// Whether nothing may be forgotten by this clock.
    pub(crate) const fn is_suspect(self) -> bool {
        matches!(self, Self::Off(_) | Self::Undecided(_) | Self::Unconfirmed)
    }

    /// From this clock to the median of all, in milliseconds, if it is known.
    pub(crate) const fn offset_ms(self) -> Option<i64> {
        match self {
            Self::Agrees(offset) | Self::Off(offset) | Self::Undecided(offset) => Some(offset),
            Self::Alone | Self::Unconfirmed => None,
        }
    }

    /// In a word, for status pages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Agrees(_) => "agrees",
            Self::Off(_) => "off",
            Self::Undecided(_) => "undecided",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// What the other Controllers' clocks showed, each at a monotonic moment of this machine: a jump of this machine's clock
/// shows at once.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    heard: BTreeMap<NodeId, (UnixMillis, Instant)>,
}

impl Agreement {
    /// A Controller's clock showed `time` at the moment `at`.
    pub(crate) fn hear(&mut self, node: NodeId, time: UnixMillis, at: Instant) {
        self.heard.insert(node, (time, at));
    }

    /// From this clock, which shows `own` at `now`, to another Controller's, in milliseconds; if it told its time of late.
    pub(crate) fn offset_of(&self, node: NodeId, own: UnixMillis, now: Instant) -> Option<i64> {
        let (time, at) = self.heard.get(&node)?;
        let passed = now.saturating_duration_since(*at);
        let theirs = time.plus(passed);
        (passed <= FRESH).then(|| signed(theirs).saturating_sub(signed(own)))
    }

    /// The verdict on this clock, which shows `own` at `now`, among the clocks of `voters`.
    pub(crate) fn verdict(&self, voters: &BTreeSet<NodeId>, me: NodeId, own: UnixMillis, now: Instant) -> Verdict {
        let others = || voters.iter().filter(|node| **node != me);
        if others().next().is_none() {
            return Verdict::Alone;
        }
        let members = others().count() + 1;
        let mut offsets: Vec<i64> = others().filter_map(|node| self.offset_of(*node, own, now)).collect();
        offsets.push(0);
        offsets.sort_unstable();
        if offsets.len() * 2 <= members {
            return Verdict::Unconfirmed;
        }
        let median = offsets[(offsets.len() - 1) / 2];
        let agreeing = offsets.iter().filter(|offset| within(offset.saturating_sub(median))).count();
        match (agreeing * 2 > members, within(median)) {
            (true, true) => Verdict::Agrees(median),
            (true, false) => Verdict::Off(median),
            (false, _) => {
                Verdict::Undecided(offsets.into_iter().max_by_key(|offset| offset.unsigned_abs()).unwrap_or(0))
            }
        }
    }
}

fn signed(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn within(offset: i64) -> bool {
    u128::from(offset.unsigned_abs()) <= TOLERANCE.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY: i64 = 24 * 3_600 * 1_000;

    fn nodes(count: u64) -> BTreeSet<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    /// The verdict of node 1, whose clock is right, when the others are off by so much.
    fn verdict(others: &[i64]) -> Verdict {
        let (mut agreement, now) = (Agreement::default(), Instant::now());
        for (node, offset) in (2..).zip(others) {
            agreement.hear(NodeId(node), UnixMillis(NOW.0.saturating_add_signed(*offset)), now);
        }
        agreement.verdict(&nodes(1 + others.len() as u64), NodeId(1), NOW, now)
    }

    #[test]
    fn the_majority_of_three_and_more_clocks_decides() {
        assert_eq!(verdict(&[20_000, -20_000]), Verdict::Agrees(0));
        assert_eq!(verdict(&[8 * DAY, 0]), Verdict::Agrees(0), "another one is wrong");
        assert_eq!(verdict(&[8 * DAY, 8 * DAY + 5]), Verdict::Off(8 * DAY), "this one is");
        assert_eq!(verdict(&[-91 * DAY, -91 * DAY]), Verdict::Off(-91 * DAY));
        assert!(matches!(verdict(&[8 * DAY, -8 * DAY]), Verdict::Undecided(_)), "all three differ");
        assert_eq!(verdict(&[0, 8 * DAY, 8 * DAY, 8 * DAY]), Verdict::Off(8 * DAY));
        assert!(matches!(verdict(&[0, 8 * DAY, 8 * DAY]), Verdict::Undecided(_)), "two against two");
    }

    #[test]
    fn of_two_clocks_that_differ_neither_is_believed() {
        assert_eq!(verdict(&[1_000]), Verdict::Agrees(0));
        assert_eq!(verdict(&[31_000]), Verdict::Undecided(31_000));
        assert_eq!(verdict(&[-8 * DAY]), Verdict::Undecided(-8 * DAY));
        assert_eq!(verdict(&[]), Verdict::Alone);
    }

    #[test]
    fn what_nobody_confirms_of_late_is_suspect() {
        let (mut agreement, start) = (Agreement::default(), Instant::now());
        let verdict = |agreement: &Agreement, seconds| {
            let passed = Duration::from_secs(seconds);
            agreement.verdict(&nodes(3), NodeId(1), NOW.plus(passed), start + passed)
        };
        assert_eq!(verdict(&agreement, 0), Verdict::Unconfirmed);
        agreement.hear(NodeId(2), NOW, start);
        assert_eq!(verdict(&agreement, 30), Verdict::Agrees(0), "two of three are a majority");
        assert_eq!(verdict(&agreement, 31), Verdict::Unconfirmed);
        assert!(Verdict::Unconfirmed.is_suspect() && !Verdict::Agrees(5).is_suspect() && !Verdict::Alone.is_suspect());
    }

    #[test]
    fn a_jump_of_this_clock_shows_before_anybody_is_asked_again() {
        let (mut agreement, start) = (Agreement::default(), Instant::now());
        agreement.hear(NodeId(2), NOW, start);
        agreement.hear(NodeId(3), NOW, start);
        let jumped = NOW.plus(Duration::from_secs(91 * 24 * 3_600));
        assert_eq!(agreement.verdict(&nodes(3), NodeId(1), jumped, start), Verdict::Off(-91 * DAY));
    }
}
