//! What happens to a packet that a rule matches: marks, translation, logs, verdicts.

use netlink_packet_netfilter::nftables::{MetaKey, Operator, Register};
use ringwall_protocol::rules::Direction;

use super::Rule;
use super::key::load_address;
use crate::nft::expression::{self as ex, Ending};
use crate::nft::family::{Family, LOGGED_BYTES, Side, log_prefix};

impl Rule {
    /// `meta mark set ip saddr map @addresses meta mark vmap @chains`: one rule, so that a miss ends it (T9).
    pub fn mark_and_jump(self, family: Family, side: Side, addresses: &str, chains: &str) -> Self {
        self.family(family).with([
            load_address(family, side, Register::Reg1),
            ex::map(addresses, Register::Reg1, Register::Reg1),
            ex::meta_set(MetaKey::Mark, Register::Reg1),
            ex::meta(MetaKey::Mark, Register::Reg1),
            ex::map(chains, Register::Reg1, Register::Verdict),
        ])
    }

    /// `meta mark set 0`.
    pub fn clear_mark(self) -> Self {
        self.with([ex::immediate(Register::Reg1, &[0; 4]), ex::meta_set(MetaKey::Mark, Register::Reg1)])
    }

    /// `fib daddr type local`.
    pub fn for_this_host(self) -> Self {
        const RTN_LOCAL: u32 = 2;
        self.with([
            ex::fib_destination_type(Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &RTN_LOCAL.to_ne_bytes()),
        ])
    }

    /// `notrack`.
    pub fn notrack(self) -> Self {
        self.with([ex::notrack()])
    }

    /// `snat to …`.
    pub fn snat(self, family: Family, address: &[u8]) -> Self {
        self.with([ex::immediate(Register::Reg1, address), ex::snat(family.number(), Register::Reg1)])
    }

    /// `snat to …:first-last`; of a protocol with ports.
    pub fn snat_to_ports(self, family: Family, address: &[u8], (first, last): (u16, u16)) -> Self {
        const PORTS: (Register, Register) = (Register::Reg2, Register::Reg3);
        self.with([
            ex::immediate(Register::Reg1, address),
            ex::immediate(PORTS.0, &first.to_be_bytes()),
            ex::immediate(PORTS.1, &last.to_be_bytes()),
            ex::snat_to_ports(family.number(), Register::Reg1, PORTS),
        ])
    }

    /// `log prefix "up" group …`: the word says who began the flow.
    pub fn log(self, direction: Direction, group: u16) -> Self {
        self.with([ex::log(log_prefix(direction), group, LOGGED_BYTES)])
    }

    /// `counter`.
    pub fn counter(self) -> Self {
        self.with([ex::counter()])
    }

    /// `drop`.
    pub fn drop(self) -> Self {
        self.with([ex::ending(Ending::Drop)])
    }

    /// `accept`.
    pub fn accept(self) -> Self {
        self.with([ex::ending(Ending::Accept)])
    }

    /// Back to the calling chain; in a base chain: its policy.
    pub fn leave(self) -> Self {
        self.with([ex::ending(Ending::Return)])
    }

    /// `goto …`.
    pub fn goto(self, chain: &str) -> Self {
        self.with([ex::ending(Ending::Goto(chain))])
    }
}
