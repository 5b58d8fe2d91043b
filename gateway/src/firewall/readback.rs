//! Reads the table back and says in what it differs from what it should be.
//!
//! The skeleton is compared with what the kernel listed right after it was made; sessions, slots and the lease with
//! what the enforcer believes. The table is owned by the enforcer's socket, so a difference is a defect of ours or
//! somebody with other means than nftables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlink_packet_core::Emitable;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, ExpressionAttribute, Expressions, ListAttribute, NfTablesMessage,
    RuleAttribute, RuleMessage, SetElementAttribute, SetElementList, SetElementMessage, VerdictAttribute,
};
use ringwall_protocol::rules::{Direction, RuleSet};

use super::kernel::Kernel;
use super::ledger::{self, Ledger};
use super::objects::Table;
use super::ruleset;
use super::skeleton::{DOWN, LEASE, NAMED4, NAMED6, SESSIONS4, SESSIONS6, UP};
use super::slots::{Mark, Slots};

/// Rule sets whose elements one read-back counts; the next one goes on behind them.
pub(super) const RULE_SETS_AT_ONCE: usize = 200;

/// Differences that are told; the rest is counted by the reader.
const MOST_DIFFERENCES: usize = 64;

/// Elements about to expire may be there or not.
const FADING: Duration = Duration::from_secs(2);

/// What a read-back found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Tunnel addresses that the kernel lets pass.
    pub addresses: usize,
    /// Slots for rule sets in the kernel.
    pub slots: usize,
    /// What is not as it should be, at most 64 lines; empty: nothing.
    pub differences: Vec<String>,
}

/// The skeleton as the kernel listed it when it was new: chain by chain, without counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Baseline {
    chains: BTreeMap<String, ChainListing>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ChainListing {
    hook: Vec<u8>,
    rules: Vec<Vec<u8>>,
}

/// What the kernel should hold.
pub(super) struct Wanted<'a> {
    pub(super) table: &'a Table,
    pub(super) baseline: &'a Baseline,
    pub(super) ledger: &'a Ledger,
    pub(super) slots: &'a Slots,
    pub(super) contents: &'a HashMap<Mark, Arc<RuleSet>>,
    /// Keys of what names stand for; those about to expire may be missing in the kernel.
    pub(super) named: &'a HashSet<Vec<u8>>,
    /// The interface that holds the lease.
    pub(super) lease: Option<u32>,
    pub(super) cursor: usize,
}

/// Lists the skeleton's chains and rules.
pub(super) fn baseline(kernel: &mut Kernel, table: &Table) -> io::Result<Baseline> {
    let mut chains = BTreeMap::new();
    for (name, hook) in chain_hooks(kernel, table)? {
        if !is_rule_set(&name) {
            let rules = rules_of(kernel, table, &name)?;
            chains.insert(name, ChainListing { hook, rules });
        }
    }
    Ok(Baseline { chains })
}

