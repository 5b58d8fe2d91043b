//! Rules as sentences: a chain, conditions from left to right, an ending. What `nft` would print is what it reads like.
//!
//! A [`Rule`] only collects expressions; [`Rule::messages`] turns it into what the kernel takes, with the anonymous
//! sets that `{ a, b }` stands for.

mod tcp;

use netlink_packet_netfilter::nftables::{MetaKey, Operator, Register, SetFlags};

use ipnet::IpNet;
use ringwall_protocol::rules::Direction;

use super::expression::{self as ex, Base, CtKey, Ending, Expr, Kept, SetRef};
use super::family::{Family, FlowDirection, LOGGED_BYTES, Side, UDP, log_prefix, original_address};
use super::objects::{ANONYMOUS, Element, Field, Message, SetSpec, Table};

/// The registers of a concatenated key, filled from the first on; every field takes whole 4-byte registers.
struct Key(Vec<Expr>, u32);

impl Key {
    const FIRST: u32 = 8; // NFT_REG32_00; what is loaded there is found under NFT_REG_1 too

    const fn new() -> Self {
        Self(vec![], Self::FIRST)
    }

    fn load(mut self, bytes: u32, load: impl FnOnce(Register) -> Expr) -> Self {
        self.0.push(load(Register::from(self.1)));
        self.1 += bytes.div_ceil(4);
        self
    }
}

/// A rule under construction.
#[derive(Debug)]
pub struct Rule {
    chain: String,
    expressions: Vec<Part>,
    comment: Option<&'static str>,
}

#[derive(Debug)]
enum Part {
    Ready(Expr),
    /// A look-up in a set that is made for this rule alone.
    OneOf {
        field: Field,
        values: Vec<Vec<u8>>,
        inverted: bool,
    },
}

impl Rule {
    /// A rule at the end of this chain; without conditions yet.
    pub fn in_chain(chain: impl Into<String>) -> Self {
        Self { chain: chain.into(), expressions: vec![], comment: None }
    }

    fn with(mut self, expressions: impl IntoIterator<Item = Expr>) -> Self {
        self.expressions.extend(expressions.into_iter().map(Part::Ready));
        self
    }

    /// `iifname "…"`.
    pub fn iifname(self, name: &str) -> Self {
        self.with([ex::meta(MetaKey::Iifname, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &device(name))])
    }

    /// `oifname "…"`.
    pub fn oifname(self, name: &str) -> Self {
        self.with([ex::meta(MetaKey::Oifname, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &device(name))])
    }

