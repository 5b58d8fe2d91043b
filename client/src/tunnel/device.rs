//! The TUN device of the Client: one queue, each packet behind the kernel's offload header.
//!
//! Promises: reads and writes never wait; a super-packet that the kernel refuses is cut in user space, which is logged
//! once. Addresses and routes of the device are made elsewhere.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};

use ringwall_protocol::packet::{Layout, VIRTIO_LEN, VirtioHeader, for_each_segment};
use rustix::io::Errno;
use tun_rs::{AsyncDevice, DeviceBuilder, SyncDevice};

/// Packets that the kernel keeps while the pump is busy; fewer starve TCP (`tunnel.md`).
const KERNEL_QUEUE: u32 = 2_000;

/// Makes the device `name` in the caller's network namespace, up and with a single queue.
pub(super) fn open(name: &str, mtu: u16) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new()
        .name(name)
        .mtu(mtu)
        .with(|options| {
            options.offload(true).tx_queue_len(KERNEL_QUEUE);
        })
        .build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

/// The queue of the device, registered with the pump's runtime.
pub(super) struct Queue {
    device: AsyncDevice,
    /// The same queue once more: writing needs no readiness.
    write_end: OwnedFd,
    refusal_logged: Cell<bool>,
    segment: RefCell<Vec<u8>>,
}

impl Queue {
    /// Registers the queue with the current runtime.
    pub(super) fn register(device: SyncDevice) -> io::Result<Self> {
        let write_end = device.as_fd().try_clone_to_owned()?;
        let device = AsyncDevice::new(device)?;
        Ok(Self { device, write_end, refusal_logged: Cell::new(false), segment: RefCell::new(Vec::new()) })
    }

    /// Changes the device's MTU, in bytes.
    pub(super) fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        self.device.set_mtu(mtu)
    }

    /// Waits until there may be packets, or the device is gone.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.device.readable().await
    }

    /// Reads one packet into `packet`; `None` if there is none. Answers its offload header and length, which is at
    /// most that of `packet`: what was longer is cut short and will not parse.
    pub(super) fn read(&self, packet: &mut [u8]) -> io::Result<Option<(VirtioHeader, usize)>> {
        let mut header = [0; VIRTIO_LEN];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(packet)];
        match self.device.try_recv_vectored(&mut parts) {
            Ok(read) => Ok(Some((VirtioHeader::decode(header), read.saturating_sub(VIRTIO_LEN)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a packet to the kernel, cut into segments if it does not take it whole.
    pub(super) fn write(&self, header: VirtioHeader, packet: &mut [u8], layout: &Layout) -> io::Result<()> {
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