/// Compares the kernel's table with what it should be.
pub(super) fn compare(kernel: &mut Kernel, wanted: &Wanted<'_>) -> io::Result<Audit> {
    let mut differences = Differences(vec![]);
    let now = baseline(kernel, wanted.table)?;
    skeleton(wanted.baseline, &now, &mut differences);
    let addresses = sessions(kernel, wanted, &mut differences)?;
    let slots = jumps(kernel, wanted, &mut differences)?;
    rule_sets(kernel, wanted, &mut differences)?;
    names(kernel, wanted, &mut differences)?;
    lease(kernel, wanted, &mut differences)?;
    Ok(Audit { addresses, slots, differences: differences.0 })
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

fn sessions(kernel: &mut Kernel, wanted: &Wanted<'_>, differences: &mut Differences) -> io::Result<usize> {
    let mut found: HashMap<IpAddr, u32> = HashMap::new();
    for set in [SESSIONS4, SESSIONS6] {
        for (key, data) in elements(kernel, wanted.table, set)? {
            if let (Some(address), Some(mark)) = (address(&key), data.as_ref().and_then(mark)) {
                found.insert(address, mark);
            }
        }
    }
    let count = found.len();
    let now = Instant::now();
    for (session, held) in wanted.ledger.sessions() {
        for address in ledger::list(held.addresses) {
            match found.remove(&address) {
                None if held.expires > now + FADING => {
                    differences.tell(|| format!("address {address} of session {session} is missing"));
                }
                Some(mark) if mark != held.mark.0 => {
                    let right = held.mark.0;
                    differences.tell(|| format!("address {address} leads to rule set {mark}, not {right}"));
                }
                _ => {}
            }
        }
    }
    for (address, mark) in found {
        differences.tell(|| format!("address {address} leads to rule set {mark} and belongs to no session"));
    }
    Ok(count)
}

fn jumps(kernel: &mut Kernel, wanted: &Wanted<'_>, differences: &mut Differences) -> io::Result<usize> {
    let up = targets(kernel, wanted.table, UP)?;
    let down = targets(kernel, wanted.table, DOWN)?;
    for mark in wanted.slots.marks() {
        leads(&up, UP, mark, Direction::Up, differences);
        let has_down = wanted.contents.get(&mark).is_some_and(|rules| ruleset::has_down(rules));
        if has_down && wanted.slots.filled(mark) {
            leads(&down, DOWN, mark, Direction::Down, differences);
        }
        if !has_down && down.contains_key(&mark) {
            differences.tell(|| format!("mark {} is in {DOWN} and has no such rules", mark.0));
        }
    }
    let ours: HashSet<Mark> = wanted.slots.marks().collect();
    for mark in up.keys().chain(down.keys()).filter(|mark| !ours.contains(mark)) {
        differences.tell(|| format!("mark {} is no slot of ours", mark.0));
    }
    Ok(up.len())
}

fn targets(kernel: &mut Kernel, table: &Table, map: &str) -> io::Result<HashMap<Mark, Option<String>>> {
    let found = elements(kernel, table, map)?.into_iter();
    Ok(found.filter_map(|(key, data)| Some((Mark(host_order(&key)?), data.as_ref().and_then(target)))).collect())
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

fn rule_sets(kernel: &mut Kernel, wanted: &Wanted<'_>, differences: &mut Differences) -> io::Result<()> {
    let mut marks: Vec<&Mark> = wanted.contents.keys().filter(|mark| wanted.slots.filled(**mark)).collect();
    marks.sort_unstable();
    let start = if marks.is_empty() { 0 } else { wanted.cursor % marks.len() };
    marks.rotate_left(start);
    for mark in marks.into_iter().take(RULE_SETS_AT_ONCE) {
        for (set, right) in ruleset::expected_sets(*mark, &wanted.contents[mark]) {
            let found = elements(kernel, wanted.table, &set)?.len();
            if found != right {
                differences.tell(|| format!("set {set} has {found} elements, not {right}"));
            }
        }
    }
    Ok(())
}

fn names(kernel: &mut Kernel, wanted: &Wanted<'_>, differences: &mut Differences) -> io::Result<()> {
    for set in [NAMED4, NAMED6] {
        let foreign = elements(kernel, wanted.table, set)?.into_iter().filter(|(key, _)| !wanted.named.contains(key));
        let count = foreign.count();
        if count > 0 {
            differences.tell(|| format!("set {set} has {count} addresses that no name stands for"));
        }
    }
    Ok(())
}

fn lease(kernel: &mut Kernel, wanted: &Wanted<'_>, differences: &mut Differences) -> io::Result<()> {
    for (key, _) in elements(kernel, wanted.table, LEASE)? {
        let index = host_order(&key);
        if index.is_none() || index != wanted.lease {
            differences.tell(|| format!("interface {index:?} holds a lease that was not given"));
        }
    }
    Ok(())
}

fn is_rule_set(chain: &str) -> bool {
    chain.strip_prefix("rs").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Names of all chains of the table, with hook, priority and policy as bytes.
fn chain_hooks(kernel: &mut Kernel, table: &Table) -> io::Result<Vec<(String, Vec<u8>)>> {
    let request = NfTablesMessage::GetChain(ChainMessage { attributes: vec![] });
    let mut found = vec![];
    for message in kernel.dump(&request)? {
        let NfTablesMessage::NewChain(chain) = message else { continue };
        let mut name = None;
        let mut ours = false;
        let mut hook = vec![];
        for attribute in chain.attributes {
            match attribute {
                ChainAttribute::Table(owner) => ours = owner == table.name(),
                ChainAttribute::Name(text) => name = Some(text),
                ChainAttribute::Hook(_) | ChainAttribute::Policy(_) | ChainAttribute::Type(_) => {
                    hook.extend(bytes(&attribute));
                }
                _ => {}
            }
        }
        found.extend(name.filter(|_| ours).map(|name| (name, hook)));
    }
    Ok(found)
}

/// The rules of a chain as bytes, counters left out.
fn rules_of(kernel: &mut Kernel, table: &Table, chain: &str) -> io::Result<Vec<Vec<u8>>> {
    let attributes = vec![RuleAttribute::Table(table.name().to_owned()), RuleAttribute::Chain(chain.to_owned())];
    let request = NfTablesMessage::GetRule(RuleMessage { attributes });
    let mut rules = vec![];
    for message in kernel.dump(&request)? {
        let NfTablesMessage::NewRule(rule) = message else { continue };
        for attribute in rule.attributes {
            if let RuleAttribute::Expressions(expressions) = attribute {
                let steady = expressions.iter().filter(|expression| !is_counter(expression));
                rules.push(steady.flat_map(bytes).collect());
            }
        }
    }
    Ok(rules)
}

fn is_counter(expression: &ListAttribute<ExpressionAttribute>) -> bool {
    let ListAttribute::Element(attributes) = expression else { return false };
    attributes.iter().any(|attribute| {
        matches!(attribute, ExpressionAttribute::Data(Expressions::Other { expression_type, .. })
            if expression_type == "counter")
    })
}

fn bytes(attribute: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// Keys of a set, with what a map gives for them.
fn elements(kernel: &mut Kernel, table: &Table, set: &str) -> io::Result<Vec<(Vec<u8>, Option<DataAttribute>)>> {
    let attributes = vec![SetElementList::Table(table.name().to_owned()), SetElementList::Set(set.to_owned())];
    let request = NfTablesMessage::GetSetElement(SetElementMessage { attributes });
    let mut found = vec![];
    for message in kernel.dump(&request)? {
        let NfTablesMessage::NewSetElement(part) = message else { continue };
        for attribute in part.attributes {
            let SetElementList::Elements(list) = attribute else { continue };
            found.extend(list.into_iter().filter_map(element));
        }
    }
    Ok(found)
}

fn element(listed: ListAttribute<SetElementAttribute>) -> Option<(Vec<u8>, Option<DataAttribute>)> {
    let ListAttribute::Element(attributes) = listed else { return None };
    let mut key = None;
    let mut data = None;
    for attribute in attributes {
        match attribute {
            SetElementAttribute::Key(DataAttribute::Value(bytes)) => key = Some(bytes),
            SetElementAttribute::Data(value) => data = Some(value),
            _ => {}
        }
    }
    key.map(|key| (key, data))
}

fn address(key: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(key).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(key).map(IpAddr::from);
    v4().or_else(|_| v6()).ok()
}

fn host_order(key: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(key.try_into().ok()?))
}

fn mark(data: &DataAttribute) -> Option<u32> {
    match data {
        DataAttribute::Value(bytes) => host_order(bytes),
        _ => None,
    }
}

fn target(data: &DataAttribute) -> Option<String> {
    let DataAttribute::Verdict(attributes) = data else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        VerdictAttribute::Chain(chain) => Some(chain.clone()),
        _ => None,
    })
}
