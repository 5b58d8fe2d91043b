//! What every phase uses, each part with an owner of its own.

use std::time::Instant;

use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use super::UpOptions;
use super::account::Account;
use super::device_monitor::DeviceMonitor;
use super::tasks::{FactorRequest, TaskResult};
use super::user_prompts::UserPrompts;
use super::watchers::{TroubleLog, Watchers};
use crate::failure::Failure;
use crate::local::Event;
use crate::site_link::LinkReport;
use crate::tunnel::TunnelEvent;

/// Parts that live as long as the daemon.
pub(super) struct Shared {
    pub(super) options: UpOptions,
    pub(super) account: Account,
    pub(super) device: DeviceMonitor,
    pub(super) prompts: UserPrompts,
    pub(super) troubles: TroubleLog,
    pub(super) watchers: Watchers,
    /// Work that runs beside the engine.
    pub(super) tasks: JoinSet<TaskResult>,
    pub(super) senders: Senders,
}

/// Ways into the engine for tasks, links and the tunnel worker.
pub(super) struct Senders {
    pub(super) reports: mpsc::UnboundedSender<LinkReport>,
    pub(super) factors: mpsc::Sender<FactorRequest>,
    pub(super) tunnel: mpsc::UnboundedSender<TunnelEvent>,
    /// The kernel changed something that a tunnel needs. One such notification is enough.
    pub(super) kernel: mpsc::Sender<()>,
}

impl Shared {
    pub(super) fn new(options: UpOptions, events: broadcast::Sender<Event>, senders: Senders) -> Result<Self, Failure> {
        let account = Account::new(&options)?;
        let watchers = Watchers::new(events);
        Ok(Self {
            account,
            device: DeviceMonitor::new(Instant::now()),
            prompts: UserPrompts::new(watchers.clone(), options.no_browser),
            troubles: TroubleLog::default(),
            watchers,
            tasks: JoinSet::new(),
            senders,
            options,
        })
    }
}
