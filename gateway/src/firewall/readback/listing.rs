//! Listings of the table, as the kernel gives them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;

use netlink_packet_core::Emitable;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, ExpressionAttribute, Expressions, ListAttribute, NfTablesMessage,
    RuleAttribute, RuleMessage, SetElementAttribute, SetElementList, SetElementMessage, VerdictAttribute,
};

use ringwall_kernel::nft::{Kernel, Table};

use crate::firewall::skeleton::{DOWN, LEASE, NAMED4, NAMED6, SESSIONS4, SESSIONS6, UP};
use crate::firewall::slots::Mark;
use crate::firewall::wanted::Owner;

/// The skeleton as the kernel lists it: chain by chain, without counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::firewall) struct Baseline {
    pub(super) chains: BTreeMap<String, ChainListing>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChainListing {
    pub(super) hook: Vec<u8>,
    pub(super) rules: Vec<Vec<u8>>,
}

/// What the kernel holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) skeleton: Baseline,
    /// Tunnel address : mark and owner.
    pub(super) sessions: HashMap<IpAddr, (Mark, Owner)>,
    /// Mark : chain.
    pub(super) up: HashMap<Mark, Option<String>>,
    pub(super) down: HashMap<Mark, Option<String>>,
    /// Elements of those sets of rule sets that were asked for.
    pub(super) sizes: HashMap<String, usize>,
    /// Keys of what names stand for, by set.
    pub(super) named: Vec<(&'static str, Vec<Vec<u8>>)>,
    /// Interfaces that hold a lease.
    pub(super) lease: Vec<Option<u32>>,
}

/// Lists the table, and counts the elements of these `sets`.
pub(super) fn read<'a>(
    kernel: &mut Kernel,
    table: &Table,
    sets: impl IntoIterator<Item = &'a str>,
) -> io::Result<Found> {
    let mut found = Found { skeleton: baseline(kernel, table)?, ..Found::default() };
    for set in [SESSIONS4, SESSIONS6] {
        let sessions = elements(kernel, table, set)?.into_iter();
        found.sessions.extend(sessions.filter_map(|(key, data)| Some((address(&key)?, gives(data.as_ref()?)?))));
    }
    found.up = targets(kernel, table, UP)?;
    found.down = targets(kernel, table, DOWN)?;
    for set in sets {
        found.sizes.insert(set.to_owned(), elements(kernel, table, set)?.len());
    }
    for set in [NAMED4, NAMED6] {
        found.named.push((set, elements(kernel, table, set)?.into_iter().map(|(key, _)| key).collect()));
    }
    found.lease = elements(kernel, table, LEASE)?.iter().map(|(key, _)| host_order(key)).collect();
    Ok(found)
}

/// Lists the skeleton's chains and rules.
pub(in crate::firewall) fn baseline(kernel: &mut Kernel, table: &Table) -> io::Result<Baseline> {
    let mut chains = BTreeMap::new();
    for (name, hook) in chain_hooks(kernel, table)? {
        if !is_rule_set(&name) {
            let rules = rules_of(kernel, table, &name)?;
            chains.insert(name, ChainListing { hook, rules });
        }
    }
    Ok(Baseline { chains })
}

fn targets(kernel: &mut Kernel, table: &Table, map: &str) -> io::Result<HashMap<Mark, Option<String>>> {
    let found = elements(kernel, table, map)?.into_iter();
    Ok(found.filter_map(|(key, data)| Some((Mark(host_order(&key)?), data.as_ref().and_then(target)))).collect())
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

/// Mark and owner.
fn gives(data: &DataAttribute) -> Option<(Mark, Owner)> {
    let DataAttribute::Value(bytes) = data else { return None };
    let (mark, owner) = bytes.split_at_checked(4)?;
    Some((Mark(host_order(mark)?), Owner(host_order(owner)?)))
}

fn target(data: &DataAttribute) -> Option<String> {
    let DataAttribute::Verdict(attributes) = data else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        VerdictAttribute::Chain(chain) => Some(chain.clone()),
        _ => None,
    })
}
