//! The netlink socket to nf_tables: the only file of the firewall that talks to it.
//!
//! `sendmsg` returns after the commit, so every answer is already in the receive queue: a transaction is one send and
//! a few reads that never wait. The kernel names every failed message of a batch with its sequence number.

use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nftables::{GenAttribute, GenMessage, NfTablesMessage};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::batch::{self, Batch};
use super::wire::{Answers, ErrorAnswer, flags_of, sequence_of};

/// Bytes of one read; the kernel never makes a larger datagram for us.
const READ: usize = 1 << 16;

/// How often a dump is begun again when the rules changed under it.
const DUMP_ATTEMPTS: usize = 8;

/// A message of a batch that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch; `None` for the batch as a whole.
    pub(crate) index: Option<usize>,
    /// Positive error number.
    pub(crate) errno: i32,
    /// What the kernel says about it, if it says anything.
    pub(crate) text: Option<String>,
}

/// Why a transaction did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The kernel refused at least one message; nothing of the batch is in force.
    #[error("{}", describe(.0))]
    Refused(Vec<Refused>),
    /// The batch is larger than the socket takes.
    #[error("a batch of {0} bytes is larger than the socket takes")]
    TooLarge(usize),
    /// The socket failed.
    #[error("the netlink socket failed")]
    Socket(#[from] io::Error),
}

fn describe(refused: &[Refused]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} messages refused", refused.len());
    for one in refused.iter().take(3) {
        let cause = io::Error::from_raw_os_error(one.errno);
        let _ = write!(text, "; {:?}: {cause}", one.index);
        if let Some(said) = &one.text {
            let _ = write!(text, " ({said})");
        }
    }
    text
}

/// One socket, one owner of the table made on it.
pub struct Kernel {
    socket: Socket,
    sequence: u32,
    send: Vec<u8>,
    receive: Vec<u8>,
    commits: u64,
}

impl Kernel {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        force_buffers(&socket)?;
        Ok(Self { socket, sequence: 1, send: vec![], receive: vec![0; READ], commits: 0 })
    }

    /// How many batches were sent.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Sends a batch and returns once it is in force or refused.
    pub fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        if batch.is_empty() {
            return Ok(());
        }
        let messages = batch.len();
        let first = self.sequence;
        let last = batch.last_sequence(first);
        self.sequence = last.wrapping_add(1);
        batch.encode(first, &mut self.send);
        if self.send.len() > batch::MAX_BYTES {
            return Err(CommitError::TooLarge(self.send.len()));
        }
        self.commits += 1;
        let sent = self.socket.send_to(&self.send, &SocketAddr::new(0, 0), 0)?;
        if sent != self.send.len() {
            return Err(CommitError::Socket(io::ErrorKind::WriteZero.into()));
        }
        self.answers(first, last, messages)
    }

    fn answers(&mut self, first: u32, last: u32, messages: usize) -> Result<(), CommitError> {
        let mut refused = vec![];
        let mut acknowledged = false;
        while let Some(length) = self.read()? {
            for answer in Answers(&self.receive[..length]) {
                let Some(ErrorAnswer { sequence, errno, text }) = ErrorAnswer::read(answer) else { continue };
                let distance = sequence.wrapping_sub(first);
                if distance > last.wrapping_sub(first) {
                    continue; // left over from something older
                }
                match errno {
                    0 => acknowledged |= sequence == last,
                    _ => {
                        let index = (distance as usize).checked_sub(1).filter(|index| *index < messages);
                        refused.push(Refused { index, errno, text });
                    }
                }
            }
        }
        match (refused.is_empty(), acknowledged) {
            (true, true) => Ok(()),
            (true, false) => Err(CommitError::Socket(io::Error::other("the kernel did not answer a batch"))),
            (false, _) => Err(CommitError::Refused(refused)),
        }
    }

    /// The generation of the whole ruleset of this network namespace; every transaction of anybody moves it.
    pub fn generation(&mut self) -> io::Result<u32> {
        let messages = self.ask(NfTablesMessage::GetGen(GenMessage { attributes: vec![] }), NLM_F_ACK)?;
        let number = |message: NfTablesMessage| match message {
            NfTablesMessage::NewGen(generation) => generation
                .attributes
                .into_iter()
                .find_map(|attribute| if let GenAttribute::Id(number) = attribute { Some(number) } else { None }),
            _ => None,
        };
        messages.into_iter().find_map(number).ok_or_else(|| io::Error::other("no generation in the kernel's answer"))
    }

    /// Everything that a request lists, consistent in itself: begun again if the rules changed meanwhile.
    pub fn dump(&mut self, request: &NfTablesMessage) -> io::Result<Vec<NfTablesMessage>> {
        for _ in 0..DUMP_ATTEMPTS {
            match self.ask(request.clone(), NLM_F_DUMP) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
        Err(io::Error::other("the rules kept changing while they were read"))
    }

    fn ask(&mut self, request: NfTablesMessage, flags: u16) -> io::Result<Vec<NfTablesMessage>> {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        self.send.clear();
        let flags = NLM_F_REQUEST | flags;
        batch::append(&mut self.send, sequence, flags, NetfilterProtoFamily::Inet, 0, request.into());
        self.socket.send_to(&self.send, &SocketAddr::new(0, 0), 0)?;
        let mut found = vec![];
        let mut interrupted = false;
        while let Some(length) = self.read()? {
            for answer in Answers(&self.receive[..length]) {
                if sequence_of(answer) != sequence {
                    continue;
                }
                interrupted |= flags_of(answer) & NLM_F_DUMP_INTR != 0;
                if let Some(error) = ErrorAnswer::read(answer) {
                    if error.errno != 0 {
                        return Err(io::Error::from_raw_os_error(error.errno));
                    }
                    continue;
                }
                found.extend(parse(answer)?);
            }
        }
        if interrupted { Err(io::ErrorKind::Interrupted.into()) } else { Ok(found) }
    }

    /// The next datagram that is there already.
    fn read(&mut self) -> io::Result<Option<usize>> {
        loop {
            match self.socket.recv(&mut &mut self.receive[..], libc::MSG_DONTWAIT) {
                Ok(0) => return Ok(None),
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// `NLM_F_DUMP_INTR`: the dump is inconsistent because something changed.
const NLM_F_DUMP_INTR: u16 = 0x10;

/// A whole batch must fit the send buffer, and all errors of a batch the receive queue.
fn force_buffers(socket: &Socket) -> io::Result<()> {
    let descriptor = socket.as_fd();
    rustix::net::sockopt::set_socket_send_buffer_size_force(descriptor, 2 * batch::MAX_BYTES)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(descriptor, 2 * batch::MAX_BYTES)?;
    Ok(())
}

fn parse(message: &[u8]) -> io::Result<Option<NfTablesMessage>> {
    let parsed = NetlinkMessage::<NetfilterMessage>::deserialize(message).map_err(io::Error::other)?;
    Ok(match parsed.payload {
        NetlinkPayload::InnerMessage(NetfilterMessage { inner: NetfilterMessageInner::NfTables(inner), .. }) => {
            Some(inner)
        }
        _ => None,
    })
}
