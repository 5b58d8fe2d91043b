//! The guard of a program's own ports (SPA mode UDP-TCP): silent to whoever did not knock, whatever the packet's protocol
//! and flags, and without a connection-tracking entry for junk (T11, T37, T47, T49).
//!
//! The rules stand here once, for a Gateway's firewall and for [`PortGuard`], a table of its own for programs that have
//! no firewall. What a knock bought is one element: source and port, and a lifetime. While it is there the source may
//! begin connections; how many of them may go on is decided by the process, which counts those that prove themselves and
//! takes the element out. A connection goes on by itself from the first payload that this host sends on it. Whose knock it
//! was, and whether it was right, is others' business.

mod established;
mod rules;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use netlink_packet_netfilter::nftables::{InetHookNumber, SetFlags};

pub use rules::{
    connections, knock_packet, no_other_datagram, no_resets, no_unreachables, replies, silent_protocols,
    untracked_connections, untracked_datagrams,
};

use crate::nft::batch::Batch;
use crate::nft::kernel::{CommitError, Kernel};
use crate::nft::objects::{BaseChain, ELEMENTS_PER_MESSAGE, Element, Field, Message, SetSpec, Table};
use crate::nft::rule::Rule;
use rules::exempt;

/// IPv4 sources that knocked, with the TCP port they knocked for.
pub const KNOCK4: &str = "knock4";
/// The same for IPv6.
pub const KNOCK6: &str = "knock6";

/// IPv4 connections on which a guarded port has sent payload: remote address, remote port, own port.
pub const LIVE4: &str = "live4";
/// The same for IPv6.
pub const LIVE6: &str = "live6";

/// Sources that may have knocked at a time, per address family.
const SOURCES: u32 = 65_536;
/// Connections that are live, or were within [`LIVE_MILLISECONDS`], per address family: some 870 new ones a second.
const LIVE: u32 = 262_144;
/// A connection on which this host sends nothing for this long, not even an acknowledgement, is forgotten. All of ours
/// speak at least once a minute.
const LIVE_MILLISECONDS: u64 = 300_000;
/// Connections of one family that go on when the guard begins; others have to be made again.
const GOING_ON: usize = 8_192;
/// Hook priority before connection tracking (`NF_IP_PRI_RAW`).
const RAW: i32 = -300;
const FILTER: i32 = 0;

/// A TCP port that opens by knocks on the UDP port of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardedPort {
    /// It.
    pub port: u16,
    /// Sources that need not knock.
    pub exempt: Vec<IpNet>,
}

/// What is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardConfig {
    /// Name of the table in family `inet`; lower-case letters, digits and `_`.
    pub table: String,
    /// What is dark until somebody knocks.
    pub ports: Vec<GuardedPort>,
}

/// Why ports are not guarded. Whoever wanted them dark must not serve on them.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// This process may not change the kernel's rules.
    #[error("guarding ports in the kernel needs CAP_NET_ADMIN (run as root, or AmbientCapabilities=CAP_NET_ADMIN)")]
    NotPermitted,
    /// The kernel refused the rules, or another process owns the table.
    #[error(
        "the kernel refused the guard's rules: {0}; a kernel of 6.9 or newer is needed (`uname -r`), and no other process \
         may own the table (`nft list tables`)"
    )]
    Refused(String),
    /// A socket could not be had.
    #[error(
        "cannot open the netlink socket for the port guard: {0}; load nf_tables with `modprobe nf_tables`, or start a kernel \
         of 6.9 or newer that has it"
    )]
    System(#[from] io::Error),
}

impl From<CommitError> for GuardError {
    fn from(error: CommitError) -> Self {
        let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        match error {
            CommitError::Socket(error) if denied(&error) => Self::NotPermitted,
            CommitError::Refused(all) if all.iter().all(|one| denied(&io::Error::from_raw_os_error(one.errno))) => {
                Self::NotPermitted
            }
            CommitError::Socket(error) => Self::System(error),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The standing guard. Dropping it leaves the table: a dead process looks like a live one; the next one replaces it.
pub struct PortGuard {
    kernel: Kernel,
    table: Table,
}

impl std::fmt::Debug for PortGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PortGuard").field(&self.table.name()).finish()
    }
}

impl PortGuard {
    /// Makes the table, in the network namespace of the calling thread, in place of one that an earlier process left.
    /// From then on nothing new comes to the ports; connections that are established go on.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn start(config: &GuardConfig) -> Result<Self, GuardError> {
        let table = Table::new(config.table.clone());
        let mut kernel = open()?;
        let ports: Vec<u16> = config.ports.iter().map(|guarded| guarded.port).collect();
        kernel.commit(skeleton(&table, config, &established::established(&ports)))?;
        Ok(Self { kernel, table })
    }

