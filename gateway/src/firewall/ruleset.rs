//! One rule set in the kernel: two chains and the sets they ask, under the number of its slot.
//!
//! A slot is made ahead with what most rule sets need (the `up` chain, the two sets of a first IPv4 run that allows),
//! so that filling it adds only elements and the kernel has nothing to validate again. Further runs, IPv6, `down` and
//! other verdicts get their chain, sets and rules when they are needed: everything in the table costs a little whenever
//! the kernel validates it. Elements with one address and one port go to a hash
//! set; only real ranges go to an interval set, which costs 115 KiB of kernel memory from its first element on.
//! Hosts by name are rules that ask sets of the skeleton by a number (`named`): what they stand for is no part of this.

mod named;

use std::net::IpAddr;

use netlink_packet_netfilter::nftables::SetFlags;
use ringwall_kernel::nft::{
    ELEMENTS_PER_MESSAGE, Element, Ending, Family, Field, Kept, Message, Rule, SetSpec, Side, Table, state,
};
use ringwall_protocol::rules::{Direction, Element as Rectangle, RuleSet, Run, Verdict};

use super::skeleton::{ALERTS4, ALERTS6, DOWN, UP};
use super::slots::Mark;

pub(super) use named::{NamedPart, named_parts};

/// Flows of one session that `alert` rules log: per second, and at once.
const ALERTS_PER_SECOND: u64 = 20;
const ALERTS_AT_ONCE: u32 = 50;

/// How a set keeps its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A hash set of single addresses and ports.
    Exact,
    /// An interval set.
    Ranges,
}

/// A set of a rule set: part of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    mark: Mark,
    direction: Direction,
    family: Family,
    run: usize,
    kind: Kind,
}

impl Part {
    fn name(&self) -> String {
        let direction = letter(self.direction);
        let family = self.family.pick(4, 6);
        let kind = if self.kind == Kind::Exact { 'e' } else { 'r' };
        format!("rs{}_{direction}{family}_{}{kind}", self.mark.0, self.run)
    }

    fn make(&self, table: &Table) -> Message {
        let key = [self.family.address(), Field::Protocol, Field::Service];
        let flags = if self.kind == Kind::Exact { SetFlags::empty() } else { SetFlags::Interval };
        table.set(&SetSpec::new(&self.name(), &key).flags(flags))
    }

    fn asked(&self) -> Rule {
        // The flow's other end: where the client went, or who came to it.
        let side = match self.direction {
            Direction::Up => Side::Destination,
            Direction::Down => Side::Source,
        };
        Rule::in_chain(chain(self.mark, self.direction)).original_tuple_in(self.family, side, &self.name())
    }

    fn rules(&self, verdict: Verdict, alert_group: u16) -> Vec<Rule> {
        rules(verdict, (self.direction, self.family), alert_group, || self.asked())
    }

    /// True for the sets that every slot has from the start.
    const fn made_ahead(&self) -> bool {
        matches!((self.direction, self.family, self.run), (Direction::Up, Family::V4, 0))
    }
}

/// What follows from a match.
fn rules(
    verdict: Verdict,
    (direction, family): (Direction, Family),
    alert_group: u16,
    asked: impl Fn() -> Rule,
) -> Vec<Rule> {
    let accept = || asked().clear_mark().accept();
    match verdict {
        Verdict::Allow => vec![accept()],
        Verdict::Block => vec![asked().drop()],
        Verdict::Alert => {
            let client = match direction {
                Direction::Up => Side::Source,
                Direction::Down => Side::Destination,
            };
            let budget = Kept::within(ALERTS_PER_SECOND, ALERTS_AT_ONCE);
            let log = asked()
                .ct_state(state::NEW)
                .per_original(family, client, family.pick(ALERTS4, ALERTS6), budget)
                .log(direction, alert_group);
            vec![log, accept()]
        }
    }
}

/// The messages that make an empty slot: everything about it drops.
pub(super) fn make(table: &Table, mark: Mark) -> Vec<Message> {
    let parts = ahead(mark);
    let mut messages: Vec<Message> = parts.iter().map(|part| part.make(table)).collect();
    messages.push(table.chain(&chain(mark, Direction::Up)));
    let mut no_anonymous_sets = 0;
    for part in &parts {
        for rule in part.rules(Verdict::Allow, 0) {
            messages.extend(rule.messages(table, &mut no_anonymous_sets));
        }
    }
    messages.push(jump(table, mark, Direction::Up));
    messages
}

