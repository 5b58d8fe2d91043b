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
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Rule {
    /// `tcp flags & (fin | syn | rst | ack) != syn`: anything but the first packet of a connection.
    pub(crate) fn goes_on(self) -> Self {
        self.tcp_flags_with(FIN | SYN | RST | ACK, Operator::NotEqual, SYN)
    }

    /// `tcp flags & (rst | psh) == psh`: the end of what a program wrote. Linux sets it on the last segment of every
    /// write, and never on a segment without payload.
    pub(crate) fn pushes(self) -> Self {
        self.tcp_flags(RST | PSH, PSH)
    }

    /// `tcp flags & (fin | rst) == 0`.
    pub(crate) fn ends_nothing(self) -> Self {
        self.tcp_flags(FIN | RST, 0)
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
        self.tcp_flags_with(mask, Operator::Equal, set)
    }

    fn tcp_flags_with(self, mask: u8, operator: Operator, set: u8) -> Self {
        self.l4proto(TCP).with([
            ex::payload(Base::Transport, FLAGS, 1, Register::Reg1),
            ex::mask(Register::Reg1, &[mask]),
            ex::cmp(Register::Reg1, operator, &[set]),
        ])
    }
}
