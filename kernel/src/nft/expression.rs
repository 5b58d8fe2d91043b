//! The expressions that rules are made of, one function each, named as `nft --debug=netlink` prints them.
//!
//! Half of them are typed by `netlink-packet-netfilter`; the rest (`ct`, `counter`, `log`, `limit`, `dynset`, …) are
//! written here from the attribute numbers of `linux/netfilter/nf_tables.h`. Integers of nf_tables are big-endian;
//! marks and interface indexes stand in host order. Which expressions make a rule is [`super::rule`]'s business.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta, MetaKey,
    Operator, Payload, Register, Verdict, VerdictAttribute,
};

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expr(pub(crate) ListAttribute<ExpressionAttribute>);

/// Where in the packet a payload load begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Base {
    /// The IP header.
    Network = 1,
    /// The transport header.
    Transport = 2,
}

/// What a `ct` expression loads (`enum nft_ct_keys`).
#[derive(Debug, Clone, Copy)]
pub(crate) enum CtKey {
    State = 0,
    Direction = 1,
    Status = 2,
    Protocol = 10,
    DestinationPort = 12,
    SourceIp4 = 19,
    DestinationIp4 = 20,
    SourceIp6 = 21,
    DestinationIp6 = 22,
}

/// What the kernel does with a packet at the end of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// Gone, without a word.
    Drop,
    /// Passes this hook's chain.
    Accept,
    /// Back to the calling chain.
    Return,
    /// On in another chain, not back.
    Goto(&'a str),
    /// Through another chain and back.
    Jump(&'a str),
}

impl Ending<'_> {
    /// As the data of a verdict register or of a verdict map's element.
    pub fn data(self) -> DataAttribute {
        const NF_DROP: u32 = 0;
        const NF_ACCEPT: u32 = 1;
        let (code, chain) = match self {
            Self::Drop => (Verdict::Other(NF_DROP), None),
            Self::Accept => (Verdict::Other(NF_ACCEPT), None),
            Self::Return => (Verdict::Return, None),
            Self::Goto(chain) => (Verdict::Goto, Some(chain)),
            Self::Jump(chain) => (Verdict::Jump, Some(chain)),
        };
        let mut attributes = vec![VerdictAttribute::Code(code)];
        attributes.extend(chain.map(|name| VerdictAttribute::Chain(name.to_owned())));
        DataAttribute::Verdict(attributes)
    }
}

pub(crate) fn meta(key: MetaKey, to: Register) -> Expr {
    Expr(Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(to)]).into())
}

pub(crate) fn meta_set(key: MetaKey, from: Register) -> Expr {
    Expr(Expressions::Meta(vec![Meta::Key(key), Meta::SourceRegister(from)]).into())
}

pub(crate) fn payload(base: Base, offset: u32, length: u32, to: Register) -> Expr {
    Expr(
        Expressions::Payload(vec![
            Payload::DestinationRegister(to),
            Payload::Base(base as u32),
            Payload::Offset(offset),
            Payload::Len(length),
        ])
        .into(),
    )
}

pub(crate) fn cmp(register: Register, operator: Operator, value: &[u8]) -> Expr {
    Expr(
        Expressions::Cmp(vec![
            Cmp::SourceRegister(register),
            Cmp::Op(operator),
            Cmp::Data(DataAttribute::Value(value.to_vec())),
        ])
        .into(),
    )
}

/// `register = register & mask`.
pub(crate) fn mask(register: Register, mask: &[u8]) -> Expr {
    let length = u32::try_from(mask.len()).expect("a mask is at most 16 bytes");
    Expr(
        Expressions::Bitwise(vec![
            Bitwise::SourceRegister(register),
            Bitwise::DestinationRegister(register),
            Bitwise::Length(length),
            Bitwise::Mask(DataAttribute::Value(mask.to_vec())),
            Bitwise::Xor(DataAttribute::Value(vec![0; mask.len()])),
        ])
        .into(),
    )
}

/// Which set a look-up asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SetRef<'a> {
    Named(&'a str),
    /// A set made in the same batch, without a name of its own.
    Anonymous(u32),
}

/// Ends the rule unless the register's value is in the set (`inverted`: unless it is not).
pub(crate) fn lookup(set: SetRef<'_>, key: Register, inverted: bool) -> Expr {
    let mut attributes = look_in(set, key);
    if inverted {
        const NFT_LOOKUP_F_INV: u32 = 1;
        attributes.push(Lookup::Flags(NFT_LOOKUP_F_INV));
    }
    Expr(Expressions::Lookup(attributes).into())
}

