//! Actions to a rule set, with the precedence of S45.
//!
//! Most specific first: smaller subnet, then smaller range of ports or types, then higher starting port; at an exact
//! tie block wins, then alert. Only the winner counts. Rules sorted that way are cut into runs of one verdict, and
//! inside a run into disjoint boxes, because the kernel refuses overlaps within a set.
//!
//! A host by name counts as single addresses, the smallest subnets there are, so its place in that order is known
//! before any name server is asked: it stays a name in the rules, and what it stands for is filled in elsewhere.

mod disjoint;

use std::collections::BTreeMap;
use std::net::IpAddr;

use self::disjoint::add_disjoint;
use super::{Chain, Direction, Element, MAX_RULES, Named, Protocol, RuleSet, Run, Verdict};
use crate::entitlement::{ActionKind, Host, ParsedAction};

/// Most addresses that one name may stand for.
pub const MAX_ADDRESSES_PER_NAME: usize = 64;

/// Names and the addresses that they stand for now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedNames(pub BTreeMap<Host, Vec<IpAddr>>);

/// More rules than one rule set may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rules of this session come to more than {MAX_RULES}")]
pub struct TooManyRules;

/// Compiles actions. `exclude` makes no rule; a name that `names` knows becomes its addresses, another stays a name.
///
/// # Errors
/// [`TooManyRules`].
pub fn compile<'a>(
    actions: impl IntoIterator<Item = &'a ParsedAction>,
    names: &ResolvedNames,
) -> Result<RuleSet, TooManyRules> {
    let mut chains: BTreeMap<(Direction, bool), Vec<Rule>> = BTreeMap::new();
    let mut count = 0;
    for action in actions {
        let Some((verdict, (protocol, direction))) = verdict_of(action.kind).zip(action.flow) else { continue };
        for (target, v6) in action.hosts.iter().flat_map(|host| targets(host, protocol, names)) {
            for &ports in &action.ports {
                count += 1;
                if count > MAX_RULES {
                    return Err(TooManyRules);
                }
                let rule = Rule { verdict, target: target.clone(), protocol, ports };
                chains.entry((direction, v6)).or_default().push(rule);
            }
        }
    }
    let mut chain = |direction, v6| chains.remove(&(direction, v6)).map_or(Ok(Chain::new()), runs);
    let set = RuleSet {
        up4: chain(Direction::Up, false)?,
        up6: chain(Direction::Up, true)?,
        down4: chain(Direction::Down, false)?,
        down6: chain(Direction::Down, true)?,
    };
    if set.len() > MAX_RULES { Err(TooManyRules) } else { Ok(set) }
}

struct Rule {
    verdict: Verdict,
    target: Target,
    protocol: Protocol,
    ports: (u16, u16),
}

/// The other end of a flow.
#[derive(Clone)]
enum Target {
    Range(IpAddr, IpAddr),
    Named(Host),
}

impl Rule {
    /// Smaller sorts first and wins.
    fn precedence(&self) -> impl Ord + use<> {
        let verdict = match self.verdict {
            Verdict::Block => 0,
            Verdict::Alert => 1,
            Verdict::Allow => 2,
        };
        let (first, last) = match &self.target {
            Target::Range(first, last) => (number(*first), number(*last)),
            Target::Named(_) => (0, 0),
        };
        let (first_port, last_port) = self.ports;
        (last - first, last_port - first_port, u16::MAX - first_port, verdict, first, self.protocol)
    }

    fn add_to(&self, run: &mut Run, cuts: &mut usize) -> Result<(), TooManyRules> {
        let (protocol, (first_port, last_port)) = (self.protocol, self.ports);
        match &self.target {
            Target::Range(first, last) => {
                let (first, last) = (*first, *last);
                add_disjoint(&mut run.elements, Element { first, last, protocol, first_port, last_port }, cuts)
            }
            Target::Named(host) => {
                run.named.push(Named { host: host.clone(), protocol, first_port, last_port });
                Ok(())
            }
        }
    }
}

