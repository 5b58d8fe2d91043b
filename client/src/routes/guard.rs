//! Nobody but the tunnel reaches the tunnel's address: Linux answers on every interface for every address of the
//! machine, which lets a LAN neighbour find out who has a tunnel and probe the flows in it (C11, CVE-2019-14899).
//!
//! A table of our own drops what comes for a tunnel address by another interface. It belongs to our socket, so that the
//! kernel removes it when this process ends, however it ends.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, ExpressionAttribute, Expressions, Hook, Immediate,
    InetHookNumber, ListAttribute, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register, RuleAttribute,
    RuleMessage, TableAttribute, TableFlags, TableMessage, Verdict, VerdictAttribute,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

/// Name of table and chain.
const NAME: &str = "ringwall_client";
/// Before connection tracking, so that a probe leaves nothing behind.
const PRIORITY: i32 = -300;
/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// Every network namespace's loopback interface.
const LOOPBACK: u32 = 1;
/// Where addresses stand in the IP headers: offset, `NFPROTO_*`.
const DESTINATION_V4: (u32, u8) = (16, 2);
const DESTINATION_V6: (u32, u8) = (24, 10);

type Expression = ListAttribute<ExpressionAttribute>;

/// The table, as long as this lives.
pub(super) struct Guard(#[expect(dead_code, reason = "the kernel removes the table with its socket")] Socket);

impl Guard {
    /// Drops from now on what comes for these addresses by other interfaces than the device and the loopback.
    pub(super) fn raise(device_index: u32, addresses: &[IpAddr]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        let mut batch = Batch::begin();
        batch.add(NLM_F_CREATE, NfTablesMessage::NewTable(table()));
        batch.add(NLM_F_CREATE, NfTablesMessage::NewChain(chain()));
        for address in addresses {
            batch.add(NLM_F_CREATE | NLM_F_APPEND, NfTablesMessage::NewRule(rule(device_index, *address)));
        }
        let bytes = batch.end();
        let sent = socket.send(&bytes, 0)?;
        if sent != bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        check(&socket)?;
        Ok(Self(socket))
    }
}

/// Messages of one transaction.
struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    fn begin() -> Self {
        let mut batch = Self { bytes: vec![], sequence: 0 };
        batch.append(NLM_F_REQUEST, NetfilterProtoFamily::Unspec, NFTABLES, ControlMessage::BatchBegin.into());
        batch
    }

    fn add(&mut self, flags: u16, message: NfTablesMessage) {
        self.append(NLM_F_REQUEST | flags, NetfilterProtoFamily::Inet, 0, message.into());
    }

    fn end(mut self) -> Vec<u8> {
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        self.append(flags, NetfilterProtoFamily::Unspec, NFTABLES, ControlMessage::BatchEnd.into());
        self.bytes
    }

    fn append(&mut self, flags: u16, family: NetfilterProtoFamily, resource: u16, inner: NetfilterMessageInner) {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        self.sequence += 1;
        let payload = NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
        message.finalize();
        let at = self.bytes.len();
        self.bytes.resize(at + message.buffer_len(), 0);
        message.serialize(&mut self.bytes[at..]);
    }
}

fn table() -> TableMessage {
    TableMessage { attributes: vec![TableAttribute::Name(NAME.to_owned()), TableAttribute::Flags(TableFlags::Owner)] }
}

fn chain() -> ChainMessage {
    const ACCEPT: u32 = 1;
    let hook = Hook::Number(InetHookNumber::PreRouting.into());
    ChainMessage {
        attributes: vec![
            ChainAttribute::Table(NAME.to_owned()),
            ChainAttribute::Name(NAME.to_owned()),
            ChainAttribute::Hook(vec![hook, Hook::Priority(PRIORITY.cast_unsigned())]),
            ChainAttribute::Policy(ACCEPT),
            ChainAttribute::Type("filter".to_owned()),
        ],
    }
}

/// `iif != { lo, <device> } ip daddr <address> drop`
fn rule(device_index: u32, address: IpAddr) -> RuleMessage {
    let ((offset, protocol), octets) = match address {
        IpAddr::V4(v4) => (DESTINATION_V4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (DESTINATION_V6, v6.octets().to_vec()),
    };
    let length = u32::try_from(octets.len()).expect("an address has 4 or 16 bytes");
    let expressions = vec![
        meta(MetaKey::Nfproto),
        compare(Operator::Equal, vec![protocol]),
        meta(MetaKey::Iif),
        compare(Operator::NotEqual, LOOPBACK.to_ne_bytes().to_vec()),
        compare(Operator::NotEqual, device_index.to_ne_bytes().to_vec()),
        destination(offset, length),
        compare(Operator::Equal, octets),
        drop_it(),
    ];
    RuleMessage {
        attributes: vec![
            RuleAttribute::Table(NAME.to_owned()),
            RuleAttribute::Chain(NAME.to_owned()),
            RuleAttribute::Expressions(expressions),
        ],
    }
}

fn meta(key: MetaKey) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)]).into()
}

fn destination(offset: u32, length: u32) -> Expression {
    const NETWORK_HEADER: u32 = 1;
    Expressions::Payload(vec![
        Payload::DestinationRegister(Register::Reg1),
        Payload::Base(NETWORK_HEADER),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
    .into()
}

fn compare(operator: Operator, value: Vec<u8>) -> Expression {
    let data = Cmp::Data(DataAttribute::Value(value));
    Expressions::Cmp(vec![Cmp::SourceRegister(Register::Reg1), Cmp::Op(operator), data]).into()
}

fn drop_it() -> Expression {
    const NF_DROP: u32 = 0;
    let verdict = DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(NF_DROP))]);
    Expressions::Immediate(vec![Immediate::DestinationRegister(Register::Verdict), Immediate::Data(verdict)]).into()
}

/// The kernel has answered before `send` returns: every message that it refused, or one acknowledgement.
fn check(socket: &Socket) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = match socket.recv(&mut &mut buffer[..], 0) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nf_tables did not answer"));
            }
            Err(error) => return Err(error),
        };
        let message = NetlinkMessage::<NetfilterMessage>::deserialize(&buffer[..length]).map_err(io::Error::other)?;
        if let NetlinkPayload::Error(error) = message.payload {
            return match error.code {
                None => Ok(()),
                Some(_) => Err(error.to_io()),
            };
        }
    }
}