/// Loads what a map says about the register's value; ends the rule if it says nothing.
pub(crate) fn map(set: &str, key: Register, to: Register) -> Expr {
    let mut attributes = look_in(SetRef::Named(set), key);
    attributes.push(Lookup::DestinationRegister(to));
    Expr(Expressions::Lookup(attributes).into())
}

fn look_in(set: SetRef<'_>, key: Register) -> Vec<Lookup> {
    let mut attributes = match set {
        SetRef::Named(name) => vec![Lookup::Set(name.to_owned())],
        SetRef::Anonymous(id) => vec![Lookup::Set(super::objects::ANONYMOUS.to_owned()), Lookup::SetId(id)],
    };
    attributes.push(Lookup::SourceRegister(key));
    attributes
}

pub(crate) fn immediate(to: Register, value: &[u8]) -> Expr {
    Expr(
        Expressions::Immediate(vec![
            Immediate::DestinationRegister(to),
            Immediate::Data(DataAttribute::Value(value.to_vec())),
        ])
        .into(),
    )
}

pub(crate) fn ending(ending: Ending<'_>) -> Expr {
    Expr(
        Expressions::Immediate(vec![Immediate::DestinationRegister(Register::Verdict), Immediate::Data(ending.data())])
            .into(),
    )
}

/// A key that has no direction (`state`, `direction`, `protocol`).
pub(crate) fn ct(key: CtKey, to: Register) -> Expr {
    other("ct", vec![u32be(1, to.into()), u32be(2, key as u32)])
}

/// A part of the flow's *original* tuple, whichever way the packet goes.
pub(crate) fn ct_original(key: CtKey, to: Register) -> Expr {
    const IP_CT_DIR_ORIGINAL: u8 = 0;
    other("ct", vec![u32be(1, to.into()), u32be(2, key as u32), DefaultNla::new(3, vec![IP_CT_DIR_ORIGINAL])])
}

pub(crate) fn counter() -> Expr {
    other("counter", vec![u64be(1, 0), u64be(2, 0)])
}

/// Copies the first `snaplen` bytes of the packet, behind a word of ours, to an NFLOG group.
pub(crate) fn log(prefix: &str, group: u16, snaplen: u32) -> Expr {
    other("log", vec![u16be(1, group), text(2, prefix), u32be(3, snaplen)])
}

/// Where an address comes from: `local` for addresses of this host.
pub(crate) fn fib_destination_type(to: Register) -> Expr {
    const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
    const NFTA_FIB_F_DADDR: u32 = 2;
    other("fib", vec![u32be(1, to.into()), u32be(2, NFT_FIB_RESULT_ADDRTYPE), u32be(3, NFTA_FIB_F_DADDR)])
}

pub(crate) fn notrack() -> Expr {
    other("notrack", vec![])
}

/// Loads 1 if the packet has this IPv6 extension header, else 0.
pub(crate) fn extension_header_present(header: u8, to: Register) -> Expr {
    const NFT_EXTHDR_F_PRESENT: u32 = 1;
    const NFT_EXTHDR_OP_IPV6: u32 = 0;
    let attributes = vec![
        u32be(1, to.into()),
        DefaultNla::new(2, vec![header]),
        u32be(3, 0),
        u32be(4, 1),
        u32be(5, NFT_EXTHDR_F_PRESENT),
        u32be(6, NFT_EXTHDR_OP_IPV6),
    ];
    other("exthdr", attributes)
}

/// Writes the TCP maximum segment size option from a register (2 bytes, network order).
pub(crate) fn write_mss(from: Register) -> Expr {
    const TCPOPT_MAXSEG: u8 = 2;
    const NFT_EXTHDR_OP_TCPOPT: u32 = 1;
    let attributes = vec![
        u32be(7, from.into()),
        DefaultNla::new(2, vec![TCPOPT_MAXSEG]),
        u32be(3, 2),
        u32be(4, 2),
        u32be(6, NFT_EXTHDR_OP_TCPOPT),
    ];
    other("exthdr", attributes)
}

/// The segment size that the route's MTU allows, in host order.
pub(crate) fn route_mss(to: Register) -> Expr {
    const NFT_RT_TCPMSS: u32 = 3;
    other("rt", vec![u32be(1, to.into()), u32be(2, NFT_RT_TCPMSS)])
}