const fn verdict_of(kind: ActionKind) -> Option<Verdict> {
    match kind {
        ActionKind::Allow => Some(Verdict::Allow),
        ActionKind::Alert => Some(Verdict::Alert),
        ActionKind::Block => Some(Verdict::Block),
        ActionKind::Exclude => None,
    }
}

/// What a host means for a rule, and whether as IPv6.
fn targets(host: &Host, protocol: Protocol, names: &ResolvedNames) -> Vec<(Target, bool)> {
    match (host, names.0.get(host)) {
        (Host::Range(first, last), _) => vec![(Target::Range(*first, *last), first.is_ipv6())],
        (_, Some(known)) => {
            let single = |address: &IpAddr| (Target::Range(*address, *address), address.is_ipv6());
            let fits = |address: &&IpAddr| families(protocol).contains(&address.is_ipv6());
            known.iter().filter(fits).take(MAX_ADDRESSES_PER_NAME).map(single).collect()
        }
        (_, None) => families(protocol).iter().map(|v6| (Target::Named(host.clone()), *v6)).collect(),
    }
}

/// Whether a protocol is of IPv4 (`false`), of IPv6 (`true`), or of both.
const fn families(protocol: Protocol) -> &'static [bool] {
    match protocol {
        Protocol::Icmp => &[false],
        Protocol::Icmpv6 => &[true],
        Protocol::Tcp | Protocol::Udp | Protocol::Ah | Protocol::Esp | Protocol::Gre => &[false, true],
    }
}

