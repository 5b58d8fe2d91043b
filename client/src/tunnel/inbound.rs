//! From a Site's tunnel to this machine: one task per tunnel, asleep while nothing comes.
//!
//! Promise: what reaches the TUN is for the tunnel's own address and comes from an address that belongs to this Site,
//! so that no Site can speak for another one or for the local network. ICMP errors may come from anywhere if the
//! packet that they quote went to this Site.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use ringwall_tunnel::frame::{FLAG_PARTIAL_CHECKSUM, Frame, FrameHeader, FrameKind};
use ringwall_tunnel::packet::{self, Layout};
use tokio::time::Sleep;

use super::counters::DropReason;
use super::event::{LossReason, TunnelEvent, Violation};
use super::keep_alive::{Due, KeepAlive};
use super::pump::{Pump, Scratch};
use super::site::{Link, Phase, Site};

/// Reads from one socket before others get their turn: 4 × 64 KiB.
const READS_PER_TURN: usize = 4;

/// Drives one tunnel until its end.
pub(super) async fn run(pump: Rc<Pump>, site: Rc<Site>, serial: u64, armed: Instant) {
    let mut watch = DefectWatch { pump: &pump, site: &site, serial, armed: true };
    let mut timer = Box::pin(tokio::time::sleep_until(armed.into()));
    let end = std::future::poll_fn(|cx| turn(&pump, &site, serial, &mut timer, cx)).await;
    watch.armed = false;
    if let Some(reason) = end {
        site.close_link();
        pump.events.tunnel_event(TunnelEvent::SiteLost { site: site.id, reason });
    }
}

/// A panic in one tunnel's task ends that tunnel only, and is told.
struct DefectWatch<'a> {
    pump: &'a Pump,
    site: &'a Site,
    serial: u64,
    armed: bool,
}

impl Drop for DefectWatch<'_> {
    fn drop(&mut self) {
        if !self.armed || !std::thread::panicking() {
            return;
        }
        if let Ok(mut link) = self.site.link.try_borrow_mut()
            && link.as_ref().is_some_and(|link| link.serial == self.serial)
        {
            *link = None;
        }
        let reason = LossReason::Defect;
        self.pump.events.tunnel_event(TunnelEvent::SiteLost { site: self.site.id, reason });
    }
}