/// The messages that fill an empty slot, in order; nothing leads to it before the last of them is in force, so they
/// may be sent in several batches. Those that make sets and rules come first. Groups of names get numbers from
/// `first_name` on, as [`named_parts`] gives them.
pub(super) fn fill(table: &Table, mark: Mark, rules: &RuleSet, alert_group: u16, first_name: u32) -> Vec<Message> {
    let mut heads = vec![];
    if has_down(rules) {
        heads.push(table.chain(&chain(mark, Direction::Down)));
        heads.push(jump(table, mark, Direction::Down));
    }
    let mut elements = vec![];
    let mut no_anonymous_sets = 0;
    let mut names = named_parts(mark, rules, first_name).into_iter().peekable();
    for (direction, family, number, run) in sections(rules) {
        for (part, verdict, members) in halves(mark, direction, family, number, run) {
            if added_by_filling(&part, verdict) {
                heads.push(part.make(table));
                for rule in part.rules(verdict, alert_group) {
                    heads.extend(rule.messages(table, &mut no_anonymous_sets));
                }
            }
            for chunk in members.chunks(ELEMENTS_PER_MESSAGE) {
                elements.push(table.add(&part.name(), chunk.iter().map(|member| element(member, part.kind)).collect()));
            }
        }
        // In their place: behind the run's own sets, in front of the next run.
        while let Some(part) = names.next_if(|part| part.is_of(direction, family, number)) {
            for rule in part.rules(alert_group) {
                heads.extend(rule.messages(table, &mut no_anonymous_sets));
            }
        }
    }
    heads.append(&mut elements);
    heads
}

/// The messages that take a slot away with everything that filling it with `rules` added.
pub(super) fn unmake(table: &Table, mark: Mark, rules: &RuleSet) -> Vec<Message> {
    let mut messages = vec![];
    for (map, direction) in [(UP, Direction::Up), (DOWN, Direction::Down)] {
        if direction == Direction::Up || has_down(rules) {
            messages.push(table.destroy_elements(map, vec![Element::key(key(mark))]));
            messages.push(table.destroy_chain(&chain(mark, direction)));
        }
    }
    messages.extend(ahead(mark).iter().map(|part| table.destroy_set(&part.name())));
    let added = parts(mark, rules).into_iter().filter(|(part, verdict, _)| added_by_filling(part, *verdict));
    messages.extend(added.map(|(part, _, _)| table.destroy_set(&part.name())));
    messages
}

/// The elements of a rule set that the kernel must hold, by set name: what the read-back compares.
pub(super) fn expected_sets(mark: Mark, rules: &RuleSet) -> Vec<(String, usize)> {
    parts(mark, rules).into_iter().map(|(part, _, members)| (part.name(), members.len())).collect()
}

/// True if the rule set has a `down` chain.
pub(super) const fn has_down(rules: &RuleSet) -> bool {
    !rules.down4.is_empty() || !rules.down6.is_empty()
}

/// Name of one of a rule set's chains.
pub(super) fn chain(mark: Mark, direction: Direction) -> String {
    format!("rs{}{}", mark.0, letter(direction))
}

/// An address as the kernel keeps it.
pub(super) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The map element that leads from the mark to one of its chains.
fn jump(table: &Table, mark: Mark, direction: Direction) -> Message {
    let map = match direction {
        Direction::Up => UP,
        Direction::Down => DOWN,
    };
    table.add(map, vec![Element::key(key(mark)).giving(Ending::Jump(&chain(mark, direction)).data())])
}

fn ahead(mark: Mark) -> [Part; 2] {
    [Kind::Exact, Kind::Ranges].map(|kind| Part { mark, direction: Direction::Up, family: Family::V4, run: 0, kind })
}

const fn added_by_filling(part: &Part, verdict: Verdict) -> bool {
    !(part.made_ahead() && matches!(verdict, Verdict::Allow))
}