/// Sorted rules as runs of disjoint elements.
fn runs(mut rules: Vec<Rule>) -> Result<Chain, TooManyRules> {
    rules.sort_by_cached_key(Rule::precedence);
    let mut chain: Chain = Vec::new();
    let mut cuts = 0;
    for rules in rules.chunk_by(|one, next| one.verdict == next.verdict) {
        let mut run = Run { verdict: rules[0].verdict, elements: vec![], named: vec![] };
        // Inside a run any order says the same. Large boxes first: what lies inside of one is gone at once, while the other
        // way each would be cut up by all the smaller ones.
        rules.iter().rev().try_for_each(|rule| rule.add_to(&mut run, &mut cuts))?;
        run.elements.sort();
        run.named.sort();
        run.named.dedup();
        chain.push(run);
    }
    Ok(chain)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::disjoint::overlap;
    use super::*;
    use crate::entitlement::{Action, Subtype};
    use crate::rules::Protocol;
    use crate::rules::matching::Flow;

    fn action(kind: ActionKind, subtype: Subtype, host: &str, ports: &str) -> ParsedAction {
        let ports = if ports.is_empty() { vec![] } else { vec![ports.to_owned()] };
        Action { subtype: Some(subtype), action: kind, hosts: vec![host.to_owned()], ports, types: vec![] }
            .parse()
            .expect("valid")
    }

    fn up(remote: &str, port: u16) -> Flow {
        Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote: remote.parse().expect("ip"), port }
    }

    #[test]
    fn the_smaller_subnet_wins_whatever_the_order() {
        let allow = action(ActionKind::Allow, Subtype::TcpUp, "10.0.0.5", "22");
        let block = action(ActionKind::Block, Subtype::TcpUp, "10.0.0.0/24", "");
        for actions in [[&allow, &block], [&block, &allow]] {
            let set = compile(actions, &ResolvedNames::default()).expect("small");
            assert_eq!(set.verdict(&up("10.0.0.5", 22)), Some(Verdict::Allow));
            assert_eq!(set.verdict(&up("10.0.0.6", 22)), Some(Verdict::Block));
            assert_eq!(set.verdict(&up("10.0.1.6", 22)), None);
        }
    }

    #[test]
    fn block_wins_an_exact_tie_and_a_direction_grants_nothing_in_the_other() {
        let allow = action(ActionKind::Allow, Subtype::TcpUp, "10.0.0.5", "22");
        let block = action(ActionKind::Block, Subtype::TcpUp, "10.0.0.5", "22");
        let down = action(ActionKind::Allow, Subtype::TcpDown, "10.0.0.0/8", "443");
        let set = compile([&allow, &block, &down], &ResolvedNames::default()).expect("small");
        assert_eq!(set.verdict(&up("10.0.0.5", 22)), Some(Verdict::Block));
        assert_eq!(set.verdict(&up("10.0.0.5", 443)), None);
    }

    #[test]
    fn ranges_inside_of_each_other_come_to_the_largest_of_them_and_cost_little() {
        let range = |n: u16| (format!("10.0.0.{n}-10.0.1.{}", 200 - n), format!("{n}-{}", 60_000 - n));
        let (hosts, ports) = (1..60).map(range).unzip();
        let all = Action { subtype: Some(Subtype::TcpUp), action: ActionKind::Allow, hosts, ports, types: vec![] };
        let set = compile([&all.parse().expect("valid")], &ResolvedNames::default()).expect("small");
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn equal_rights_have_an_equal_hash() {
        let one = action(ActionKind::Allow, Subtype::TcpUp, "10.0.0.0/24", "80-90");
        let two = action(ActionKind::Allow, Subtype::UdpUp, "fd00::1", "53");
        let names = ResolvedNames::default();
        let forth = compile([&one, &two], &names).expect("small");
        let back = compile([&two, &one, &one], &names).expect("small");
        assert_eq!(forth.hash(), back.hash());
        assert_ne!(forth.hash(), compile([&one], &names).expect("small").hash());
    }

    #[test]
    fn a_name_stays_a_name_until_its_addresses_are_given() {
        let named = action(ActionKind::Allow, Subtype::TcpUp, "dns://web.example", "443");
        let host = Host::Name("web.example".to_owned());
        let symbolic = compile([&named], &ResolvedNames::default()).expect("small");
        assert_eq!(symbolic.names().collect::<Vec<_>>(), [&host, &host], "once for each family");
        assert_eq!(symbolic.verdict(&up("10.1.1.1", 443)), None);
        let names = ResolvedNames([(host, vec!["10.1.1.1".parse().expect("ip")])].into());
        assert_eq!(symbolic.verdict_knowing(&up("10.1.1.1", 443), &names), Some(Verdict::Allow));
        let set = compile([&named], &names).expect("small");
        assert_eq!(set.verdict(&up("10.1.1.1", 443)), Some(Verdict::Allow));
    }

    #[test]
    fn what_a_name_stands_for_changes_no_rule_set() {
        let one = action(ActionKind::Allow, Subtype::TcpUp, "dns://web.example", "443");
        let two = action(ActionKind::Allow, Subtype::TcpUp, "dns://web.example", "80");
        let three = action(ActionKind::Allow, Subtype::TcpUp, "*.web.example", "443");
        let hash = |action| compile([action], &ResolvedNames::default()).expect("small").hash();
        assert_eq!(hash(&one), hash(&one));
        assert_ne!(hash(&one), hash(&two));
        assert_ne!(hash(&one), hash(&three));
    }

    #[test]
    fn icmp_by_name_is_of_its_own_family() {
        let ping = Action {
            subtype: Some(Subtype::Icmpv6Up),
            action: ActionKind::Allow,
            hosts: vec!["dns://web.example".to_owned()],
            ports: vec![],
            types: vec!["128".to_owned()],
        };
        let set = compile([&ping.parse().expect("valid")], &ResolvedNames::default()).expect("small");
        assert!(set.up4.is_empty() && set.up6.len() == 1);
    }

    /// The specification read directly: of all that match, the most specific.
    fn by_specification(actions: &[ParsedAction], flow: &Flow) -> Option<Verdict> {
        let matching = actions.iter().filter(|action| action.flow == Some((flow.protocol, flow.direction)));
        let rules = matching.flat_map(|action| {
            action.hosts.iter().flat_map(move |host| {
                let Host::Range(first, last) = host else { panic!("only ranges here") };
                action.ports.iter().map(move |ports| (action.kind, *first, *last, ports.0, ports.1))
            })
        });
        rules
            .filter(|(_, first, last, from, to)| {
                first.is_ipv4() == flow.remote.is_ipv4()
                    && (*first..=*last).contains(&flow.remote)
                    && (*from..=*to).contains(&flow.port)
            })
            .min_by_key(|(kind, first, last, from, to)| {
                let tie =
                    [ActionKind::Block, ActionKind::Alert, ActionKind::Allow].iter().position(|known| known == kind);
                (number(*last) - number(*first), to - from, u16::MAX - from, tie)
            })
            .and_then(|(kind, ..)| verdict_of(kind))
    }

    fn any_action() -> impl Strategy<Value = ParsedAction> {
        let kinds = prop::sample::select(vec![ActionKind::Allow, ActionKind::Alert, ActionKind::Block]);
        let subtypes = prop::sample::select(vec![Subtype::TcpUp, Subtype::TcpDown, Subtype::UdpUp]);
        (kinds, subtypes, any::<bool>(), 0..24u8, 0..24u8, 0..12u16, 0..12u16).prop_map(
            |(kind, subtype, v6, a, b, p, q)| {
                let address = |n: u8| -> IpAddr {
                    if v6 {
                        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)).into()
                    } else {
                        Ipv4Addr::new(10, 0, 0, n).into()
                    }
                };
                ParsedAction {
                    kind,
                    flow: subtype.flow(),
                    hosts: vec![Host::Range(address(a.min(b)), address(a.max(b)))],
                    ports: vec![(p.min(q), p.max(q))],
                }
            },
        )
    }

    proptest! {
        #[test]
        fn walking_the_compiled_chain_gives_what_the_specification_gives(
            actions in prop::collection::vec(any_action(), 0..12), v6: bool, host in 0..26u8, port in 0..14u16,
            direction in prop::sample::select(vec![Direction::Up, Direction::Down]),
        ) {
            let set = compile(&actions, &ResolvedNames::default()).expect("small");
            let remote = if v6 { Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host)).into() } else { Ipv4Addr::new(10, 0, 0, host).into() };
            let flow = Flow { direction, protocol: Protocol::Tcp, remote, port };
            prop_assert_eq!(set.verdict(&flow), by_specification(&actions, &flow));
        }

        #[test]
        fn a_name_left_in_the_rules_means_what_its_addresses_would(
            actions in prop::collection::vec(any_action(), 0..8), by_name in prop::collection::vec(any_action(), 1..4),
            stands_for in prop::collection::vec(0..24u8, 0..5), host in 0..26u8, port in 0..14u16,
        ) {
            let name = Host::Name("web.example".to_owned());
            let mut actions = actions;
            actions.extend(by_name.into_iter().map(|action| ParsedAction { hosts: vec![name.clone()], ..action }));
            let addresses = stands_for.iter().map(|last| Ipv4Addr::new(10, 0, 0, *last).into()).collect();
            let names = ResolvedNames([(name, addresses)].into());
            let remote = Ipv4Addr::new(10, 0, 0, host).into();
            let flow = Flow { direction: Direction::Up, protocol: Protocol::Tcp, remote, port };
            let symbolic = compile(&actions, &ResolvedNames::default()).expect("small");
            let substituted = compile(&actions, &names).expect("small");
            prop_assert_eq!(symbolic.verdict_knowing(&flow, &names), substituted.verdict(&flow));
        }

        #[test]
        fn elements_of_a_run_never_overlap(actions in prop::collection::vec(any_action(), 0..12)) {
            let set = compile(&actions, &ResolvedNames::default()).expect("small");
            for run in [&set.up4, &set.up6, &set.down4, &set.down6].into_iter().flatten() {
                for (at, one) in run.elements.iter().enumerate() {
                    for two in &run.elements[at + 1..] {
                        prop_assert!(!overlap(one, two), "{one:?} {two:?}");
                    }
                }
            }
        }
    }
}
