//! A TUN device whose packets come behind the kernel's offload header: Gateway and Client alike.
//!
//! Promises: reads and writes never wait; a super-packet that the kernel refuses is cut in user space, which is logged
//! once per queue. Addresses and routes of the device are made elsewhere.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};

use crate::packet::{Layout, VIRTIO_LEN, VirtioHeader, for_each_segment};
use rustix::io::Errno;
use tun_rs::{AsyncDevice, DeviceBuilder};

pub use tun_rs::SyncDevice;

/// Packets that the kernel keeps per queue while its thread is busy; fewer starve TCP.
const KERNEL_QUEUE: u32 = 2_000;

/// Makes the device `name` in the caller's network namespace, up, with this many queues, of which one at least.
///
/// # Errors
/// What the kernel says.
pub fn open(name: &str, mtu: u16, queues: usize) -> io::Result<Vec<SyncDevice>> {
    let first = DeviceBuilder::new()
        .name(name)
        .mtu(mtu)
        .with(|options| {
            options.offload(true).multi_queue(queues > 1).tx_queue_len(KERNEL_QUEUE);
        })
        .build_sync()?;
    first.set_nonblocking(true)?;
    let mut all = vec![first];
    while all.len() < queues {
        let next = all[0].try_clone()?;
        next.set_nonblocking(true)?;
        all.push(next);
    }
    Ok(all)
}

/// One queue, registered with the runtime of the thread that moves its packets.
pub struct Queue {
    device: AsyncDevice,
    /// The same queue once more: writing needs no readiness.
    write_end: OwnedFd,
    refusal_logged: Cell<bool>,
    segment: RefCell<Vec<u8>>,
}

impl Queue {
    /// Registers a queue with the current runtime. Must be called inside it.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn register(device: SyncDevice) -> io::Result<Self> {
        let write_end = device.as_fd().try_clone_to_owned()?;
        let device = AsyncDevice::new(device)?;
        Ok(Self { device, write_end, refusal_logged: Cell::new(false), segment: RefCell::new(Vec::new()) })
    }

    /// Changes the device's MTU, in bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        self.device.set_mtu(mtu)
    }

    /// Waits until there may be packets.
    ///
    /// # Errors
    /// The device is gone.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.device.readable().await
    }

    /// Reads one packet into `packet`; `None` if there is none. Answers its offload header and length, which is at
    /// most that of `packet`: what was longer is cut short and will not parse.
    ///
    /// # Errors
    /// The device is gone.
    pub(crate) fn read(&self, packet: &mut [u8]) -> io::Result<Option<(VirtioHeader, usize)>> {
        let mut header = [0; VIRTIO_LEN];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(packet)];
        match self.device.try_recv_vectored(&mut parts) {
            Ok(read) => Ok(Some((VirtioHeader::decode(header), read.saturating_sub(VIRTIO_LEN)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a packet to the kernel, cut into segments if it does not take it whole.
    ///
    /// # Errors
    /// The kernel took it neither way.
    pub(crate) fn write(&self, header: VirtioHeader, packet: &mut [u8], layout: &Layout) -> io::Result<()> {
        match self.write_whole(header, packet) {
            Err(Errno::INVAL) if header.is_super() => self.write_cut(header.gso_size, packet, layout),
            result => Ok(result?),
        }
    }

    fn write_whole(&self, header: VirtioHeader, packet: &[u8]) -> Result<(), Errno> {
        rustix::io::writev(&self.write_end, &[IoSlice::new(&header.encode()), IoSlice::new(packet)])?;
        Ok(())
    }

    fn write_cut(&self, size: u16, packet: &mut [u8], layout: &Layout) -> io::Result<()> {
        if !self.refusal_logged.replace(true) {
            tracing::warn!(size, kind = ?layout.transport.map(|transport| transport.kind),
                "kernel refuses a super-packet; such are cut in user space from now on");
        }
        let mut result = Ok(());
        for_each_segment(packet, layout, size, &mut self.segment.borrow_mut(), |segment| {
            if result.is_ok() {
                result = self.write_whole(VirtioHeader::default(), segment);
            }
        });
        Ok(result?)
    }
}
