//! The two ends of a tunnel differ in whom they speak with, not in how packets move. This is the difference.
//!
//! A Gateway implements [`PeerSide`] with sessions as peers, a Client with Sites. The worker that moves packets is generic
//! over it, so that every decision on the path of a packet is a direct call.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::counters::{Reason, Traffic};
use crate::link::LinkSlot;
use crate::loss::LossReason;
use crate::packet::{Layout, VirtioHeader};
use crate::worker::Worker;

/// Who is at the other end of a tunnel. It may be without one: packets to it are dropped then.
pub trait Peer: 'static {
    /// Where its tunnel is, while it has one.
    fn link(&self) -> &LinkSlot;
}

/// One end of all tunnels of a worker: who may send what, and where it goes. Lives on the worker's thread.
pub trait PeerSide: Sized + 'static {
    /// Who is at the other end.
    type Peer: Peer;
    /// What the worker is told to do.
    type Order: Send + 'static;
    /// Why packets are dropped.
    type Reason: Reason;

    /// The peer to whom packets for `destination` go, if it is one of this worker. `likely` had the packet before, and is
    /// often right because packets come in bursts.
    fn peer_to(&self, destination: IpAddr, likely: Option<&Rc<Self::Peer>>) -> Option<Rc<Self::Peer>>;

    /// Takes a packet from the TUN whose destination is no peer's.
    ///
    /// # Errors
    /// The reason for which it is dropped.
    fn unrouted(&self, packet: &Unrouted<'_>) -> Result<(), Self::Reason>;

    /// Whether anything may pass between the peer and the TUN. Checked for every packet in both directions, and again
    /// when packets are sealed: it may have changed on another thread since.
    ///
    /// # Errors
    /// The reason for which packets are dropped.
    fn gate(&self, _peer: &Self::Peer) -> Result<(), Self::Reason> {
        Ok(())
    }

    /// Whether a packet from the TUN may enter the peer's tunnel.
    ///
    /// # Errors
    /// The reason for which it is dropped.
    fn may_enter(&self, _peer: &Self::Peer, _layout: &Layout) -> Result<(), Self::Reason> {
        Ok(())
    }

    /// Whether a packet from the peer's tunnel may go to the TUN. `layout` is that of `packet`.
    ///
    /// # Errors
    /// The reason for which it is dropped.
    fn may_leave(&self, peer: &Self::Peer, packet: &[u8], layout: &Layout) -> Result<(), Self::Reason>;

    /// Where the peer's own traffic is counted, besides the worker's.
    fn traffic<'a>(&self, _peer: &'a Self::Peer) -> Option<&'a Traffic> {
        None
    }

    /// A packet that came on another worker's queue and belongs here.
    fn poll_stray(&self, _cx: &mut Context<'_>) -> Poll<Stray> {
        Poll::Pending
    }

    /// The peer accepted our attach token; packets pass from now on.
    fn attached(&self, _peer: &Self::Peer) {}

    /// The peer's tunnel is gone, and nobody here asked for it.
    fn lost(&self, peer: &Self::Peer, reason: LossReason);

    /// Carries out an order, between two batches of packets. The worker ends on [`ControlFlow::Break`].
    fn obey(worker: &Rc<Worker<Self>>, order: Self::Order) -> ControlFlow<()>;
}

/// A packet from the TUN that is for no peer of this worker.
#[derive(Debug)]
pub struct Unrouted<'a> {
    /// Its destination address.
    pub destination: IpAddr,
    /// The kernel's offload header.
    pub header: VirtioHeader,
    /// The packet.
    pub packet: &'a [u8],
    /// Where it was read.
    pub origin: Origin,
}

/// Where a packet from the TUN was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On this worker's queue.
    Queue,
    /// On another worker's queue.
    Worker,
}

/// A packet that was read on another worker's queue.
#[derive(Debug)]
pub struct Stray {
    /// The kernel's offload header.
    pub header: VirtioHeader,
    /// The packet, at most `MAX_PACKET` + 1 bytes.
    pub packet: Box<[u8]>,
}
