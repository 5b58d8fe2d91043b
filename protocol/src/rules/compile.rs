//! Actions to a rule set, with the precedence of S45.
//!
//! Most specific first: smaller subnet, then smaller range of ports or types, then higher starting port; at an exact
//! tie block wins, then alert. Only the winner counts. Rules sorted that way are cut into runs of one verdict, and
//! inside a run into disjoint boxes, because the kernel refuses overlaps within a set.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Chain, Direction, Element, MAX_RULES, RuleSet, Run, Verdict};
use crate::entitlement::{ActionKind, Host, ParsedAction};

/// Most addresses that one name may stand for (review 3.10).
pub const MAX_ADDRESSES_PER_NAME: usize = 64;

/// Names and the addresses that they stand for now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedNames(pub BTreeMap<Host, Vec<IpAddr>>);

/// More rules than one rule set may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rules of this session come to more than {MAX_RULES}")]
pub struct TooManyRules;

/// Compiles actions. `exclude` makes no rule; a name that is not resolved makes none yet.
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
        for (first, last) in action.hosts.iter().flat_map(|host| addresses(host, names)) {
            for &(first_port, last_port) in &action.ports {
                count += 1;
                if count > MAX_RULES {
                    return Err(TooManyRules);
                }
                let element = Element { first, last, protocol, first_port, last_port };
                chains.entry((direction, first.is_ipv6())).or_default().push(Rule { verdict, element });
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
    element: Element,
}

impl Rule {
    /// Smaller sorts first and wins.
    fn precedence(&self) -> impl Ord + use<> {
        let Element { first, last, first_port, last_port, protocol } = &self.element;
        let verdict = match self.verdict {
            Verdict::Block => 0,
            Verdict::Alert => 1,
            Verdict::Allow => 2,
        };
        (
            number(*last) - number(*first),
            last_port - first_port,
            u16::MAX - first_port,
            verdict,
            number(*first),
            *protocol,
        )
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

fn addresses(host: &Host, names: &ResolvedNames) -> Vec<(IpAddr, IpAddr)> {
    match host {
        Host::Range(first, last) => vec![(*first, *last)],
        Host::Name(_) | Host::Domain(_) => names
            .0
            .get(host)
            .map(|found| found.iter().take(MAX_ADDRESSES_PER_NAME).map(|address| (*address, *address)).collect())
            .unwrap_or_default(),
    }
}

/// Sorted rules as runs of disjoint elements.
fn runs(mut rules: Vec<Rule>) -> Result<Chain, TooManyRules> {
    rules.sort_by_cached_key(Rule::precedence);
    let mut chain: Chain = Vec::new();
    for rule in rules {
        match chain.last_mut().filter(|run| run.verdict == rule.verdict) {
            Some(run) => add_disjoint(&mut run.elements, rule.element)?,
            None => chain.push(Run { verdict: rule.verdict, elements: vec![rule.element] }),
        }
    }
    chain.iter_mut().for_each(|run| run.elements.sort());
    Ok(chain)
}

/// Adds what of `new` the run does not cover yet.
fn add_disjoint(elements: &mut Vec<Element>, new: Element) -> Result<(), TooManyRules> {
    let mut pieces = vec![new];
    for known in elements.iter() {
        pieces = pieces.into_iter().flat_map(|piece| without(piece, known)).collect();
        if pieces.is_empty() {
            return Ok(());
        }
    }
    elements.append(&mut pieces);
    if elements.len() > MAX_RULES { Err(TooManyRules) } else { Ok(()) }
}

/// `piece` less `hole`: at most four boxes.
fn without(piece: Element, hole: &Element) -> Vec<Element> {
    let apart = piece.protocol != hole.protocol
        || piece.last < hole.first
        || hole.last < piece.first
        || piece.last_port < hole.first_port
        || hole.last_port < piece.first_port;
    if apart {
        return vec![piece];
    }
    let mut rest = Vec::new();
    let (low, high) = (piece.first.max(hole.first), piece.last.min(hole.last));
    if piece.first < low {
        rest.push(Element { last: neighbour(low, false), ..piece });
    }
    if high < piece.last {
        rest.push(Element { first: neighbour(high, true), ..piece });
    }
    let middle = Element { first: low, last: high, ..piece };
    if middle.first_port < hole.first_port {
        rest.push(Element { last_port: hole.first_port - 1, ..middle });
    }
    if hole.last_port < middle.last_port {
        rest.push(Element { first_port: hole.last_port + 1, ..middle });
    }
    rest
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address after or before; the caller knows that there is one.
fn neighbour(address: IpAddr, after: bool) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(if after { v4.to_bits() + 1 } else { v4.to_bits() - 1 }).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(if after { v6.to_bits() + 1 } else { v6.to_bits() - 1 }).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn names_become_the_addresses_that_they_stand_for() {
        let named = action(ActionKind::Allow, Subtype::TcpUp, "dns://web.example", "443");
        assert!(compile([&named], &ResolvedNames::default()).expect("small").is_empty());
        let names =
            ResolvedNames([(Host::Name("web.example".to_owned()), vec!["10.1.1.1".parse().expect("ip")])].into());
        let set = compile([&named], &names).expect("small");
        assert_eq!(set.verdict(&up("10.1.1.1", 443)), Some(Verdict::Allow));
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
        fn elements_of_a_run_never_overlap(actions in prop::collection::vec(any_action(), 0..12)) {
            let set = compile(&actions, &ResolvedNames::default()).expect("small");
            for run in [&set.up4, &set.up6, &set.down4, &set.down6].into_iter().flatten() {
                for (at, one) in run.elements.iter().enumerate() {
                    for two in &run.elements[at + 1..] {
                        prop_assert_eq!(without(*one, two), vec![*one]);
                    }
                }
            }
        }
    }
}
