//! A rule set: what the firewall enforces for a session, independent of any operating system.
//!
//! A [`RuleSet`] is the compiled, normalised form of a session's open actions. It is content-addressed: equal rules
//! give an equal [`RuleSetHash`], so sessions with the same rights share one rule set in the kernel.
//! `compile` makes it with the precedence of S45; `matching` asks it about one flow, exactly as the kernel would.

pub mod compile;
pub mod matching;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::entitlement::Host;

/// Rules that one rule set may hold at most, all chains together.
pub(crate) const MAX_RULES: usize = 4_096;

/// Which side began the flow, seen from the Client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The Client began it: the rule's addresses are destinations.
    Up,
    /// A protected host began it: the rule's addresses are sources, its ports the Client's.
    Down,
}

/// What happens to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Let it pass.
    Allow,
    /// Let it pass and log it.
    Alert,
    /// Drop it.
    Block,
}

/// An IP protocol that a rule can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// TCP; ports are ports.
    Tcp,
    /// UDP; ports are ports.
    Udp,
    /// ICMP for IPv4; "ports" are `type × 256 + code`, as conntrack keeps them.
    Icmp,
    /// ICMP for IPv6; the same.
    Icmpv6,
    /// Authentication header; no ports (0–65535).
    Ah,
    /// Encapsulating security payload; no ports.
    Esp,
    /// Generic routing encapsulation; no ports.
    Gre,
}

impl Protocol {
    /// The number in the IP header (IANA "Assigned Internet Protocol Numbers").
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Gre => 47,
            Self::Esp => 50,
            Self::Ah => 51,
            Self::Icmpv6 => 58,
        }
    }
}

/// One box of a run: an inclusive range of addresses, one protocol, an inclusive range of ports.
///
/// First and last address are of one family. A single host has `first == last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Element {
    /// First address of the range.
    pub first: IpAddr,
    /// Last address of the range, of the same family.
    pub last: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// First port, or `type × 256 + code`, or 0.
    pub first_port: u16,
    /// Last port, inclusive.
    pub last_port: u16,
}

impl Element {
    /// The ports as a range.
    #[must_use]
    pub const fn ports(&self) -> RangeInclusive<u16> {
        self.first_port..=self.last_port
    }

    /// Addresses in the range, less one.
    #[must_use]
    pub fn width(&self) -> u128 {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => u128::from(last.to_bits().saturating_sub(first.to_bits())),
            (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits().saturating_sub(first.to_bits()),
            _ => u128::MAX,
        }
    }

    /// One address and one port: fits a hash set in the kernel.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.first == self.last && self.first_port == self.last_port
    }
}

/// Consecutive rules with one verdict. Inside a run no two elements overlap (the kernel refuses overlaps).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What a match means.
    pub verdict: Verdict,
    /// Pairwise disjoint, sorted.
    pub elements: Vec<Element>,
    /// Hosts by name, sorted: each stands for the single addresses that it has when a packet comes. They may stand for
    /// what `elements` hold as well: the verdict is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Named>,
}

/// A host by name, one protocol, an inclusive range of ports. What the name stands for is not part of the rules: a
/// change of it changes no rule set (T45).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// A [`Host::Name`] or [`Host::Domain`], never a range.
    pub host: Host,
    /// Protocol.
    pub protocol: Protocol,
    /// First port, or `type × 256 + code`, or 0.
    pub first_port: u16,
    /// Last port, inclusive.
    pub last_port: u16,
}

impl Named {
    /// The ports as a range.
    #[must_use]
    pub const fn ports(&self) -> RangeInclusive<u16> {
        self.first_port..=self.last_port
    }
}

/// The rules of one direction and one address family, in the order in which runs are asked; no match: dropped.
pub type Chain = Vec<Run>;

/// A complete rule set. Empty chains drop everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSet {
    /// Flows that the Client begins over IPv4.
    pub up4: Chain,
    /// Flows that the Client begins over IPv6.
    pub up6: Chain,
    /// Flows that others begin towards the Client over IPv4.
    pub down4: Chain,
    /// Flows that others begin towards the Client over IPv6.
    pub down6: Chain,
}

/// BLAKE3-256 of the canonical form of a [`RuleSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleSetHash(pub [u8; 32]);

impl RuleSet {
    /// The number of elements in all chains.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains().flatten().map(|run| run.elements.len() + run.named.len()).sum()
    }

    /// True if nothing is allowed, blocked or logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chain for a direction and an address family.
    #[must_use]
    pub const fn chain(&self, direction: Direction, v6: bool) -> &Chain {
        match (direction, v6) {
            (Direction::Up, false) => &self.up4,
            (Direction::Up, true) => &self.up6,
            (Direction::Down, false) => &self.down4,
            (Direction::Down, true) => &self.down6,
        }
    }

    /// The identity of these rules.
    #[must_use]
    pub fn hash(&self) -> RuleSetHash {
        let mut hasher = blake3::Hasher::new();
        for chain in self.chains() {
            hasher.update(&(chain.len() as u64).to_be_bytes());
            for run in chain {
                hasher.update(&[run.verdict as u8]);
                hasher.update(&(run.elements.len() as u64).to_be_bytes());
                for element in &run.elements {
                    for address in [element.first, element.last] {
                        match address {
                            IpAddr::V4(v4) => hasher.update(&v4.octets()),
                            IpAddr::V6(v6) => hasher.update(&v6.octets()),
                        };
                    }
                    hasher.update(&[element.protocol.number()]);
                    hasher.update(&element.first_port.to_be_bytes());
                    hasher.update(&element.last_port.to_be_bytes());
                }
                hasher.update(&(run.named.len() as u64).to_be_bytes());
                run.named.iter().for_each(|named| named.feed(&mut hasher));
            }
        }
        RuleSetHash(*hasher.finalize().as_bytes())
    }

    /// Names that these rules depend on.
    pub fn names(&self) -> impl Iterator<Item = &Host> {
        self.chains().flatten().flat_map(|run| &run.named).map(|named| &named.host)
    }

    fn chains(&self) -> impl Iterator<Item = &Chain> {
        [&self.up4, &self.up6, &self.down4, &self.down6].into_iter()
    }
}

impl Named {
    /// Its canonical form: kind, length and text of the name, then protocol and ports.
    fn feed(&self, hasher: &mut blake3::Hasher) {
        let (kind, name) = match &self.host {
            Host::Name(name) => (1, name.as_str()),
            Host::Domain(domain) => (2, domain.as_str()),
            Host::Range(..) => (0, ""),
        };
        hasher.update(&[kind]);
        hasher.update(&(name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&[self.protocol.number()]);
        hasher.update(&self.first_port.to_be_bytes());
        hasher.update(&self.last_port.to_be_bytes());
    }
}
