//! What a worker moved and dropped: plain integers that its thread writes and anybody may read.
//!
//! Promise: counting takes no locked instruction, because each counter has one writer.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::packet::Refusal;

/// Why one end drops packets. [`drop_reasons!`](crate::drop_reasons) makes such a type.
pub trait Reason: Copy + From<Refusal> + Send + Sync + 'static {
    /// How many reasons there are.
    const COUNT: usize;
    /// The peer has no attached tunnel at the moment.
    const NO_TUNNEL: Self;
    /// The peer is slower than what is sent to it.
    const QUEUE_FULL: Self;
    /// The kernel refused the packet.
    const DEVICE: Self;

    /// Position of this reason, below [`COUNT`](Self::COUNT).
    fn index(self) -> usize;
}

/// Defines the enum `DropReason` of one end: its variants, in order, with the labels under which others see them.
/// `NoTunnel`, `QueueFull` and `Device` must be among them.
#[macro_export]
macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name under which it is reported.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl $crate::counters::Reason for DropReason {
            const COUNT: usize = Self::ALL.len();
            const NO_TUNNEL: Self = Self::NoTunnel;
            const QUEUE_FULL: Self = Self::QueueFull;
            const DEVICE: Self = Self::Device;

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// Packets in one direction, and their bytes. A super-packet counts once.
#[derive(Debug, Default)]
struct Flow {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// What was moved in both directions.
#[derive(Debug, Default)]
pub struct Traffic {
    to_tun: Flow,
    from_tun: Flow,
}

impl Traffic {
    /// Packets from tunnels that the kernel took, and their bytes.
    #[must_use]
    pub fn to_tun(&self) -> (u64, u64) {
        self.to_tun.load()
    }

    /// Packets from the kernel that tunnels took, and their bytes.
    #[must_use]
    pub fn from_tun(&self) -> (u64, u64) {
        self.from_tun.load()
    }

    #[inline]
    pub(crate) fn count_to_tun(&self, bytes: usize) {
        self.to_tun.add(bytes);
    }

    #[inline]
    pub(crate) fn count_from_tun(&self, bytes: usize) {
        self.from_tun.add(bytes);
    }
}

/// One worker's counters.
#[derive(Debug)]
pub struct Counters<R> {
    traffic: Traffic,
    drops: Box<[AtomicU64]>,
    reasons: PhantomData<R>,
}

impl<R: Reason> Default for Counters<R> {
    fn default() -> Self {
        let drops = (0..R::COUNT).map(|_| AtomicU64::new(0)).collect();
        Self { traffic: Traffic::default(), drops, reasons: PhantomData }
    }
}

impl<R: Reason> Counters<R> {
    /// What this worker's tunnels moved together.
    #[must_use]
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Packets dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: R) -> u64 {
        self.drops[reason.index()].load(Ordering::Relaxed)
    }

    pub(crate) fn count_drop(&self, reason: R) {
        bump(&self.drops[reason.index()], 1);
    }
}

impl Flow {
    #[inline]
    fn add(&self, bytes: usize) {
        bump(&self.packets, 1);
        bump(&self.bytes, bytes as u64);
    }

    fn load(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Only the worker's own thread writes, so that no locked instruction is needed.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
