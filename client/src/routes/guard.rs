//! Nobody but the tunnel reaches the tunnel's address: Linux answers on every interface for every address of the
//! machine, which lets a LAN neighbour find out who has a tunnel and probe the flows in it (CVE-2019-14899).
//!
//! A table of our own drops what comes for a tunnel address by another interface. It belongs to our socket, so that the
//! kernel removes it when this process ends, however it ends.

use std::io;
use std::net::IpAddr;

use netlink_packet_netfilter::nftables::InetHookNumber;
use ringwall_kernel::nft::{
    BaseChain, Batch, CommitError, Element, Family, Field, Kernel, Message, Rule, SetSpec, Side, Table,
};

/// Name of the table.
const TABLE: &str = "ringwall_client";
/// Its only chain.
const CHAIN: &str = "raw_in";
/// Before connection tracking, so that a probe leaves nothing behind (`NF_IP_PRI_RAW`).
const PRIORITY: i32 = -300;
/// Every network namespace's loopback interface.
const LOOPBACK: u32 = 1;
/// By which interfaces the tunnel's addresses may be reached.
const INTERFACES: &str = "own_interfaces";
/// The tunnel's addresses.
const ADDRESSES: [(Family, &str, Field); 2] =
    [(Family::V4, "tunnel4", Field::Ipv4), (Family::V6, "tunnel6", Field::Ipv6)];

/// The table, as long as this lives.
pub(super) struct Guard(#[expect(dead_code, reason = "the kernel removes the table with its socket")] Kernel);

impl Guard {
    /// Drops from now on what comes for these addresses by other interfaces than the device and the loopback.
    pub(super) fn install(device_index: u32, addresses: &[IpAddr]) -> io::Result<Self> {
        let mut kernel = Kernel::open()?;
        kernel.commit(guarding(device_index, addresses)).map_err(|error| match error {
            CommitError::Socket(error) => error,
            refused => io::Error::other(refused),
        })?;
        Ok(Self(kernel))
    }
}

/// `iif != { lo, <device> } ip daddr { <addresses> } drop`, for each family.
fn guarding(device_index: u32, addresses: &[IpAddr]) -> Batch {
    let table = Table::new(TABLE.to_owned());
    let hook = BaseChain { kind: "filter", hook: InetHookNumber::PreRouting, priority: PRIORITY, accept: true };
    let own = [LOOPBACK, device_index].map(|index| Element::key(index.to_ne_bytes().to_vec()));
    let mut messages: Vec<Message> = vec![
        table.create_until_closed(),
        table.base_chain(CHAIN, hook),
        table.set(&SetSpec::new(INTERFACES, &[Field::InterfaceIndex])),
        table.add(INTERFACES, own.into()),
    ];
    let mut anonymous = 0;
    for (family, set, field) in ADDRESSES {
        let keys: Vec<Element> =
            addresses.iter().filter_map(|address| key(family, *address)).map(Element::key).collect();
        if keys.is_empty() {
            continue;
        }
        messages.push(table.set(&SetSpec::new(set, &[field])));
        messages.push(table.add(set, keys));
        let rule = Rule::in_chain(CHAIN).iif_in(INTERFACES, false).address_in(family, Side::Destination, set).drop();
        messages.extend(rule.messages(&table, &mut anonymous));
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
