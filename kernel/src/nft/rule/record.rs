//! What rules keep in sets: flows that were logged, budgets of sources and of flows.

use netlink_packet_netfilter::nftables::{MetaKey, Register};

use super::Rule;
use super::key::{Key, load_address, load_port};
use crate::nft::expression::{self as ex, Expr, Kept, SetRef};
use crate::nft::family::{Family, Side, original_address};

impl Rule {
    /// `ip saddr . th sport . th dport @set` of what comes to this host, the same ends of what leaves it: the connection
    /// is in the set.
    pub(crate) fn connection_in(self, family: Family, remote: Side, set: &str) -> Self {
        self.connection(family, remote, ex::lookup(SetRef::Named(set), Register::Reg1, false))
    }

    /// `update @set { … }`: puts the connection into the set, or begins its timeout anew.
    pub(crate) fn keep_connection(self, family: Family, remote: Side, set: &str) -> Self {
        self.connection(family, remote, ex::refresh(set, Register::Reg1))
    }

    /// `delete @set { … }`.
    pub(crate) fn forget_connection(self, family: Family, remote: Side, set: &str) -> Self {
        self.connection(family, remote, ex::forget(set, Register::Reg1))
    }

    /// `remote` is the side of the packet at which the other host stands.
    fn connection(self, family: Family, remote: Side, ask: Expr) -> Self {
        let local = if remote == Side::Source { Side::Destination } else { Side::Source };
        let key = Key::new()
            .load(family.address().bytes(), |to| load_address(family, remote, to))
            .load(2, |to| load_port(remote, to))
            .load(2, |to| load_port(local, to));
        self.family(family).with(key.into_expressions()).with([ask])
    }

    /// `ip saddr . ip daddr . meta l4proto [. th dport] @set`, or `add @set { … }`.
    pub fn denied_flow(self, family: Family, with_port: bool, set: &str, add: bool) -> Self {
        let bytes = family.address().bytes();
        let mut key = Key::new()
            .load(bytes, |to| load_address(family, Side::Source, to))
            .load(bytes, |to| load_address(family, Side::Destination, to))
            .load(1, |to| ex::meta(MetaKey::L4Proto, to));
        if with_port {
            key = key.load(2, |to| load_port(Side::Destination, to));
        }
        let ask =
            if add { ex::remember(set, Register::Reg1) } else { ex::lookup(SetRef::Named(set), Register::Reg1, false) };
        self.family(family).with(key.into_expressions()).with([ask])
    }

    /// `add @set { ip saddr <kept> }`: goes on only if the element's own state says so.
    pub fn per_source(self, family: Family, set: &str, kept: Kept) -> Self {
        self.family(family)
            .with([load_address(family, Side::Source, Register::Reg1), ex::remember_with(set, Register::Reg1, kept)])
    }

    /// `add @set { <owner of ip saddr in @addresses> <kept> }`: the same by the owner of an address; of an address without
    /// one the rule ends.
    pub fn per_owner(self, family: Family, addresses: &str, set: &str, kept: Kept) -> Self {
        // The map gives mark and owner; a register of 16 bytes is four of 4.
        const OWNER: Register = Register::Reg32_05;
        self.family(family).with([
            load_address(family, Side::Source, Register::Reg1),
            ex::map(addresses, Register::Reg1, Register::Reg2),
            ex::remember_with(set, OWNER, kept),
        ])
    }

    /// `add @set { ct original ip saddr <kept> }` (or `daddr`): the same by an end of the flow.
    pub fn per_original(self, family: Family, side: Side, set: &str, kept: Kept) -> Self {
        let load = ex::ct_original(original_address(family, side), Register::Reg1);
        self.with([load, ex::remember_with(set, Register::Reg1, kept)])
    }
}
