//! What the kernel refuses whatever its rules and routes say, as long as this process runs:
//!
//! - packets *for* a tunnel address by another interface. Linux answers on every interface for every address of the
//!   machine, which lets a LAN neighbour find out who has a tunnel and probe the flows in it (CVE-2019-14899);
//! - packets for a Site's network that would leave by another interface than the tunnel's, but for those of sockets with
//!   the Client's own mark. Network managers remove rules and routes of others; what they open, this keeps shut. Neighbour
//!   discovery (RFC 4861) passes: it never leaves its link.
//!
//! The table belongs to our socket: nobody else can change it, and the kernel removes it when this process ends, however
//! it ends. Rules and blackholes then stay until the next start.

use std::io;
use std::net::IpAddr;

use netlink_packet_netfilter::nftables::{InetHookNumber, SetFlags};
use ringwall_kernel::nft::{
    BaseChain, Batch, CommitError, ELEMENTS_PER_MESSAGE, Element, Family, Field, Kernel, Message, Rule, SetSpec, Side,
    Table,
};

use super::tunnel_only::{AddressRange, TunnelOnly};
use crate::dial::SOCKET_MARK;

/// Name of the table.
const TABLE: &str = "ringwall_client";
/// What comes in. Before connection tracking, so that a probe leaves nothing behind (`NF_IP_PRI_RAW`).
const INCOMING: (&str, InetHookNumber, i32) = ("raw_in", InetHookNumber::PreRouting, -300);
/// What goes out, of this machine and through it, once its last interface is decided (`NF_IP_PRI_FILTER`).
const OUTGOING: (&str, InetHookNumber, i32) = ("out", InetHookNumber::PostRouting, 0);
/// Every network namespace's loopback interface.
const LOOPBACK: u32 = 1;
/// By which interfaces the tunnel's addresses may be reached, and the Sites' networks.
const INTERFACES: &str = "own_interfaces";
/// Types of ICMPv6 of neighbour discovery: router solicitation to redirect.
const NEIGHBOUR_DISCOVERY: [u8; 5] = [133, 134, 135, 136, 137];

/// What the guard goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Guarded {
    /// The tunnel's addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// What is reached through the tunnel or not at all.
    pub(super) networks: TunnelOnly,
}

/// The table, as long as this lives.
pub(super) struct Guard {
    kernel: Kernel,
    guarded: Guarded,
}

impl Guard {
    /// Makes the table, which refuses nothing yet.
    pub(super) fn install(device_index: u32) -> io::Result<Self> {
        let mut kernel = Kernel::open()?;
        commit(&mut kernel, skeleton(device_index))?;
        Ok(Self { kernel, guarded: Guarded::default() })
    }

    /// Refuses from now on what `guarded` says, and no more what it said before. In one step: at no time less than both
    /// say.
    pub(super) fn follow(&mut self, guarded: Guarded) -> io::Result<()> {
        if guarded != self.guarded {
            commit(&mut self.kernel, content(&guarded))?;
            self.guarded = guarded;
        }
        Ok(())
    }

    pub(super) const fn guarded(&self) -> &Guarded {
        &self.guarded
    }
}

fn commit(kernel: &mut Kernel, batch: Batch) -> io::Result<()> {
    kernel.commit(batch).map_err(|error| match error {
        CommitError::Socket(error) => error,
        refused => io::Error::other(refused),
    })
}

/// The set of tunnel addresses.
const fn addresses(family: Family) -> &'static str {
    family.pick("tunnel4", "tunnel6")
}

/// The set of networks that are reached through the tunnel only.
const fn networks(family: Family) -> &'static str {
    family.pick("site4", "site6")
}

/// `iif != { lo, <device> } ip daddr { <addresses> } drop`, and for what goes out
/// `oif { lo, <device> } accept; meta mark <ours> accept; ip daddr { <networks> } drop`.
fn skeleton(device_index: u32) -> Batch {
    let table = Table::new(TABLE.to_owned());
    let own = [LOOPBACK, device_index].map(|index| Element::key(index.to_ne_bytes().to_vec()));
    let mut messages: Vec<Message> = vec![
        table.create_until_closed(),
        table.set(&SetSpec::new(INTERFACES, &[Field::InterfaceIndex])),
        table.add(INTERFACES, own.into()),
    ];
    for (name, hook, priority) in [INCOMING, OUTGOING] {
        messages.push(table.base_chain(name, BaseChain { kind: "filter", hook, priority, accept: true }));
    }
    for family in Family::BOTH {
        let key = [family.address()];
        messages.push(table.set(&SetSpec::new(addresses(family), &key)));
        messages.push(table.set(&SetSpec::new(networks(family), &key).flags(SetFlags::Interval)));
    }
    let mut anonymous = 0;
    messages.extend(rules().into_iter().flat_map(|rule| rule.messages(&table, &mut anonymous)));
    messages.into_iter().collect()
}

fn rules() -> Vec<Rule> {
    let out = || Rule::in_chain(OUTGOING.0);
    let mut rules = vec![
        out().oif_in(INTERFACES, true).accept(),
        out().mark_is(SOCKET_MARK).accept(),
        out().icmp_type_in(Family::V6, &NEIGHBOUR_DISCOVERY, true).accept(),
    ];
    for family in Family::BOTH {
        let in_chain = Rule::in_chain(INCOMING.0).iif_in(INTERFACES, false);
        rules.push(in_chain.address_in(family, Side::Destination, addresses(family)).drop());
        rules.push(out().address_in(family, Side::Destination, networks(family)).drop());
    }
    rules
}

/// The sets anew.
fn content(guarded: &Guarded) -> Batch {
    let table = Table::new(TABLE.to_owned());
    let mut messages = Vec::new();
    for family in Family::BOTH {
        let own = guarded.addresses.iter().filter_map(|address| key(family, *address)).map(Element::key);
        let ranges = match family {
            Family::V4 => &guarded.networks.v4,
            Family::V6 => &guarded.networks.v6,
        };
        let protected = ranges.iter().flat_map(|range| interval(family, *range));
        for (set, elements) in [(addresses(family), own.collect()), (networks(family), protected.collect::<Vec<_>>())] {
            messages.push(table.flush(set));
            // An interval's two halves stay in one message: the number is even.
            messages.extend(elements.chunks(ELEMENTS_PER_MESSAGE).map(|part| table.add(set, part.to_vec())));
        }
    }
    messages.into_iter().collect()
}

fn key(family: Family, address: IpAddr) -> Option<Vec<u8>> {
    match (family, address) {
        (Family::V4, IpAddr::V4(v4)) => Some(v4.octets().to_vec()),
        (Family::V6, IpAddr::V6(v6)) => Some(v6.octets().to_vec()),
        _ => None,
    }
}

/// Where a range begins, and where it is over; one that reaches to the last address has no end.
fn interval(family: Family, range: AddressRange) -> Vec<Element> {
    let bytes = |number: u128| match family {
        Family::V4 => u32::try_from(number).ok().map(|number| number.to_be_bytes().to_vec()),
        Family::V6 => Some(number.to_be_bytes().to_vec()),
    };
    let first = bytes(range.first).map(Element::key);
    let end = range.last.checked_add(1).and_then(bytes).map(Element::interval_end);
    first.into_iter().chain(end).collect()
}
