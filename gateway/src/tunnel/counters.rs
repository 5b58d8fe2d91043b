//! What one worker moved and dropped: plain integers that one thread writes and anybody may read.

use std::sync::atomic::{AtomicU64, Ordering};

use ringwall_tunnel::packet::Refusal;

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The `reason` label of its metric.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

drop_reasons! {
    /// Neither IPv4 nor IPv6.
    Version => "version";
    /// A length field disagrees with the bytes.
    Length => "length";
    /// IPv4 options.
    Options => "options";
    /// Forbidden IPv6 extension headers.
    Extension => "extension";
    /// Offload announced where there can be none.
    Offload => "offload";
    /// The source address is not the session's.
    ForeignSource => "foreign_source";
    /// More fragments than a session may send.
    Fragments => "fragments";
    /// The session has been cut.
    Cut => "cut";
    /// No session has the destination address.
    NoSession => "no_session";
    /// The session has no tunnel at the moment.
    NoTunnel => "no_tunnel";
    /// The session's peer is slower than what is sent to it.
    QueueFull => "queue_full";
    /// The packet's owner among the workers is busy.
    WorkerBusy => "worker_busy";
    /// The kernel did not take the packet.
    Device => "device";
}

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Version => Self::Version,
            Refusal::Length => Self::Length,
            Refusal::Options => Self::Options,
            Refusal::Extension => Self::Extension,
            Refusal::Offload => Self::Offload,
        }
    }
}

/// One worker's counters. Super-packets count once.
#[derive(Debug, Default)]
pub struct Counters {
    up: Flow,
    down: Flow,
    drops: [AtomicU64; DropReason::ALL.len()],
}

#[derive(Debug, Default)]
struct Flow {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// Packets from Clients that the kernel took, and their bytes.
    #[must_use]
    pub fn up(&self) -> (u64, u64) {
        self.up.load()
    }

    /// Packets to Clients that their tunnels took, and their bytes.
    #[must_use]
    pub fn down(&self) -> (u64, u64) {
        self.down.load()
    }

    /// Packets dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn count_up(&self, bytes: usize) {
        self.up.add(bytes);
    }

    pub(super) fn count_down(&self, bytes: usize) {
        self.down.add(bytes);
    }

    pub(super) fn count_drop(&self, reason: DropReason) {
        bump(&self.drops[reason as usize], 1);
    }

    /// Sets this worker's metrics to what was counted.
    pub(super) fn publish(&self, worker: usize) {
        let worker = worker.to_string();
        for (direction, (packets, bytes)) in [("up", self.up()), ("down", self.down())] {
            metrics::counter!("ringwall_tunnel_packets_total", "worker" => worker.clone(), "direction" => direction)
                .absolute(packets);
            metrics::counter!("ringwall_tunnel_bytes_total", "worker" => worker.clone(), "direction" => direction)
                .absolute(bytes);
        }
        for reason in DropReason::ALL {
            metrics::counter!("ringwall_tunnel_drops_total", "worker" => worker.clone(), "reason" => reason.label())
                .absolute(self.dropped(*reason));
        }
    }
}

impl Flow {
    fn add(&self, bytes: usize) {
        bump(&self.packets, 1);
        bump(&self.bytes, bytes as u64);
    }

    fn load(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Only the worker's own thread writes, so that no locked instruction is needed.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