/// Two bytes from host to network order.
pub(crate) fn hton16(register: Register) -> Expr {
    const NFT_BYTEORDER_HTON: u32 = 1;
    let attributes = vec![
        u32be(1, register.into()),
        u32be(2, register.into()),
        u32be(3, NFT_BYTEORDER_HTON),
        u32be(4, 2),
        u32be(5, 2),
    ];
    other("byteorder", attributes)
}

/// Source address translation to the address in a register; `family` is `AF_INET` or `AF_INET6`.
pub(crate) fn snat(family: u8, address: Register) -> Expr {
    other("nat", source_nat(family, address))
}

/// The same with a source port between those in two registers, both included (2 bytes each, network order).
pub(crate) fn snat_to_ports(family: u8, address: Register, (first, last): (Register, Register)) -> Expr {
    let mut attributes = source_nat(family, address);
    attributes.extend([u32be(5, first.into()), u32be(6, last.into())]);
    other("nat", attributes)
}

fn source_nat(family: u8, address: Register) -> Vec<DefaultNla> {
    const NFT_NAT_SNAT: u32 = 0;
    vec![u32be(1, NFT_NAT_SNAT), u32be(2, u32::from(family)), u32be(3, address.into())]
}

/// Adds the register's value to a dynamic set.
pub(crate) fn remember(set: &str, key: Register) -> Expr {
    other("dynset", dynset(set, key, SetChange::Add))
}

/// Adds the register's value to a dynamic set, or begins its timeout anew; ends the rule if the set is full.
pub(crate) fn refresh(set: &str, key: Register) -> Expr {
    other("dynset", dynset(set, key, SetChange::Update))
}

/// Takes the register's value out of a dynamic set.
pub(crate) fn forget(set: &str, key: Register) -> Expr {
    other("dynset", dynset(set, key, SetChange::Delete))
}

/// Adds the register's value to a dynamic set and asks the expression kept beside it; ends the rule if that says no.
pub(crate) fn remember_with(set: &str, key: Register, expression: Kept) -> Expr {
    let mut attributes = dynset(set, key, SetChange::Add);
    attributes.push(nest(7, &expression.0));
    other("dynset", attributes)
}

/// What a packet does to a dynamic set (`enum nft_dynset_ops`).
#[derive(Debug, Clone, Copy)]
enum SetChange {
    Add = 0,
    Update = 1,
    Delete = 2,
}

fn dynset(set: &str, key: Register, change: SetChange) -> Vec<DefaultNla> {
    vec![text(1, set), u32be(3, change as u32), u32be(4, key.into())]
}

/// An expression with a state of its own for every element of a dynamic set.
pub struct Kept(Vec<DefaultNla>);

impl Kept {
    /// Says yes for connections above `count`.
    pub fn connections_over(count: u32) -> Self {
        const NFT_CONNLIMIT_F_INV: u32 = 1;
        Self(vec![text(1, "connlimit"), nest(2, &[u32be(1, count), u32be(2, NFT_CONNLIMIT_F_INV)])])
    }

    /// Says yes for packets above the rate.
    pub fn over(per_second: u64, burst: u32) -> Self {
        Self::limit(per_second, burst, 1)
    }

    /// Says yes for packets within the rate.
    pub fn within(per_second: u64, burst: u32) -> Self {
        Self::limit(per_second, burst, 0)
    }

    fn limit(per_second: u64, burst: u32, flags: u32) -> Self {
        const SECOND: u64 = 1;
        const NFT_LIMIT_PKTS: u32 = 0;
        let limit =
            [u64be(1, per_second), u64be(2, SECOND), u32be(3, burst), u32be(4, NFT_LIMIT_PKTS), u32be(5, flags)];
        Self(vec![text(1, "limit"), nest(2, &limit)])
    }
}

fn other(name: &str, attributes: Vec<DefaultNla>) -> Expr {
    Expr(Expressions::Other { expression_type: name.to_owned(), attributes }.into())
}

pub(crate) fn u16be(kind: u16, value: u16) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

pub(crate) fn u32be(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

pub(crate) fn u64be(kind: u16, value: u64) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

pub(crate) fn text(kind: u16, value: &str) -> DefaultNla {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    DefaultNla::new(kind, bytes)
}

/// An attribute that holds others.
pub fn nest(kind: u16, inner: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; inner.buffer_len()];
    inner.emit(&mut bytes);
    DefaultNla::new(kind | NLA_F_NESTED, bytes)
}
