//! Forgets the flows of addresses that lost their session, so that the next owner never sees old replies (T18).
//!
//! A thread of its own with a socket of its own: looking through connection tracking takes time, and nothing of a
//! revocation waits for it. The address stays in quarantine until the answer.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ipnet::IpNet;
use netlink_packet_core::{DefaultNla, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NlaBuffer, NlasIterator};
use netlink_packet_netfilter::conntrack::ConntrackMessage;
use netlink_packet_netfilter::{NetfilterMessageInner, NetfilterProtoFamily, NetfilterSubsystem};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use ringwall_kernel::nft::{self, Answers, ErrorAnswer, HEADER, kind_of, nest, sequence_of};

/// Bytes of one read.
const READ: usize = 1 << 16;
/// Up to so many addresses are looked for in the kernel, one pass each; more in one listing.
const ONE_BY_ONE: usize = 8;

/// How long until addresses are tried again that could not be cleaned.
const RETRY: Duration = Duration::from_secs(1);

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_IP: u16 = 1;

/// The thread's way in: addresses to clean; dropped: the thread ends.
pub(super) type Work = mpsc::Sender<Vec<IpAddr>>;

/// Starts the thread. `done` is called from it with every address whose flows are forgotten.
pub(super) fn start(
    pools: Vec<IpNet>,
    done: impl Fn(Vec<IpAddr>) + Send + 'static,
) -> io::Result<(Work, std::thread::JoinHandle<()>)> {
    let mut tracking = Tracking::open()?;
    tracking.forget_where(|address| pools.iter().any(|pool| pool.contains(&address)))?;
    let (work, requests) = mpsc::channel::<Vec<IpAddr>>();
    let thread = std::thread::Builder::new()
        .name("rw-conntrack".to_owned())
        .spawn(move || serve(&mut tracking, &requests, done))?;
    Ok((work, thread))
}

fn serve(tracking: &mut Tracking, requests: &mpsc::Receiver<Vec<IpAddr>>, done: impl Fn(Vec<IpAddr>)) {
    let mut waiting: Vec<IpAddr> = vec![];
    loop {
        let next = if waiting.is_empty() {
            requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            requests.recv_timeout(RETRY)
        };
        match next {
            Ok(addresses) => waiting.extend(addresses),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.extend(requests.try_iter().flatten());
        match tracking.forget(&waiting) {
            Ok(()) => done(std::mem::take(&mut waiting)),
            // The addresses stay in quarantine meanwhile: safe, and visible in the metric.
            Err(error) => {
                metrics::counter!("ringwall_firewall_conntrack_errors_total").increment(1);
                tracing::error!(%error, addresses = waiting.len(), "cannot delete conntrack entries of removed sessions; retrying");
            }
        }
    }
}

struct Tracking {
    socket: Socket,
    sequence: u32,
    send: Vec<u8>,
    receive: Vec<u8>,
}

impl Tracking {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(socket.as_fd(), 8 << 20)?;
        Ok(Self { socket, sequence: 1, send: vec![], receive: vec![0; READ] })
    }

    fn forget(&mut self, addresses: &[IpAddr]) -> io::Result<()> {
        if addresses.len() > ONE_BY_ONE {
            let wanted: HashSet<IpAddr> = addresses.iter().copied().collect();
            return self.forget_where(|address| wanted.contains(&address));
        }
        for address in addresses {
            // What the address began, and what others began toward it.
            for tuple in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] {
                self.delete(family(*address), filter(*address, tuple))?;
            }
        }
        Ok(())
    }

    /// Forgets every flow that came from, or answers from, an address that `wanted` names.
    fn forget_where(&mut self, wanted: impl Fn(IpAddr) -> bool) -> io::Result<()> {
        for family in [NetfilterProtoFamily::IPv4, NetfilterProtoFamily::IPv6] {
            let mut doomed = vec![];
            let request = ConntrackMessage::Get(vec![]);
            self.send(family, NLM_F_DUMP, NetfilterMessageInner::from(request))?;
            self.receive(|entry| {
                if sources(entry).any(&wanted) {
                    doomed.push(identity(entry));
                }
            })?;
            for identity in doomed {
                match self.delete(family, identity) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {} // ended by itself meanwhile
                    answer => answer?,
                }
            }
        }
        Ok(())
    }

    fn delete(&mut self, family: NetfilterProtoFamily, attributes: Vec<DefaultNla>) -> io::Result<()> {
        const IPCTNL_MSG_CT_DELETE: u8 = 2;
        // Not `ConntrackMessage::Delete`: it loses the flag that marks nested attributes, which the kernel insists on.
        let subsys = NetfilterSubsystem::Conntrack;
        let inner = NetfilterMessageInner::Other { subsys, message_type: IPCTNL_MSG_CT_DELETE, attributes };
        self.send(family, NLM_F_ACK, inner)?;
        self.receive(|_| ())
    }

    fn send(&mut self, family: NetfilterProtoFamily, flags: u16, inner: NetfilterMessageInner) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send.clear();
        nft::append(&mut self.send, self.sequence, NLM_F_REQUEST | flags, family, 0, inner);
        self.socket.send_to(&self.send, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    /// Reads what is there (the kernel answers before `sendmsg` returns, a dump goes on with every read).
    fn receive(&mut self, mut entry: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let length = match self.socket.recv(&mut &mut self.receive[..], libc::MSG_DONTWAIT) {
                Ok(length) => length.min(READ),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let ours = |message: &&[u8]| sequence_of(message) == self.sequence;
            for message in Answers(&self.receive[..length]).filter(ours) {
                match ErrorAnswer::read(message) {
                    Some(answer) if answer.errno != 0 => return Err(io::Error::from_raw_os_error(answer.errno)),
                    Some(_) => {}
                    None if kind_of(message) == NEW_ENTRY => entry(&message[(HEADER + GENERIC).min(message.len())..]),
                    None => {}
                }
            }
        }
    }
}