/// One turn of a tunnel's task; ready with the reason of its loss, or with `None` if another tunnel took its place.
fn turn(
    pump: &Pump,
    site: &Site,
    serial: u64,
    timer: &mut Pin<Box<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Option<LossReason>> {
    let mut slot = site.link.borrow_mut();
    let Some(link) = slot.as_mut().filter(|link| link.serial == serial) else { return Poll::Ready(None) };
    link.remember(cx.waker());
    let moved = receive(pump, site, link, cx);
    match moved {
        Err(reason) => Poll::Ready(Some(reason)),
        Ok(()) => match watch_time(link, timer, cx) {
            Some(reason) => Poll::Ready(Some(reason)),
            None => Poll::Pending,
        },
    }
}

/// Sends what waits and receives what came, within one turn's share.
fn receive(pump: &Pump, site: &Site, link: &mut Link, cx: &mut Context<'_>) -> Result<(), LossReason> {
    let mut scratch = pump.scratch.borrow_mut();
    let broken = |error: std::io::Error| LossReason::Broken(error.kind());
    for _ in 0..READS_PER_TURN {
        if let Some(kind) = link.broken {
            return Err(LossReason::Broken(kind));
        }
        flush(link, cx).map_err(broken)?;
        let Scratch { raw, plain } = &mut *scratch;
        let waited = link.rest.len();
        plain[..waited].copy_from_slice(&link.rest);
        let received = match link.pump.poll_receive(cx, raw, &mut plain[waited..]).map_err(broken)? {
            Poll::Pending => {
                if waited == 0 {
                    link.rest = Vec::new();
                }
                return Ok(());
            }
            Poll::Ready(Some(received)) => received,
            Poll::Ready(None) => return Err(LossReason::Closed),
        };
        if let Phase::Attached(keep_alive) = &mut link.phase {
            keep_alive.heard(Instant::now());
        }
        frames(pump, site, link, &mut plain[..waited + received]).map_err(LossReason::Violated)?;
    }
    cx.waker().wake_by_ref();
    Ok(())
}

/// Sends what waited for the socket. That a full queue moved on shows that the Gateway acknowledges.
fn flush(link: &mut Link, cx: &mut Context<'_>) -> std::io::Result<()> {
    let before = link.pump.pending();
    if let Poll::Ready(result) = link.pump.poll_flush(cx) {
        result?;
    }
    if let Phase::Attached(keep_alive) = &mut link.phase
        && link.pump.pending() < before
    {
        keep_alive.progressed(Instant::now());
    }
    Ok(())
}

/// Looks at the clock if the timer rang, and arms it anew if it must ring earlier than it would.
fn watch_time(link: &mut Link, timer: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>) -> Option<LossReason> {
    loop {
        if link.deadline() < link.armed {
            link.armed = link.deadline();
            timer.as_mut().reset(link.armed.into());
        }
        if timer.as_mut().poll(cx).is_pending() {
            return None;
        }
        let now = Instant::now();
        match &mut link.phase {
            Phase::Attaching { until } if now >= *until => return Some(LossReason::NotAttached),
            Phase::Attaching { .. } => {}
            Phase::Attached(keep_alive) => match keep_alive.due(now) {
                Due::Wait => {}
                Due::Ask => {
                    if let Err(error) = ask(link) {
                        return Some(LossReason::Broken(error.kind()));
                    }
                }
                Due::Dead => return Some(LossReason::Silent),
            },
        }
        link.armed = link.deadline();
        timer.as_mut().reset(link.armed.into());
    }
}

fn ask(link: &mut Link) -> std::io::Result<()> {
    // Behind a full queue the question would only be late: what waits in it is question enough.
    if link.pump.pending() == 0 {
        link.pump.seal(&FrameHeader::plain(FrameKind::KeepAlive, 0).encode())?;
        link.pump.flush()?;
    }
    Ok(())
}

/// Handles every complete frame and keeps what is left for the next time.
fn frames(pump: &Pump, site: &Site, link: &mut Link, plain: &mut [u8]) -> Result<(), Violation> {
    let mut at = 0;
    while let Some(frame) = Frame::at(plain, at)? {
        at = frame.payload.end;
        match (frame.header.kind, link.is_attached()) {
            (FrameKind::Packet, true) => {
                let bytes = frame.payload.len();
                match packet(pump, site, frame.header, &mut plain[frame.payload]) {
                    Ok(()) => {
                        pump.counters.count_received(bytes);
                        site.moved.count_received(bytes);
                    }
                    Err(reason) => pump.counters.count_drop(reason),
                }
            }
            // That it came was noted already.
            (FrameKind::KeepAlive, true) => {}
            (FrameKind::Attach, false) if frame.payload.is_empty() => {
                link.phase = Phase::Attached(KeepAlive::new(Instant::now()));
                pump.events.tunnel_event(TunnelEvent::SiteAttached { site: site.id });
            }
            _ => return Err(Violation::Attach),
        }
    }
    link.rest.clear();
    link.rest.extend_from_slice(&plain[at..]);
    Ok(())
}

fn packet(pump: &Pump, site: &Site, header: FrameHeader, bytes: &mut [u8]) -> Result<(), DropReason> {
    let layout = packet::parse(bytes)?;
    if !site.addresses.contains(&layout.destination) {
        return Err(DropReason::ForeignDestination);
    }
    if !pump.belongs(site, layout.source) && !is_error_about(pump, site, bytes, &layout) {
        return Err(DropReason::OutsideSite);
    }
    let partial = header.flags & FLAG_PARTIAL_CHECKSUM != 0;
    let virtio = packet::arriving(bytes, &layout, header.segment_size, partial)?;
    pump.queue.write(virtio, bytes, &layout).map_err(|error| {
        tracing::debug!(%error, ?virtio, "TUN write failed");
        DropReason::Device
    })
}

/// An ICMP error about a packet that we sent to this Site.
fn is_error_about(pump: &Pump, site: &Site, bytes: &[u8], layout: &Layout) -> bool {
    packet::quoted_addresses(bytes, layout)
        .is_some_and(|(from, to)| site.addresses.contains(&from) && pump.belongs(site, to))
}
