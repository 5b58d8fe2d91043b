//! Hosts by name in a rule set: rules that ask what a group of names stands for, by the group's number.
//!
//! Names that share a run, a protocol and a range of ports are one group, so a packet is looked up once a group and not
//! once a name. A group's number is never used again: what is left of an old one means nothing (T45).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringwall_actors::ports::SessionAddresses;
use ringwall_kernel::nft::{Family, Rule, Side};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::rules::{Direction, Protocol, RuleSet, Verdict};

use super::{address_bytes, chain, rules, sections};
use crate::firewall::place::Place;
use crate::firewall::skeleton::{ASKED4, ASKED6, NAMED4, NAMED6};
use crate::firewall::slots::Mark;

/// One group of names of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::firewall) struct NamedPart {
    pub(in crate::firewall) number: u32,
    pub(in crate::firewall) hosts: Vec<Host>,
    mark: Mark,
    direction: Direction,
    family: Family,
    run: usize,
    verdict: Verdict,
    service: (Protocol, u16, u16),
}

/// The groups of a rule set in the order of its chains, numbered from `first` on.
pub(in crate::firewall) fn named_parts(mark: Mark, rules: &RuleSet, first: u32) -> Vec<NamedPart> {
    let mut parts = vec![];
    for (direction, family, run, content) in sections(rules) {
        let mut groups: BTreeMap<(Protocol, u16, u16), Vec<Host>> = BTreeMap::new();
        for named in &content.named {
            let service = (named.protocol, named.first_port, named.last_port);
            groups.entry(service).or_default().push(named.host.clone());
        }
        for (service, hosts) in groups {
            let number = first.wrapping_add(u32::try_from(parts.len()).expect("rules are bounded"));
            let verdict = content.verdict;
            parts.push(NamedPart { number, hosts, mark, direction, family, run, verdict, service });
        }
    }
    parts
}

impl NamedPart {
    pub(super) fn is_of(&self, direction: Direction, family: Family, run: usize) -> bool {
        (self.direction, self.family, self.run) == (direction, family, run)
    }

    /// Asks for everybody, then for the session alone.
    pub(super) fn rules(&self, alert_group: u16) -> Vec<Rule> {
        let (client, remote) = match self.direction {
            Direction::Up => (Side::Source, Side::Destination),
            Direction::Down => (Side::Destination, Side::Source),
        };
        let (protocol, first, last) = self.service;
        let asked = |ends, set| {
            Rule::in_chain(chain(self.mark, self.direction))
                .original_service(protocol.number(), first, last)
                .original_name_in(self.family, self.number, ends, set)
        };
        let place = (self.direction, self.family);
        let all = || asked((None, remote), self.family.pick(NAMED4, NAMED6));
        let own = || asked((Some(client), remote), self.family.pick(ASKED4, ASKED6));
        let mut found = rules(self.verdict, place, alert_group, all);
        found.extend(rules(self.verdict, place, alert_group, own));
        found
    }

    /// Set and key of the element that lets everybody reach `remote`; `None` if it is of the other family.
    pub(in crate::firewall) fn element(&self, remote: IpAddr) -> Option<Place> {
        (remote.is_ipv6() == (self.family == Family::V6))
            .then(|| Place { set: self.family.pick(NAMED4, NAMED6), key: self.key(&[remote]) })
    }

    /// Set and key of the element that lets one session reach `remote`; `None` if either has no such address.
    pub(in crate::firewall) fn own_element(&self, session: SessionAddresses, remote: IpAddr) -> Option<Place> {
        let client = match (self.family, remote) {
            (Family::V4, IpAddr::V4(_)) => session.v4.map(IpAddr::V4),
            (Family::V6, IpAddr::V6(_)) => session.v6.map(IpAddr::V6),
            _ => None,
        };
        Some(Place { set: self.family.pick(ASKED4, ASKED6), key: self.key(&[client?, remote]) })
    }

    fn key(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let mut key = self.number.to_ne_bytes().to_vec();
        addresses.iter().for_each(|address| key.extend(address_bytes(*address)));
        key
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::rules::{Named, Run};

    use super::*;

    fn named(host: &str, port: u16) -> Named {
        let host = Host::Name(host.to_owned());
        Named { host, protocol: Protocol::Tcp, first_port: port, last_port: port }
    }

    #[test]
    fn names_with_the_same_ports_share_a_number_and_others_do_not() {
        let run = Run {
            verdict: Verdict::Allow,
            elements: vec![],
            named: vec![named("a.example", 443), named("b.example", 443), named("b.example", 80)],
        };
        let rules = RuleSet { up4: vec![run.clone()], up6: vec![run], ..RuleSet::default() };
        let parts = named_parts(Mark(7), &rules, 10);
        let numbers: Vec<_> = parts.iter().map(|part| (part.number, part.hosts.len())).collect();
        assert_eq!(numbers, [(10, 1), (11, 2), (12, 1), (13, 2)]);
    }

    #[test]
    fn an_element_is_of_the_groups_family() {
        let run = Run { verdict: Verdict::Allow, elements: vec![], named: vec![named("a.example", 443)] };
        let rules = RuleSet { up4: vec![run], ..RuleSet::default() };
        let part = &named_parts(Mark(7), &rules, 258)[0];
        let v4 = IpAddr::from([10, 0, 0, 5]);
        let Place { set, key } = part.element(v4).expect("of its family");
        assert_eq!((set, key.len()), (NAMED4, 8));
        assert!(part.element("fd00::1".parse().expect("ip")).is_none());
        let session = SessionAddresses { v4: Some([10, 9, 0, 1].into()), v6: None };
        let Place { set, key } = part.own_element(session, v4).expect("of its family");
        assert_eq!((set, &key[4..]), (ASKED4, &[10, 9, 0, 1, 10, 0, 0, 5][..]));
        assert!(part.own_element(SessionAddresses { v4: None, v6: None }, v4).is_none());
    }
}