/// `NFNL_SUBSYS_CTNETLINK` and `IPCTNL_MSG_CT_NEW`.
const NEW_ENTRY: u16 = 1 << 8;
/// Bytes of `nfgenmsg`.
const GENERIC: usize = 4;

const fn family(address: IpAddr) -> NetfilterProtoFamily {
    match address {
        IpAddr::V4(_) => NetfilterProtoFamily::IPv4,
        IpAddr::V6(_) => NetfilterProtoFamily::IPv6,
    }
}

const fn source_attribute(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 3,
    }
}

/// "Entries whose tuple has this source", as the kernel filters for itself.
fn filter(address: IpAddr, tuple: u16) -> Vec<DefaultNla> {
    const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;
    let source = DefaultNla::new(source_attribute(address), super::ruleset::address_bytes(address));
    // CTA_FILTER_ORIG_FLAGS is 1, CTA_FILTER_REPLY_FLAGS is 2: as the tuples are numbered. Host order.
    let flags = DefaultNla::new(tuple, CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes().to_vec());
    vec![nest(tuple, &[nest(CTA_TUPLE_IP, &[source])]), nest(CTA_FILTER, &[flags])]
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// The sources of both tuples of an entry.
fn sources(entry: &[u8]) -> impl Iterator<Item = IpAddr> {
    attributes(entry)
        .filter(|attribute| matches!(attribute.kind(), CTA_TUPLE_ORIG | CTA_TUPLE_REPLY))
        .filter_map(|tuple| tuple_source(tuple.value()))
}

fn tuple_source(tuple: &[u8]) -> Option<IpAddr> {
    let ip = attributes(tuple).find(|part| part.kind() == CTA_TUPLE_IP)?;
    attributes(ip.value()).find_map(|part| source(&part))
}

fn source(attribute: &NlaBuffer<&[u8]>) -> Option<IpAddr> {
    match attribute.kind() {
        1 => <[u8; 4]>::try_from(attribute.value()).ok().map(IpAddr::from),
        3 => <[u8; 16]>::try_from(attribute.value()).ok().map(IpAddr::from),
        _ => None,
    }
}

/// What names exactly this entry.
fn identity(entry: &[u8]) -> Vec<DefaultNla> {
    const NLA_F_NESTED: u16 = netlink_packet_core::NLA_F_NESTED;
    attributes(entry)
        .filter_map(|attribute| match attribute.kind() {
            CTA_TUPLE_ORIG => Some(DefaultNla::new(CTA_TUPLE_ORIG | NLA_F_NESTED, attribute.value().to_vec())),
            kind @ (CTA_ID | CTA_ZONE) => Some(DefaultNla::new(kind, attribute.value().to_vec())),
            _ => None,
        })
        .collect()
}
