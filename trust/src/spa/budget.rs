//! How many right knocks one key may make in a second: from one source, in all, and dated ahead of the clock (T22, T48).
//!
//! The source comes first, and every key counts for itself: what one holder of a key does, from one place or with forged
//! sources from many, takes nothing from another key. Junk and replays are not counted, for whoever sends them may write
//! any source on them and would spend another's share.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use ringwall_protocol::time::UnixMillis;

use super::{KeyOwner, KnockError, Source};

/// Right knocks of one key from one source (/32, /64) within a second, for each form. Not for members of the Collective,
/// who may all stand behind one address.
const PER_SOURCE: u32 = 20;
/// Right knocks of one device's key within a second: some twenty connections.
const OF_ONE: u32 = 40;
/// Right knocks of a key that many hold within a second.
const OF_MANY: u32 = 1_000;
/// Knocks dated ahead of our clock that one key may make within a second: each costs a synced write.
const AHEAD: u32 = 20;
/// Knocks dated ahead whose time has not come yet, of one device's key.
const AHEAD_OF_ONE: usize = 64;
/// The same of a key that many hold.
const AHEAD_OF_MANY: usize = 2_048;

/// The form of a knock. Who knocks by packet shows a proof as well: each has a share of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// A UDP packet.
    Packet,
    /// An ALPN entry.
    Proof,
}

/// Right knocks of the present second, by key.
#[derive(Debug, Default)]
pub(super) struct Budget {
    second: u64,
    spent: HashMap<KeyOwner, Spent>,
    /// Times of knocks that are dated ahead.
    ahead: HashMap<KeyOwner, VecDeque<UnixMillis>>,
}

#[derive(Debug, Default)]
struct Spent {
    all: u32,
    ahead: u32,
    by_source: HashMap<(Source, Form), u32>,
}

impl Budget {
    /// Counts a right knock that was not used before; `ahead` is its time if that has not come yet.
    pub(super) fn take(
        &mut self,
        owner: &KeyOwner,
        (source, form): (IpAddr, Form),
        now: UnixMillis,
        ahead: Option<UnixMillis>,
    ) -> Result<(), KnockError> {
        if self.second != now.seconds() {
            self.second = now.seconds();
            self.spent.clear();
            self.ahead.retain(|_, times| {
                times.retain(|time| *time >= now);
                !times.is_empty()
            });
        }
        let spent = self.spent.entry(owner.clone()).or_default();
        let place = (Source::from(source), form);
        let here = spent.by_source.get(&place).copied().unwrap_or(0);
        if here >= PER_SOURCE && !matches!(owner, KeyOwner::Peer(_)) {
            return Err(KnockError::Source);
        }
        let (most, most_ahead) = if owner.is_shared() { (OF_MANY, AHEAD_OF_MANY) } else { (OF_ONE, AHEAD_OF_ONE) };
        if spent.all >= most {
            return Err(KnockError::Budget);
        }
        if let Some(time) = ahead {
            let times = self.ahead.entry(owner.clone()).or_default();
            if spent.ahead >= AHEAD || times.len() >= most_ahead {
                return Err(KnockError::Budget);
            }
            times.push_back(time);
            spent.ahead += 1;
        }
        spent.all += 1;
        spent.by_source.insert(place, here + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use ringwall_protocol::id::{DeviceId, UserId};

    use super::*;

    const NOW: UnixMillis = UnixMillis(7_000);

    fn shared() -> KeyOwner {
        KeyOwner::Profile("staff".into())
    }

    fn device(n: u8) -> KeyOwner {
        KeyOwner::Device(UserId::from_random([n; 16]), DeviceId::from_random([n; 16]))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn any(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    fn admitted(budget: &mut Budget, owner: &KeyOwner, from: impl Fn(u32) -> IpAddr, count: u32) -> usize {
        (0..count).filter(|n| budget.take(owner, (from(*n), Form::Packet), NOW, None).is_ok()).count()
    }

    #[test]
    fn one_source_has_twenty_knocks_a_second_with_a_key_and_takes_none_of_anothers() {
        let mut budget = Budget::default();
        let one = address("192.0.2.1");
        assert_eq!(admitted(&mut budget, &shared(), |_| one, 100), 20);
        let mapped = (address("::ffff:192.0.2.1"), Form::Packet);
        assert_eq!(budget.take(&shared(), mapped, NOW, None), Err(KnockError::Source), "the same in another writing");
        assert_eq!(budget.take(&shared(), (address("192.0.2.2"), Form::Packet), NOW, None), Ok(()), "another source");
        assert_eq!(budget.take(&shared(), (one, Form::Proof), NOW, None), Ok(()), "the proof behind the packet");
        assert_eq!(budget.take(&device(1), (one, Form::Packet), NOW, None), Ok(()), "a neighbour with his own key");
        let later = NOW.plus(Duration::from_secs(1));
        assert_eq!(budget.take(&shared(), (one, Form::Packet), later, None), Ok(()), "another second");
        let network = |n: u32| address(&format!("2001:db8::{n:x}"));
        assert_eq!(admitted(&mut budget, &device(2), network, 100), 20, "one IPv6 network is one source");
    }

    #[test]
    fn forged_sources_spend_one_keys_budget_and_no_others() {
        let mut budget = Budget::default();
        assert_eq!(admitted(&mut budget, &device(1), any, 10_000), OF_ONE as usize);
        assert_eq!(admitted(&mut budget, &shared(), any, 10_000), OF_MANY as usize);
        assert_eq!(admitted(&mut budget, &device(2), any, 10), 10);
        let remembered: usize = budget.spent.values().map(|spent| spent.by_source.len()).sum();
        assert!(remembered <= (OF_MANY + 2 * OF_ONE) as usize, "what is refused is not remembered");
    }

    #[test]
    fn a_clock_that_is_ahead_has_a_budget_of_its_own_and_fills_no_journal() {
        let mut budget = Budget::default();
        let ahead = |n: u64| Some(NOW.plus(Duration::from_secs(60 + n)));
        let mut taken = 0;
        for second in 0..10 {
            let now = NOW.plus(Duration::from_secs(second));
            let tried =
                (0..100).filter(|n| budget.take(&device(1), (any(*n), Form::Packet), now, ahead(second)).is_ok());
            let count = tried.count();
            assert!(count <= AHEAD as usize);
            taken += count;
        }
        assert_eq!(taken, AHEAD_OF_ONE);
        let now = NOW.plus(Duration::from_secs(9));
        assert_eq!(
            budget.take(&device(1), (any(7_000), Form::Packet), now, None),
            Ok(()),
            "the present is not held up"
        );
        assert_eq!(budget.take(&device(2), (any(1), Form::Packet), now, ahead(9)), Ok(()), "nor is another key");
        let after = NOW.plus(Duration::from_secs(100));
        let next = Some(after.plus(Duration::from_secs(5)));
        assert_eq!(budget.take(&device(1), (any(1), Form::Packet), after, next), Ok(()), "their time has come");
    }
}