    /// Takes the table out, if an earlier process left one.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn clear(table: &str) -> Result<(), GuardError> {
        let table = Table::new(table.to_owned());
        open()?.commit([table.destroy()].into_iter().collect())?;
        Ok(())
    }

    /// Ends the guard: the ports answer everybody again.
    ///
    /// # Errors
    /// [`GuardError`]; the table then still stands.
    pub fn remove(mut self) -> Result<(), GuardError> {
        let gone = self.table.destroy();
        self.kernel.commit([gone].into_iter().collect())?;
        Ok(())
    }

    /// Lets connections begin from a source to a port for `time`, in place of the time it had before.
    ///
    /// # Errors
    /// [`GuardError`]; nothing is open then.
    pub fn open(&mut self, source: IpAddr, port: u16, time: Duration) -> Result<(), GuardError> {
        let (set, key) = place(source, port);
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let element = Element::key(key.clone()).expiring(milliseconds);
        // A plain add would not change an element that is there already.
        let batch = [self.table.destroy_elements(set, vec![Element::key(key)]), self.table.add(set, vec![element])];
        Ok(self.kernel.commit(batch.into_iter().collect())?)
    }

    /// Lets no further connection begin from a source to a port, and no unproved one go on.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn close(&mut self, source: IpAddr, port: u16) -> Result<(), GuardError> {
        let (set, key) = place(source, port);
        let gone = self.table.destroy_elements(set, vec![Element::key(key)]);
        Ok(self.kernel.commit([gone].into_iter().collect())?)
    }
}

/// The set and the key for a source and a port: `address . inet_service`, the port padded to four bytes.
#[must_use]
pub fn place(source: IpAddr, port: u16) -> (&'static str, Vec<u8>) {
    let (set, mut key) = match source.to_canonical() {
        IpAddr::V4(address) => (KNOCK4, address.octets().to_vec()),
        IpAddr::V6(address) => (KNOCK6, address.octets().to_vec()),
    };
    key.extend(port.to_be_bytes());
    key.extend([0, 0]);
    (set, key)
}

/// The set and the key of a connection: `address . inet_service . inet_service`, remote end first.
fn connection(remote: SocketAddr, port: u16) -> (&'static str, Vec<u8>) {
    let (knocked, mut key) = place(remote.ip(), remote.port());
    key.extend(port.to_be_bytes());
    key.extend([0, 0]);
    (if knocked == KNOCK4 { LIVE4 } else { LIVE6 }, key)
}

/// The sets that both tables have.
#[must_use]
pub fn sets(table: &Table) -> Vec<Message> {
    let mut messages = vec![];
    for (name, address) in [(KNOCK4, Field::Ipv4), (KNOCK6, Field::Ipv6)] {
        let key = [address, Field::Service];
        messages.push(table.set(&SetSpec::new(name, &key).flags(SetFlags::Timeout).size(SOURCES)));
    }
    for (name, address) in [(LIVE4, Field::Ipv4), (LIVE6, Field::Ipv6)] {
        let key = [address, Field::Service, Field::Service];
        let filled_by_packets = SetFlags::Timeout | SetFlags::Eval;
        let set = SetSpec::new(name, &key).flags(filled_by_packets).timeout(LIVE_MILLISECONDS).size(LIVE);
        messages.push(table.set(&set));
    }
    messages
}

fn open() -> Result<Kernel, GuardError> {
    Kernel::open().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => GuardError::NotPermitted,
        _ => GuardError::System(error),
    })
}

fn skeleton(table: &Table, config: &GuardConfig, established: &[(SocketAddr, u16)]) -> Batch {
    use InetHookNumber::{LocalIn, LocalOut, PreRouting};
    let mut messages: Vec<Message> = vec![table.destroy(), table.create()];
    messages.extend(sets(table));
    messages.extend(going_on(table, established));
    let filter = |hook, priority| BaseChain { kind: "filter", hook, priority, accept: true };
    for (name, hook, priority) in [
        ("raw_in", PreRouting, RAW),
        ("raw_out", LocalOut, RAW),
        ("input", LocalIn, FILTER),
        ("output", LocalOut, FILTER),
    ] {
        messages.push(table.base_chain(name, filter(hook, priority)));
    }
    let mut anonymous = 0;
    messages.extend(all_rules(config).into_iter().flat_map(|rule| rule.messages(table, &mut anonymous)));
    messages.into_iter().collect()
}

fn all_rules(config: &GuardConfig) -> Vec<Rule> {
    let untracked = |port| untracked_datagrams(port).into_iter().chain(untracked_connections(port));
    let mut all: Vec<Rule> = config.ports.iter().flat_map(|guarded| untracked(guarded.port)).collect();
    all.push(Rule::in_chain("input").iifname("lo").accept());
    for GuardedPort { port, exempt: sources } in &config.ports {
        all.push(knock_packet(*port));
        all.push(no_other_datagram(*port));
        all.extend(sources.iter().flat_map(|net| exempt(*net, *port)));
        all.extend(connections(*port));
        all.extend(replies(*port));
    }
    all.extend(silent_protocols());
    all.extend(no_resets());
    all
}

/// Elements for connections that are there already.
fn going_on(table: &Table, established: &[(SocketAddr, u16)]) -> Vec<Message> {
    let mut messages = vec![];
    for set in [LIVE4, LIVE6] {
        let keys = established.iter().map(|(remote, port)| connection(*remote, *port)).filter(|(name, _)| *name == set);
        let elements: Vec<Element> = keys.map(|(_, key)| Element::key(key)).take(GOING_ON).collect();
        messages.extend(elements.chunks(ELEMENTS_PER_MESSAGE).map(|some| table.add(set, some.to_vec())));
    }
    messages
}
