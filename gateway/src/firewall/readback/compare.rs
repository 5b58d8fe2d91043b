//! What the kernel holds beside what it should hold. Pure.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::rules::Direction;

use super::listing::{Baseline, Found};
use super::{Audit, Expected};
use crate::firewall::ruleset;
use crate::firewall::skeleton::{DOWN, UP};
use crate::firewall::slots::Mark;
use crate::firewall::wanted::Owner;

/// Differences that are told; the rest is counted by the reader.
const MOST_DIFFERENCES: usize = 64;

/// Elements about to expire may be there or not.
const FADING: Duration = Duration::from_secs(2);

/// In what `found` differs from the skeleton as it was made and from `expected`. `sizes` are the elements that each of
/// the counted sets must have.
pub(super) fn compare(
    baseline: &Baseline,
    expected: &Expected<'_>,
    sizes: &[(String, usize)],
    found: &Found,
    now: Instant,
) -> Audit {
    let mut differences = Differences(vec![]);
    skeleton(baseline, &found.skeleton, &mut differences);
    sessions(expected, &found.sessions, now, &mut differences);
    jumps(expected, found, &mut differences);
    rule_sets(sizes, &found.sizes, &mut differences);
    names(expected, found, &mut differences);
    lease(expected, found, &mut differences);
    Audit { addresses: found.sessions.len(), slots: found.up.len(), differences: differences.0 }
}

struct Differences(Vec<String>);

impl Differences {
    fn tell(&mut self, difference: impl FnOnce() -> String) {
        if self.0.len() < MOST_DIFFERENCES {
            self.0.push(difference());
        }
    }
}

fn skeleton(wanted: &Baseline, found: &Baseline, differences: &mut Differences) {
    for (name, listing) in &wanted.chains {
        match found.chains.get(name) {
            None => differences.tell(|| format!("chain {name} is missing")),
            Some(now) if now.hook != listing.hook => differences.tell(|| format!("chain {name} is hooked differently")),
            Some(now) if now.rules != listing.rules => differences.tell(|| format!("chain {name} has other rules")),
            Some(_) => {}
        }
    }
    for name in found.chains.keys().filter(|name| !wanted.chains.contains_key(*name)) {
        differences.tell(|| format!("chain {name} is not ours"));
    }
}

fn sessions(
    expected: &Expected<'_>,
    found: &HashMap<IpAddr, (Mark, Owner)>,
    now: Instant,
    differences: &mut Differences,
) {
    let mut unclaimed = found.clone();
    for (session, held) in expected.ledger.sessions() {
        for address in held.addresses.iter() {
            match unclaimed.remove(&address) {
                None if held.expires > now + FADING => {
                    differences.tell(|| format!("address {address} of session {session} is missing"));
                }
                Some((mark, owner)) if (mark, owner) != (held.mark, held.owner) => {
                    let (mark, right) = (mark.0, held.mark.0);
                    differences.tell(|| format!("address {address} leads to rule set {mark}, not {right}"));
                }
                _ => {}
            }
        }
    }
    for (address, (Mark(mark), _)) in unclaimed {
        differences.tell(|| format!("address {address} leads to rule set {mark} and belongs to no session"));
    }
}

fn jumps(expected: &Expected<'_>, found: &Found, differences: &mut Differences) {
    for mark in expected.slots.marks() {
        leads(&found.up, UP, mark, Direction::Up, differences);
        let has_down = expected.slots.contents(mark).is_some_and(ruleset::has_down);
        if has_down && expected.slots.filled(mark).is_some() {
            leads(&found.down, DOWN, mark, Direction::Down, differences);
        }
        if !has_down && found.down.contains_key(&mark) {
            differences.tell(|| format!("mark {} is in {DOWN} and has no such rules", mark.0));
        }
    }
    let ours: HashSet<Mark> = expected.slots.marks().collect();
    for mark in found.up.keys().chain(found.down.keys()).filter(|mark| !ours.contains(mark)) {
        differences.tell(|| format!("mark {} is no slot of ours", mark.0));
    }
}

fn leads(
    found: &HashMap<Mark, Option<String>>,
    map: &str,
    mark: Mark,
    direction: Direction,
    differences: &mut Differences,
) {
    match found.get(&mark) {
        None => differences.tell(|| format!("mark {} is missing in {map}", mark.0)),
        Some(target) if target.as_ref() != Some(&ruleset::chain(mark, direction)) => {
            differences.tell(|| format!("mark {} leads to {target:?} in {map}", mark.0));
        }
        Some(_) => {}
    }
}

fn rule_sets(sizes: &[(String, usize)], counted: &HashMap<String, usize>, differences: &mut Differences) {
    for (set, right) in sizes {
        let found = counted.get(set).copied().unwrap_or(0);
        if found != *right {
            differences.tell(|| format!("set {set} has {found} elements, not {right}"));
        }
    }
}

fn names(expected: &Expected<'_>, found: &Found, differences: &mut Differences) {
    for (set, keys) in &found.named {
        let count = keys.iter().filter(|key| !expected.named.contains(*key)).count();
        if count > 0 {
            differences.tell(|| format!("set {set} has {count} addresses that no name stands for"));
        }
    }
}

fn lease(expected: &Expected<'_>, found: &Found, differences: &mut Differences) {
    for index in &found.lease {
        if index.is_none() || *index != expected.lease {
            differences.tell(|| format!("interface {index:?} holds a lease that was not given"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ringwall_actors::ports::SessionAddresses;
    use ringwall_protocol::id::SessionId;

    use super::*;
    use crate::firewall::ledger::Ledger;
    use crate::firewall::slot_table::SlotTable;
    use crate::firewall::wanted::SessionRules;

    const LEASE: Duration = Duration::from_secs(15);

    /// Differences of a kernel that holds nothing but `found`, with one session at 10.9.0.1.
    fn differences(lease: Option<u32>, found: &Found, expires: Instant, now: Instant) -> Vec<String> {
        let (mut ledger, slots) = (Ledger::new(LEASE), SlotTable::new(LEASE, 0, 6));
        let addresses = SessionAddresses { v4: Some(Ipv4Addr::new(10, 9, 0, 1)), v6: None };
        ledger.installed(
            SessionId::from_random([1; 16]),
            SessionRules { generation: 1, addresses, mark: Mark(1), owner: Owner(1), expires },
        );
        let expected = Expected { ledger: &ledger, slots: &slots, named: &HashSet::new(), lease };
        compare(&Baseline::default(), &expected, &[], found, now).differences
    }

    #[test]
    fn an_element_about_to_expire_may_be_missing_and_no_other() {
        let (now, found) = (Instant::now(), Found::default());
        assert_eq!(differences(None, &found, now + FADING, now), Vec::<String>::new());
        assert_eq!(differences(None, &found, now + 2 * FADING, now).len(), 1);
    }

    #[test]
    fn only_the_lease_that_was_given_may_stand() {
        let now = Instant::now();
        let found = |index| Found { lease: vec![Some(index)], ..Found::default() };
        assert_eq!(differences(Some(7), &found(7), now, now), Vec::<String>::new());
        assert_eq!(differences(Some(7), &found(8), now, now).len(), 1, "another interface");
        assert_eq!(differences(None, &found(7), now, now).len(), 1, "the lease has ended");
    }
}
