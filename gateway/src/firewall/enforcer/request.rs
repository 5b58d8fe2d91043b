//! What is asked of the enforcer thread.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ringwall_actors::ports::{Install, InstallError, LeaseRenewal};
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::{LogIndex, SessionId};
use tokio::sync::oneshot;

use crate::firewall::readback::Audit;

/// One entry of the thread's inbox.
#[derive(Debug)]
pub(in crate::firewall) enum Request {
    Install(Box<QueuedInstall>),
    Remove {
        session: SessionId,
        cut_at: LogIndex,
        reply: oneshot::Sender<()>,
    },
    Progress(LogIndex),
    Renew {
        renewal: LeaseRenewal,
        reply: oneshot::Sender<bool>,
    },
    EndLease {
        at: Instant,
    },
    Knock {
        change: KnockChange,
        reply: oneshot::Sender<bool>,
    },
    /// A name stands for these addresses, each for a time from `at` on, and for no others.
    Resolved {
        host: Host,
        addresses: Vec<(IpAddr, Duration)>,
        at: Instant,
    },
    /// A session is told that a name stands for these addresses.
    Told {
        session: SessionId,
        host: Host,
        addresses: Vec<(IpAddr, Duration)>,
        at: Instant,
        reply: oneshot::Sender<bool>,
    },
    /// Connection tracking has forgotten these addresses.
    Cleaned(Vec<IpAddr>),
    Audit(oneshot::Sender<Result<Audit, String>>),
    Stop,
}

/// An install with the time of the call, from which its expiry counts.
#[derive(Debug)]
pub(in crate::firewall) struct QueuedInstall {
    pub(super) install: Install,
    pub(super) at: Instant,
    pub(super) reply: oneshot::Sender<Result<(), InstallError>>,
}

impl QueuedInstall {
    /// Tells the caller what came of it, and counts it.
    pub(super) fn answer(self, outcome: Result<(), InstallError>) {
        match outcome {
            Ok(()) => metrics::counter!("ringwall_firewall_installs_total").increment(1),
            Err(_) => metrics::counter!("ringwall_firewall_installs_refused_total").increment(1),
        }
        let _ = self.reply.send(outcome);
    }
}

/// A change of the sets that open the Gateway's own ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::firewall) enum KnockChange {
    Open { source: IpAddr, port: u16, time: Duration },
    Close { source: IpAddr, port: u16 },
    AddPeer { peer: SocketAddr, time: Duration },
    RemovePeer { peer: SocketAddr },
}
