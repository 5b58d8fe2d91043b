//! What the pump moved and dropped: plain integers that its thread writes and anybody may read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::id::SiteId;
use ringwall_tunnel::packet::Refusal;

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As `ringwall status` shows it.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

drop_reasons! {
    /// No IP packet, lengths that disagree, or a header that no tunnel carries.
    Malformed => "malformed";
    /// No Site has a route to the destination.
    NoRoute => "no route";
    /// The Site has no tunnel at the moment.
    NoTunnel => "no tunnel";
    /// The Site's tunnel is slower than what is sent to it.
    QueueFull => "queue full";
    /// Sent from an address that is not the tunnel's.
    ForeignSource => "foreign source";
    /// Came for an address that is not the tunnel's.
    ForeignDestination => "foreign destination";
    /// Came from an address that does not belong to the Site.
    OutsideSite => "outside site";
    /// The kernel did not take the packet.
    Device => "device";
}

impl From<Refusal> for DropReason {
    fn from(_: Refusal) -> Self {
        Self::Malformed
    }
}

/// The pump's counters. Super-packets count once.
#[derive(Debug, Default)]
pub struct Counters {
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
    drops: [AtomicU64; DropReason::ALL.len()],
    sites: Mutex<BTreeMap<SiteId, Arc<Moved>>>,
}

/// What one Site's tunnels moved.
#[derive(Debug, Default)]
pub struct Moved {
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
}

impl Moved {
    /// Packets that entered the Site's tunnel, and their bytes.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        load(&self.sent)
    }

    /// Packets that left it for this machine, and their bytes.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        load(&self.received)
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        add(&self.sent, bytes);
    }

    pub(super) fn count_received(&self, bytes: usize) {
        add(&self.received, bytes);
    }
}

impl Counters {
    /// What a Site's tunnels moved since the Site came.
    #[must_use]
    pub fn of_site(&self, site: SiteId) -> Arc<Moved> {
        Arc::clone(self.sites.lock().unwrap_or_else(PoisonError::into_inner).entry(site).or_default())
    }

    pub(super) fn forget_site(&self, site: SiteId) {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).remove(&site);
    }

    /// Packets that entered a tunnel, and their bytes.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        load(&self.sent)
    }

    /// Packets that left a tunnel for this machine, and their bytes.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        load(&self.received)
    }

    /// Packets dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        add(&self.sent, bytes);
    }

    pub(super) fn count_received(&self, bytes: usize) {
        add(&self.received, bytes);
    }

    pub(super) fn count_drop(&self, reason: DropReason) {
        bump(&self.drops[reason as usize], 1);
    }
}

fn add([packets, total]: &[AtomicU64; 2], bytes: usize) {
    bump(packets, 1);
    bump(total, bytes as u64);
}

fn load([packets, total]: &[AtomicU64; 2]) -> (u64, u64) {
    (packets.load(Ordering::Relaxed), total.load(Ordering::Relaxed))
}

/// Only the pump's own thread writes, so that no locked instruction is needed.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
