//! Keys of look-ups: addresses and concatenations, loaded into registers.

use netlink_packet_netfilter::nftables::Register;

use crate::nft::expression::{self as ex, Base, Expr};
use crate::nft::family::{Family, Side};

/// The registers of a concatenated key, filled from the first on; every field takes whole 4-byte registers.
pub(super) struct Key(Vec<Expr>, u32);

impl Key {
    const FIRST: u32 = 8; // NFT_REG32_00; what is loaded there is found under NFT_REG_1 too

    pub(super) const fn new() -> Self {
        Self(vec![], Self::FIRST)
    }

    pub(super) fn load(mut self, bytes: u32, load: impl FnOnce(Register) -> Expr) -> Self {
        self.0.push(load(Register::from(self.1)));
        self.1 += bytes.div_ceil(4);
        self
    }

    /// The expressions that fill the registers.
    pub(super) fn into_expressions(self) -> Vec<Expr> {
        self.0
    }
}

/// Loads an address of the packet.
pub(super) fn load_address(family: Family, side: Side, to: Register) -> Expr {
    let offset = match (family, side) {
        (Family::V4, Side::Source) => 12,
        (Family::V4, Side::Destination) => 16,
        (Family::V6, Side::Source) => 8,
        (Family::V6, Side::Destination) => 24,
    };
    ex::payload(Base::Network, offset, family.address().bytes(), to)
}

/// Loads a port of a packet whose transport protocol has ports.
pub(super) fn load_port(side: Side, to: Register) -> Expr {
    let offset = if side == Side::Source { 0 } else { 2 };
    ex::payload(Base::Transport, offset, 2, to)
}
