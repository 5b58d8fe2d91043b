//! What rules ask of a packet's headers: family, protocol, addresses, ports, ICMP types.

use ipnet::IpNet;
use netlink_packet_netfilter::nftables::{MetaKey, Operator, Register};

use super::Rule;
use super::key::{Key, load_address, load_port};
use crate::nft::expression::{self as ex, Base, SetRef};
use crate::nft::family::{Family, Side, UDP};
use crate::nft::objects::Field;

impl Rule {
    /// `meta nfproto …`.
    pub(crate) fn family(self, family: Family) -> Self {
        self.with([
            ex::meta(MetaKey::Nfproto, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[family.number()]),
        ])
    }

    /// `meta l4proto …`.
    pub(crate) fn l4proto(self, protocol: u8) -> Self {
        self.with([ex::meta(MetaKey::L4Proto, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &[protocol])])
    }

    /// `meta l4proto { … }` or `meta l4proto != { … }`.
    pub fn l4proto_in(self, protocols: &[u8], inside: bool) -> Self {
        let values = protocols.iter().map(|protocol| vec![*protocol]).collect();
        self.with([ex::meta(MetaKey::L4Proto, Register::Reg1)]).one_of(Field::Protocol, values, !inside)
    }

    /// `ip hdrlength != 5`: there are IPv4 options.
    pub fn ipv4_options(self) -> Self {
        self.family(Family::V4).with([
            ex::payload(Base::Network, 0, 1, Register::Reg1),
            ex::mask(Register::Reg1, &[0x0f]),
            ex::cmp(Register::Reg1, Operator::NotEqual, &[5]),
        ])
    }

    /// `exthdr … exists`.
    pub fn ipv6_extension(self, header: u8) -> Self {
        self.family(Family::V6).with([
            ex::extension_header_present(header, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[1]),
        ])
    }

    /// `ip saddr @set` (or `daddr`).
    pub fn address_in(self, family: Family, side: Side, set: &str) -> Self {
        self.family(family)
            .with([load_address(family, side, Register::Reg1), ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `ip saddr a.b.c.d/n` (or `daddr`) of the network's family.
    pub(crate) fn address_within(self, side: Side, network: IpNet) -> Self {
        let (family, first, mask) = match network {
            IpNet::V4(net) => (Family::V4, net.network().octets().to_vec(), net.netmask().octets().to_vec()),
            IpNet::V6(net) => (Family::V6, net.network().octets().to_vec(), net.netmask().octets().to_vec()),
        };
        self.family(family).with([
            load_address(family, side, Register::Reg1),
            ex::mask(Register::Reg1, &mask),
            ex::cmp(Register::Reg1, Operator::Equal, &first),
        ])
    }

    /// `icmp type { … }` or `!= { … }` of the family's ICMP.
    pub fn icmp_type_in(self, family: Family, types: &[u8], inside: bool) -> Self {
        let values = types.iter().map(|number| vec![*number]).collect();
        self.family(family).l4proto(family.icmp()).with([ex::payload(Base::Transport, 0, 1, Register::Reg1)]).one_of(
            family.pick(Field::IcmpType, Field::Icmpv6Type),
            values,
            !inside,
        )
    }

    /// `icmp type t icmp code c` of the family's ICMP.
    pub(crate) fn icmp_type_and_code(self, family: Family, kind: u8, code: u8) -> Self {
        self.family(family).l4proto(family.icmp()).with([
            ex::payload(Base::Transport, 0, 2, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[kind, code]),
        ])
    }

    /// `tcp dport p`, `udp sport p` and so on.
    pub fn port(self, protocol: u8, side: Side, port: u16) -> Self {
        self.l4proto(protocol)
            .with([load_port(side, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &port.to_be_bytes())])
    }

    /// A UDP datagram to `port` of exactly `length` bytes, header included, whose first byte is at least `first`.
    pub(crate) fn datagram(self, port: u16, length: u16, first: u8) -> Self {
        let [p0, p1] = port.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        self.l4proto(UDP).with([
            ex::payload(Base::Transport, 2, 4, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[p0, p1, l0, l1]),
            ex::payload(Base::Transport, 8, 1, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::GreatherThanEqual, &[first]),
        ])
    }

    /// `ip saddr . th sport @set` (or `th dport`).
    pub fn source_and_port_in(self, family: Family, port: Side, set: &str) -> Self {
        self.address_and_port_in(family, Side::Source, port, set)
    }

    /// `ip daddr . th sport @set`: the other end of what this host sends from one of its ports.
    pub(crate) fn receiver_and_own_port_in(self, family: Family, set: &str) -> Self {
        self.address_and_port_in(family, Side::Destination, Side::Source, set)
    }

    fn address_and_port_in(self, family: Family, address: Side, port: Side, set: &str) -> Self {
        let key = Key::new()
            .load(family.address().bytes(), |to| load_address(family, address, to))
            .load(2, |to| load_port(port, to));
        self.family(family).with(key.into_expressions()).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }
}
