//! What rules ask of a TCP header's flags.

use netlink_packet_netfilter::nftables::{Operator, Register};

use super::Rule;
use crate::nft::expression::{self as ex, Base};
use crate::nft::family::TCP;

/// Bytes from the TCP header's beginning to its flags (RFC 9293, 3.1).
const FLAGS: u32 = 13;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl Rule {
    /// `tcp flags & (fin | syn | rst | ack) == syn`: the first packet of a connection.
    pub(crate) fn begins(self) -> Self {
        self.tcp_flags(FIN | SYN | RST | ACK, SYN)
    }

    /// `tcp flags & rst == rst`.
    pub(crate) fn resets(self) -> Self {
        self.tcp_flags(RST, RST)
    }

    /// `tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu`.
    pub fn clamp_segment_size(self) -> Self {
        self.tcp_flags(SYN | RST, SYN).with([
            ex::route_mss(Register::Reg1),
            ex::hton16(Register::Reg1),
            ex::write_mss(Register::Reg1),
        ])
    }

    fn tcp_flags(self, mask: u8, set: u8) -> Self {
        self.l4proto(TCP).with([
            ex::payload(Base::Transport, FLAGS, 1, Register::Reg1),
            ex::mask(Register::Reg1, &[mask]),
            ex::cmp(Register::Reg1, Operator::Equal, &[set]),
        ])
    }
}
