//! The TUN device of the Gateway: one queue a worker, on which the kernel puts what that worker's sessions get.

use std::io;

use ringwall_tunnel::tun::{self, SyncDevice};

use super::steering;

/// A TUN device that exists, is up, and has its queues open.
pub(super) struct Device {
    pub(super) queues: Vec<SyncDevice>,
    pub(super) index: u32,
    /// False if the kernel decides itself on which queue a packet comes.
    pub(super) steered: bool,
}

impl Device {
    /// Makes the device `name` with one queue per worker.
    pub(super) fn open(name: &str, mtu: u16, queues: usize) -> io::Result<Self> {
        let queues = tun::open(name, mtu, queues)?;
        let index = queues[0].if_index()?;
        let steered = queues.len() == 1 || Self::steer(&queues[0]);
        Ok(Self { queues, index, steered })
    }

    fn steer(queue: &SyncDevice) -> bool {
        match steering::by_destination(queue) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "kernel refuses to steer TUN queues; workers pass packets on to each other");
                false
            }
        }
    }
}
