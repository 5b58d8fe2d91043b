//! The sets and maps of the skeleton. What is changed per session stands first: the kernel finds sets by name in a
//! list, in the order in which they were made.

use netlink_packet_netfilter::nftables::SetFlags;

use ringwall_kernel::guard;

use ringwall_kernel::nft::{ELEMENTS_PER_MESSAGE, Element, Family, Field, Gives, SetSpec};

use super::Build;
use crate::firewall::ranges::merged;

/// The TUN's interface index, while the lease holds.
pub(in crate::firewall) const LEASE: &str = "lease";
/// Tunnel address : mark of the session's rule set, number of its user.
pub(in crate::firewall) const SESSIONS4: &str = "s4";
pub(in crate::firewall) const SESSIONS6: &str = "s6";
/// Mark : chain for flows the client began.
pub(in crate::firewall) const UP: &str = "up";
/// Mark : chain for flows others began.
pub(in crate::firewall) const DOWN: &str = "down";
/// Sources of DTLS: knocked or attached, with their UDP port.
pub(in crate::firewall) const PEERS4: &str = "peers4";
pub(in crate::firewall) const PEERS6: &str = "peers6";
/// What names stand for, for everybody: number of a group of names . address.
pub(in crate::firewall) const NAMED4: &str = "named4";
pub(in crate::firewall) const NAMED6: &str = "named6";
/// What a session was told that names stand for: number . its tunnel address . address.
pub(in crate::firewall) const ASKED4: &str = "asked4";
pub(in crate::firewall) const ASKED6: &str = "asked6";
/// Budget of logged alerts per session.
pub(in crate::firewall) const ALERTS4: &str = "alerts4";
pub(in crate::firewall) const ALERTS6: &str = "alerts6";

/// Addresses behind names, over all rule sets: 256 names of 64 addresses in sixteen rule sets.
const NAMED: u32 = 262_144;
/// The same, over all sessions that asked.
const ASKED: u32 = 1_048_576;

/// Sessions of a Gateway at most, per address family.
const SESSIONS: u32 = 65_536;

pub(super) const fn pool(family: Family) -> &'static str {
    family.pick("pool4", "pool6")
}

pub(super) const fn flows(family: Family) -> &'static str {
    family.pick("flows4", "flows6")
}

pub(super) const fn flows_of_users(family: Family) -> &'static str {
    family.pick("userflows4", "userflows6")
}

pub(super) const fn denials(family: Family) -> &'static str {
    family.pick("denials4", "denials6")
}

/// Flows that were logged in the last second; those without ports in a set of their own.
pub(super) const fn denied_flows(family: Family, with_port: bool) -> &'static str {
    if with_port { family.pick("denied4", "denied6") } else { family.pick("denied4x", "denied6x") }
}

pub(super) fn make(build: &mut Build<'_>) {
    changed_often(build);
    pools(build);
    filled_by_packets(build);
}

fn changed_often(build: &mut Build<'_>) {
    let expiring = SetFlags::Timeout;
    let table = build.table;
    build.push(table.set(&SetSpec::new(LEASE, &[Field::InterfaceIndex]).flags(expiring).size(16)));
    for (name, key) in [(SESSIONS4, Field::Ipv4), (SESSIONS6, Field::Ipv6)] {
        let key = [key];
        build.push(table.set(&SetSpec::new(name, &key).gives(Gives::MarkAndOwner).flags(expiring).size(SESSIONS)));
    }
    for name in [UP, DOWN] {
        build.push(table.set(&SetSpec::new(name, &[Field::Mark]).gives(Gives::Verdict).size(SESSIONS)));
    }
    build.messages.extend(guard::sets(table));
    for (name, key) in [(PEERS4, Field::Ipv4), (PEERS6, Field::Ipv6)] {
        let key = [key, Field::Service];
        build.push(table.set(&SetSpec::new(name, &key).flags(expiring).size(131_072)));
    }
    for (name, key) in [(NAMED4, Field::Ipv4), (NAMED6, Field::Ipv6)] {
        let key = [Field::Mark, key];
        build.push(table.set(&SetSpec::new(name, &key).flags(expiring).size(NAMED)));
    }
    for (name, key) in [(ASKED4, Field::Ipv4), (ASKED6, Field::Ipv6)] {
        let key = [Field::Mark, key, key];
        build.push(table.set(&SetSpec::new(name, &key).flags(expiring).size(ASKED)));
    }
}

fn pools(build: &mut Build<'_>) {
    let table = build.table;
    for family in Family::BOTH {
        let key = [family.address()];
        build.push(table.set(&SetSpec::new(pool(family), &key).flags(SetFlags::Interval)));
        let intervals: Vec<(Vec<u8>, Option<Vec<u8>>)> = match family {
            Family::V4 => merged(build.config.pools4.iter().map(|net| (net.network().into(), net.broadcast().into())))
                .into_iter()
                .map(|(first, last): (u32, u32)| {
                    (first.to_be_bytes().to_vec(), last.checked_add(1).map(|end| end.to_be_bytes().to_vec()))
                })
                .collect(),
            Family::V6 => merged(build.config.pools6.iter().map(|net| (net.network().into(), net.broadcast().into())))
                .into_iter()
                .map(|(first, last): (u128, u128)| {
                    (first.to_be_bytes().to_vec(), last.checked_add(1).map(|end| end.to_be_bytes().to_vec()))
                })
                .collect(),
        };
        let elements: Vec<Element> = intervals
            .into_iter()
            .flat_map(|(first, end)| [Some(Element::key(first)), end.map(Element::interval_end)])
            .flatten()
            .collect();
        // An interval's two halves stay in one message: the number is even.
        for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
            build.push(table.add(pool(family), part.to_vec()));
        }
    }
}

fn filled_by_packets(build: &mut Build<'_>) {
    let dynamic = SetFlags::Eval;
    let fading = SetFlags::Eval | SetFlags::Timeout;
    let table = build.table;
    for family in Family::BOTH {
        let address = family.address();
        let one = [address];
        let flow = [address, address, Field::Protocol, Field::Service];
        build.push(table.set(&SetSpec::new(flows(family), &one).flags(dynamic).size(SESSIONS)));
        build.push(table.set(&SetSpec::new(flows_of_users(family), &[Field::Mark]).flags(dynamic).size(SESSIONS)));
        for name in [denials(family), family.pick(ALERTS4, ALERTS6)] {
            build.push(table.set(&SetSpec::new(name, &one).flags(fading).timeout(10_000).size(SESSIONS)));
        }
        let with_port = SetSpec::new(denied_flows(family, true), &flow).flags(fading).timeout(1_000).size(262_144);
        build.push(table.set(&with_port));
        let without = SetSpec::new(denied_flows(family, false), &flow[..3]).flags(fading).timeout(1_000).size(65_536);
        build.push(table.set(&without));
    }
}
