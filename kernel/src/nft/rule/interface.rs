//! What rules ask of a packet's interfaces, and of its mark.

use netlink_packet_netfilter::nftables::{MetaKey, Operator, Register};

use super::Rule;
use crate::nft::expression::{self as ex, SetRef};

impl Rule {
    /// `iifname "…"`.
    pub fn iifname(self, name: &str) -> Self {
        self.with([ex::meta(MetaKey::Iifname, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &device(name))])
    }

    /// `oifname "…"`.
    pub fn oifname(self, name: &str) -> Self {
        self.with([ex::meta(MetaKey::Oifname, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &device(name))])
    }

    /// `oifname != "…"`.
    pub(crate) fn oifname_not(self, name: &str) -> Self {
        self.with([
            ex::meta(MetaKey::Oifname, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::NotEqual, &device(name)),
        ])
    }

    /// `meta mark …`: the whole mark.
    pub fn mark_is(self, mark: u32) -> Self {
        self.with([
            ex::meta(MetaKey::Mark, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &mark.to_ne_bytes()),
        ])
    }

    /// `iif @set` or `iif != @set`.
    pub fn iif_in(self, set: &str, held: bool) -> Self {
        self.with([ex::meta(MetaKey::Iif, Register::Reg1), ex::lookup(SetRef::Named(set), Register::Reg1, !held)])
    }

    /// `oif @set` or `oif != @set`.
    pub fn oif_in(self, set: &str, held: bool) -> Self {
        self.with([ex::meta(MetaKey::Oif, Register::Reg1), ex::lookup(SetRef::Named(set), Register::Reg1, !held)])
    }
}

/// An interface name as the kernel compares it: 16 bytes, filled with zeros.
fn device(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}
