//! From this machine into the tunnels: the pump drains the TUN into one buffer, frame behind frame, and seals each
//! run of frames to one Site with one call.
//!
//! Promise: a packet goes to the Site of its longest prefix or nowhere; a slow Site holds up no other one.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use ringwall_tunnel::frame::{FrameHeader, HEADER_LEN, MAX_PACKET};
use ringwall_tunnel::packet::{self, Departure, Layout, VirtioHeader};

use super::counters::DropReason;
use super::pump::Pump;
use super::site::Site;

/// Plaintext gathered before it is sealed and sent; the last packet may reach beyond it. More is slower, as with reads.
const BATCH: usize = 64 * 1024;
/// What one read may take: one byte more than the longest packet, so that a longer one is seen to be too long.
const READ: usize = MAX_PACKET + 1;

/// The pump's buffers for this direction; reused for ever.
pub(super) struct Batch {
    buffer: Box<[u8]>,
    /// Sites with something to flush.
    touched: Vec<Rc<Site>>,
    /// Frames that had to be cut into segments.
    cut: Vec<u8>,
    segment: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Self {
        let buffer = vec![0; BATCH + HEADER_LEN + READ].into_boxed_slice();
        Self { buffer, touched: Vec::new(), cut: Vec::new(), segment: Vec::new() }
    }
}

/// Frames to one Site that lie behind each other in the buffer.
#[derive(Default)]
struct Run {
    site: Option<Rc<Site>>,
    frames: Range<usize>,
}

impl Run {
    fn is_to(&self, site: &Rc<Site>) -> bool {
        self.site.as_ref().is_some_and(|current| Rc::ptr_eq(current, site))
    }

    /// Goes on behind the frames so far, to another Site.
    fn turn_to(&mut self, site: Rc<Site>) {
        *self = Self { site: Some(site), frames: self.frames.end..self.frames.end };
    }
}

/// Moves what waits in the device, up to one batch; true if nothing is left in it.
///
/// # Errors
/// If the device is gone.
pub(super) fn drain(pump: &Pump) -> io::Result<bool> {
    let mut batch = pump.batch.borrow_mut();
    let batch = &mut *batch;
    let mut run = Run::default();
    let mut empty = false;
    while run.frames.end < BATCH {
        let at = run.frames.end + HEADER_LEN;
        let Some((virtio, length)) = pump.queue.read(&mut batch.buffer[at..at + READ])? else {
            empty = true;
            break;
        };
        match packet(pump, batch, &mut run, virtio, length) {
            Ok(()) => pump.counters.count_sent(length),
            Err(reason) => pump.counters.count_drop(reason),
        }
    }
    seal(batch, &mut run);
    let now = Instant::now();
    for site in batch.touched.drain(..) {
        if let Some(link) = site.link.borrow_mut().as_mut() {
            link.sent(now);
        }
    }
    Ok(empty)
}

/// Turns the packet behind the run into a frame of it.
fn packet(
    pump: &Pump,
    batch: &mut Batch,
    run: &mut Run,
    virtio: VirtioHeader,
    length: usize,
) -> Result<(), DropReason> {
    let at = run.frames.end + HEADER_LEN;
    let bytes = &mut batch.buffer[at..at + length];
    let layout = packet::parse(bytes)?;
    let site = pump.site_to(layout.destination).ok_or(DropReason::NoRoute)?;
    admit(pump, run, &site, &layout, length)?;
    site.moved.count_sent(length);
    match packet::departing(virtio, bytes, &layout)? {
        Departure::Whole(header) => {
            if !run.is_to(&site) {
                seal(batch, run);
                run.turn_to(site);
            }
            batch.buffer[at - HEADER_LEN..at].copy_from_slice(&header.encode());
            run.frames.end = at + length;
        }
        Departure::Cut(size) => {
            seal(batch, run);
            run.turn_to(site);
            cut(batch, run, &layout, at..at + length, size);
        }
    }
    Ok(())
}

/// Sends a super-packet as many frames: its segments are smaller than one frame may announce.
fn cut(batch: &mut Batch, run: &Run, layout: &Layout, place: Range<usize>, size: u16) {
    let Batch { buffer, cut, segment, .. } = batch;
    cut.clear();
    packet::for_each_segment(&mut buffer[place], layout, size, segment, |segment| {
        cut.extend_from_slice(&FrameHeader::packet(segment.len() as u32, 0, 0).encode());
        cut.extend_from_slice(segment);
    });
    let frames = std::mem::take(cut);
    hand_over(&mut batch.touched, run, &frames);
    batch.cut = frames;
}

/// Whether the Site takes one more packet.
fn admit(pump: &Pump, run: &Run, site: &Rc<Site>, layout: &Layout, length: usize) -> Result<(), DropReason> {
    if !site.addresses.contains(&layout.source) {
        return Err(DropReason::ForeignSource);
    }
    let link = site.link.borrow();
    let link = link.as_ref().filter(|link| link.is_attached()).ok_or(DropReason::NoTunnel)?;
    let unsealed = if run.is_to(site) { run.frames.len() } else { 0 };
    if link.pump.pending() + unsealed + length > pump.site_queue {
        return Err(DropReason::QueueFull);
    }
    Ok(())
}

/// Encrypts the run's frames into its Site's queue. The run is empty afterwards and keeps its Site.
fn seal(batch: &mut Batch, run: &mut Run) {
    if !run.frames.is_empty() {
        hand_over(&mut batch.touched, run, &batch.buffer[run.frames.clone()]);
        run.frames.start = run.frames.end;
    }
}

fn hand_over(touched: &mut Vec<Rc<Site>>, run: &Run, frames: &[u8]) {
    let Some(site) = &run.site else { return };
    if let Some(link) = site.link.borrow_mut().as_mut() {
        if let Err(error) = link.pump.seal(frames) {
            link.broken = Some(error.kind());
        }
        if !touched.last().is_some_and(|last| Rc::ptr_eq(last, site)) {
            touched.push(Rc::clone(site));
        }
    }
}
