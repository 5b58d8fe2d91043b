//! The firewall: what a session may reach, at the price of one map element in the kernel.
//!
//! [`Firewall::start`] replaces the nftables table by a skeleton that lets nothing pass, and returns the
//! [`Enforcer`], through which sessions get their rules and the lease that lets packets pass at all. What the kernel
//! then promises without this process: no lease, no packet; no session element, no packet; everything expires.
//! Decisions (who may have which rules, when the lease may be renewed) are others': they come as values.

mod clock;
mod config;
mod conntrack;
mod denials;
mod difference;
mod enforcer;
mod flowtables;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod host;
mod lease;
mod ledger;
mod names;
mod place;
mod ranges;
mod readback;
mod ruleset;
mod skeleton;
mod slot_table;
mod slots;
mod transactions;
mod wanted;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use ipnet::IpNet;
use ringwall_kernel::nft::{CommitError, Kernel, Table};
use ringwall_startup::{Obstacle, Refusal};
use tokio::sync::mpsc;

pub use config::{FirewallConfig, Guard, InterfaceName, Snat};
pub use denials::{AlertedFlow, BlockedFlow, LoggedPort};
pub use enforcer::{Enforcer, FirewallEvent};
pub use host::{HostSettings, Severity, WrongSetting};

pub(crate) use host::{carries_ipv6, conntrack_entries};

use enforcer::{EnforcerThread, Outside, Request};
use readback::ReadBack;
use transactions::Transactions;

/// Denied and alerted flows, and events, that may wait for their reader.
const WAITING: usize = 1_024;

/// Why the firewall does not stand. Nothing may be let in then, and forwarding stays off.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be meant.
    #[error("the firewall's configuration is wrong: {}; correct the Site's pools and the Gateway's [network]", .0.join("; "))]
    Config(Vec<String>),
    /// A flow table of somebody else would let flows skip our rules.
    #[error(
        "flow table {table} takes packets of {interface}, which would skip every rule; remove it: nft delete flowtable, or \
         take the interface out of it"
    )]
    FlowTable {
        /// Its name.
        table: String,
        /// The interface it takes packets from.
        interface: String,
    },
    /// Another process owns the table, or the kernel is older than 6.9.
    #[error("the kernel refused the firewall's skeleton: {0}; {advice}", advice = Obstacle::NftablesRefused.advice())]
    Refused(String),
    /// A socket or thread could not be had.
    #[error("cannot open a netlink socket or start a thread for the firewall: {0}")]
    System(Refusal),
}

/// The standing firewall: its threads, and what they report. Dropping it ends the lease and leaves the table, which
/// then drops everything.
#[derive(Debug)]
pub struct Firewall {
    enforcer: Enforcer,
    /// What clients were not allowed; to be read by whoever tells sessions.
    pub blocked: mpsc::Receiver<BlockedFlow>,
    /// What `alert` rules let pass.
    pub alerted: mpsc::Receiver<AlertedFlow>,
    /// What the enforcer noticed by itself.
    pub events: mpsc::Receiver<FirewallEvent>,
    stop_readers: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl Firewall {
    /// Makes the table and starts the threads, all in the network namespace of the calling thread. When this returns
    /// the skeleton is in force and lets nothing pass.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: FirewallConfig) -> Result<Self, StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let mut kernel = Kernel::open()?;
        refuse_flow_tables(&mut kernel, &config)?;
        let table = Table::new(config.table.clone());
        kernel.commit(skeleton::batch(&table, &config)).map_err(refused)?;
        let readback = ReadBack::of_new_table(&mut kernel, &table)?;

        let (enforcer, inbox) = Enforcer::new();
        let stop_readers = Arc::new(AtomicBool::new(false));
        let (blocked_into, blocked) = mpsc::channel(WAITING);
        let (alerted_into, alerted) = mpsc::channel(WAITING);
        let (events_into, events) = mpsc::channel(WAITING);
        let stop = || Arc::clone(&stop_readers);
        let cleaned = enforcer.clone();
        let done = move |addresses| cleaned.tell(Request::Cleaned(addresses));
        let (conntrack, forgetting) = conntrack::start(pools(&config), done)?;
        // Joined in this order after the enforcer, which lets go of the first one's work.
        let readers = vec![
            forgetting,
            denials::start(config.denial_group, "rw-denials", BlockedFlow::parse, blocked_into, stop())?,
            denials::start(config.alert_group, "rw-alerts", AlertedFlow::parse, alerted_into, stop())?,
        ];
        let (knocks, rule_sets) = (enforcer.knocks(), enforcer.rule_sets_told());
        let outside = Outside { events: events_into, conntrack, knocks, rule_sets };
        let thread = EnforcerThread::new(inbox, Transactions::new(kernel, table), readback, &config, outside);
        let worker = std::thread::Builder::new().name("rw-enforcer".to_owned()).spawn(move || thread.run())?;
        Ok(Self { enforcer, blocked, alerted, events, stop_readers, worker: Some(worker), readers })
    }

    /// A handle for whoever installs rules, renews the lease or opens the door after a knock.
    #[must_use]
    pub fn enforcer(&self) -> Enforcer {
        self.enforcer.clone()
    }

    /// Switches the host's forwarding on: only a standing firewall can.
    ///
    /// # Errors
    /// If the kernel refuses a setting.
    pub fn enable_forwarding(&self) -> io::Result<()> {
        host::set_forwarding(true)
    }

    /// Switches the host's forwarding off, before the Gateway stops.
    ///
    /// # Errors
    /// If the kernel refuses a setting.
    pub fn disable_forwarding(&self) -> io::Result<()> {
        host::set_forwarding(false)
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        self.enforcer.tell(Request::Stop);
        self.stop_readers.store(true, Ordering::Relaxed);
        for thread in self.worker.take().into_iter().chain(self.readers.drain(..)) {
            if thread.join().is_err() {
                tracing::error!("a firewall thread panicked");
            }
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(Refusal::of_nftables(error))
    }
}

fn refuse_flow_tables(kernel: &mut Kernel, config: &FirewallConfig) -> Result<(), StartError> {
    let mut interfaces = vec![config.tun.as_str()];
    interfaces.extend(config.snat.as_ref().map(|snat| snat.out.as_str()));
    match flowtables::containing(kernel, &interfaces)? {
        Some((table, interface)) => Err(StartError::FlowTable { table, interface }),
        None => Ok(()),
    }
}

fn refused(error: CommitError) -> StartError {
    match error {
        CommitError::Socket(error) => error.into(),
        other => StartError::Refused(other.to_string()),
    }
}

fn pools(config: &FirewallConfig) -> Vec<IpNet> {
    let v4 = config.pools4.iter().copied().map(IpNet::V4);
    v4.chain(config.pools6.iter().copied().map(IpNet::V6)).collect()
}