/// Every set with elements, in the order in which the chains must ask them.
fn parts(mark: Mark, rules: &RuleSet) -> Vec<(Part, Verdict, Vec<&Rectangle>)> {
    sections(rules).flat_map(|(direction, family, number, run)| halves(mark, direction, family, number, run)).collect()
}

/// Every run with its place, in the order in which the chains must ask them.
fn sections(rules: &RuleSet) -> impl Iterator<Item = (Direction, Family, usize, &Run)> {
    let chains = [Direction::Up, Direction::Down].into_iter().flat_map(|direction| {
        Family::BOTH.map(|family| (direction, family, rules.chain(direction, family == Family::V6)))
    });
    chains.flat_map(|(direction, family, chain)| {
        chain.iter().enumerate().map(move |(number, run)| (direction, family, number, run))
    })
}

fn halves(
    mark: Mark,
    direction: Direction,
    family: Family,
    number: usize,
    run: &Run,
) -> impl Iterator<Item = (Part, Verdict, Vec<&Rectangle>)> {
    // Names of the first run belong to the sets made ahead, which allow; any other run is counted from 1.
    let ahead = number == 0 && run.verdict == Verdict::Allow;
    let run_number = if ahead { 0 } else { number + 1 };
    let (exact, ranges): (Vec<_>, Vec<_>) = run.elements.iter().partition(|element| element.is_exact());
    [(Kind::Exact, exact), (Kind::Ranges, ranges)]
        .into_iter()
        .filter(|(_, members)| !members.is_empty())
        .map(move |(kind, members)| (Part { mark, direction, family, run: run_number, kind }, run.verdict, members))
}

fn element(rectangle: &Rectangle, kind: Kind) -> Element {
    let first = tuple(rectangle.first, rectangle, rectangle.first_port);
    match kind {
        Kind::Exact => Element::key(first),
        Kind::Ranges => Element::range(first, tuple(rectangle.last, rectangle, rectangle.last_port)),
    }
}

/// Address, protocol, port; every field filled up to 4 bytes.
fn tuple(address: IpAddr, rectangle: &Rectangle, port: u16) -> Vec<u8> {
    let mut bytes = address_bytes(address);
    bytes.extend([rectangle.protocol.number(), 0, 0, 0]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn key(mark: Mark) -> Vec<u8> {
    mark.0.to_ne_bytes().to_vec()
}

const fn letter(direction: Direction) -> char {
    match direction {
        Direction::Up => 'u',
        Direction::Down => 'd',
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::rules::Protocol;

    use super::*;

    fn host(last: u8, port: u16) -> Rectangle {
        let address = IpAddr::from([10, 0, 0, last]);
        Rectangle { first: address, last: address, protocol: Protocol::Tcp, first_port: port, last_port: port }
    }

    fn run(verdict: Verdict, elements: Vec<Rectangle>) -> Run {
        Run { verdict, elements, named: vec![] }
    }

    #[test]
    fn a_first_run_that_allows_adds_only_elements() {
        let rules = RuleSet { up4: vec![run(Verdict::Allow, vec![host(1, 80), host(2, 80)])], ..RuleSet::default() };
        let table = Table::new("t".to_owned());
        assert_eq!(fill(&table, Mark(7), &rules, 6, 1).len(), 1);
        assert_eq!(expected_sets(Mark(7), &rules), [("rs7_u4_0e".to_owned(), 2)]);
    }

    #[test]
    fn a_block_in_front_gets_sets_of_its_own_and_keeps_its_place() {
        let rules = RuleSet {
            up4: vec![run(Verdict::Block, vec![host(1, 80)]), run(Verdict::Allow, vec![host(2, 80)])],
            ..RuleSet::default()
        };
        let names: Vec<String> = expected_sets(Mark(7), &rules).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["rs7_u4_1e", "rs7_u4_2e"]);
    }

    #[test]
    fn exact_elements_and_ranges_go_to_different_sets() {
        let mut range = host(0, 80);
        range.last = IpAddr::from([10, 0, 0, 255]);
        let rules = RuleSet { down4: vec![run(Verdict::Allow, vec![range, host(1, 22)])], ..RuleSet::default() };
        let names: Vec<String> = expected_sets(Mark(3), &rules).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["rs3_d4_0e", "rs3_d4_0r"]);
    }
}