    /// `oifname != "…"`.
    pub fn oifname_not(self, name: &str) -> Self {
        self.with([
            ex::meta(MetaKey::Oifname, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::NotEqual, &device(name)),
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

    /// `meta nfproto …`.
    pub fn family(self, family: Family) -> Self {
        self.with([
            ex::meta(MetaKey::Nfproto, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[family.number()]),
        ])
    }

    /// `meta l4proto …`.
    pub fn l4proto(self, protocol: u8) -> Self {
        self.with([ex::meta(MetaKey::L4Proto, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &[protocol])])
    }

    /// `meta l4proto { … }` or `meta l4proto != { … }`.
    pub fn l4proto_in(self, protocols: &[u8], inside: bool) -> Self {
        let values = protocols.iter().map(|protocol| vec![*protocol]).collect();
        self.with([ex::meta(MetaKey::L4Proto, Register::Reg1)]).one_of(Field::Protocol, values, !inside)
    }

    /// `ct state != { … }`: every state that is not exactly one of these.
    pub fn ct_state_none_of(self, states: &[u32]) -> Self {
        let values = states.iter().map(|state| state.to_ne_bytes().to_vec()).collect();
        self.with([ex::ct(CtKey::State, Register::Reg1)]).one_of(Field::CtState, values, true)
    }

    /// `ct state a,b`: one of the bits.
    pub fn ct_state(self, bits: u32) -> Self {
        self.with([
            ex::ct(CtKey::State, Register::Reg1),
            ex::mask(Register::Reg1, &bits.to_ne_bytes()),
            ex::cmp(Register::Reg1, Operator::NotEqual, &[0; 4]),
        ])
    }

    /// `ct status a,b`: one of the bits.
    pub fn ct_status(self, bits: u32) -> Self {
        self.with([
            ex::ct(CtKey::Status, Register::Reg1),
            ex::mask(Register::Reg1, &bits.to_ne_bytes()),
            ex::cmp(Register::Reg1, Operator::NotEqual, &[0; 4]),
        ])
    }

    /// `ct direction …`.
    pub fn ct_direction(self, direction: FlowDirection) -> Self {
        self.with([
            ex::ct(CtKey::Direction, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[direction as u8]),
        ])
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

    /// `ip saddr a.b.c.d/n` of the network's family.
    pub fn source_within(self, network: IpNet) -> Self {
        let (family, first, mask) = match network {
            IpNet::V4(net) => (Family::V4, net.network().octets().to_vec(), net.netmask().octets().to_vec()),
            IpNet::V6(net) => (Family::V6, net.network().octets().to_vec(), net.netmask().octets().to_vec()),
        };
        self.family(family).with([
            load_address(family, Side::Source, Register::Reg1),
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
    pub fn icmp_type_and_code(self, family: Family, kind: u8, code: u8) -> Self {
        self.family(family).l4proto(family.icmp()).with([
            ex::payload(Base::Transport, 0, 2, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &[kind, code]),
        ])
    }

    /// `tcp dport p`, `udp sport p` and so on.
    pub fn port(self, protocol: u8, side: Side, port: u16) -> Self {
        let offset = if side == Side::Source { 0 } else { 2 };
        self.l4proto(protocol).with([
            ex::payload(Base::Transport, offset, 2, Register::Reg1),
            ex::cmp(Register::Reg1, Operator::Equal, &port.to_be_bytes()),
        ])
    }

    /// A UDP datagram to `port` of exactly `length` bytes, header included, whose first byte is at least `first`.
    pub fn datagram(self, port: u16, length: u16, first: u8) -> Self {
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
        let offset = if port == Side::Source { 0 } else { 2 };
        let key = Key::new()
            .load(family.address().bytes(), |to| load_address(family, Side::Source, to))
            .load(2, |to| ex::payload(Base::Transport, offset, 2, to));
        self.family(family).with(key.0).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `ip saddr . ip daddr . meta l4proto [. th dport] @set`, or `add @set { … }`.
    pub fn denied_flow(self, family: Family, with_port: bool, set: &str, add: bool) -> Self {
        let bytes = family.address().bytes();
        let mut key = Key::new()
            .load(bytes, |to| load_address(family, Side::Source, to))
            .load(bytes, |to| load_address(family, Side::Destination, to))
            .load(1, |to| ex::meta(MetaKey::L4Proto, to));
        if with_port {
            key = key.load(2, |to| ex::payload(Base::Transport, 2, 2, to));
        }
        let ask =
            if add { ex::remember(set, Register::Reg1) } else { ex::lookup(SetRef::Named(set), Register::Reg1, false) };
        self.family(family).with(key.0).with([ask])
    }

    /// `add @set { ip saddr <kept> }`: goes on only if the element's own state says so.
    pub fn per_source(self, family: Family, set: &str, kept: Kept) -> Self {
        self.family(family)
            .with([load_address(family, Side::Source, Register::Reg1), ex::remember_with(set, Register::Reg1, kept)])
    }

    /// `add @set { ct original ip saddr <kept> }` (or `daddr`): the same by an end of the flow.
    pub fn per_original(self, family: Family, side: Side, set: &str, kept: Kept) -> Self {
        let load = ex::ct_original(original_address(family, side), Register::Reg1);
        self.with([load, ex::remember_with(set, Register::Reg1, kept)])
    }

    /// `ct original ip daddr . ct protocol . ct original proto-dst @set` (or `saddr`): the flow as it began.
    pub fn original_tuple_in(self, family: Family, side: Side, set: &str) -> Self {
        let key = Key::new()
            .load(family.address().bytes(), |to| ex::ct_original(original_address(family, side), to))
            .load(1, |to| ex::ct(CtKey::Protocol, to))
            .load(2, |to| ex::ct_original(CtKey::DestinationPort, to));
        self.family(family).with(key.0).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `<number> . ct original ip daddr @set` (or `saddr`): what the name with this number stands for; with `client`
    /// that end of the flow stands between the two.
    pub fn original_name_in(
        self,
        family: Family,
        number: u32,
        (client, remote): (Option<Side>, Side),
        set: &str,
    ) -> Self {
        let bytes = family.address().bytes();
        let mut key = Key::new().load(4, |to| ex::immediate(to, &number.to_ne_bytes()));
        for side in client.into_iter().chain([remote]) {
            key = key.load(bytes, |to| ex::ct_original(original_address(family, side), to));
        }
        self.family(family).with(key.0).with([ex::lookup(SetRef::Named(set), Register::Reg1, false)])
    }

    /// `ct protocol … ct original proto-dst …-…`.
    pub fn original_service(self, protocol: u8, first: u16, last: u16) -> Self {
        let mut rule =
            self.with([ex::ct(CtKey::Protocol, Register::Reg1), ex::cmp(Register::Reg1, Operator::Equal, &[protocol])]);
        if (first, last) == (0, u16::MAX) {
            return rule;
        }
        rule = rule.with([ex::ct_original(CtKey::DestinationPort, Register::Reg1)]);
        let compare = |operator, port: u16| ex::cmp(Register::Reg1, operator, &port.to_be_bytes());
        if first == last {
            rule.with([compare(Operator::Equal, first)])
        } else {
            rule.with([compare(Operator::GreatherThanEqual, first), compare(Operator::LessThanEqual, last)])
        }
    }

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

    /// A note that `nft list` shows.
    pub const fn comment(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }

    fn one_of(mut self, field: Field, values: Vec<Vec<u8>>, inverted: bool) -> Self {
        self.expressions.push(Part::OneOf { field, values, inverted });
        self
    }

    /// The messages of this rule; `next_id` numbers the batch's anonymous sets.
    pub fn messages(self, table: &Table, next_id: &mut u32) -> Vec<Message> {
        let mut messages = vec![];
        let mut expressions = vec![];
        for part in self.expressions {
            match part {
                Part::Ready(expression) => expressions.push(expression),
                Part::OneOf { field, values, inverted } => {
                    *next_id += 1;
                    let key = [field];
                    let size = u32::try_from(values.len()).expect("a rule lists a few values");
                    let mut spec = SetSpec::new(ANONYMOUS, &key).flags(SetFlags::Anonymous | SetFlags::Constant);
                    spec = spec.size(size);
                    spec.id = *next_id;
                    messages.push(table.set(&spec));
                    messages.push(table.add_anonymous(*next_id, values.into_iter().map(Element::key).collect()));
                    expressions.push(ex::lookup(SetRef::Anonymous(*next_id), Register::Reg1, inverted));
                }
            }
        }
        messages.push(table.rule(&self.chain, expressions, self.comment));
        messages
    }
}

fn load_address(family: Family, side: Side, to: Register) -> Expr {
    let offset = match (family, side) {
        (Family::V4, Side::Source) => 12,
        (Family::V4, Side::Destination) => 16,
        (Family::V6, Side::Source) => 8,
        (Family::V6, Side::Destination) => 24,
    };
    ex::payload(Base::Network, offset, family.address().bytes(), to)
}

/// An interface name as the kernel compares it: 16 bytes, filled with zeros.
fn device(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}
