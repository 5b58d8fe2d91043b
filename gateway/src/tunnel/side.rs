//! The Gateway's side of its tunnels: the peers of a worker are the sessions that it owns.
//!
//! Promises: what reaches the TUN has the session's own source address; a cut session's packets stop at once, because every
//! packet looks at its session's gate; a packet that another worker owns is passed on to it, once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;
use ringwall_tunnel::link::Link;
use ringwall_tunnel::loss::LossReason;
use ringwall_tunnel::packet::Layout;
use ringwall_tunnel::side::{Origin, PeerSide, Stray, Unrouted};
use ringwall_tunnel::worker::Worker;
use tokio::sync::mpsc;

use super::admission::{self, Reception};
use super::drop_reason::DropReason;
use super::event::{TunnelEvent, TunnelEvents};
use super::grants::Gate;
use super::order::{Attachment, Order};
use super::owner;
use super::session::Session;

/// Packets that may wait for another worker's attention.
pub(super) const STRAYS: usize = 256;

/// What a side is made of, on its worker's thread.
pub(super) struct SideParts {
    /// Number of the worker.
    pub(super) number: usize,
    pub(super) events: Arc<dyn TunnelEvents>,
    pub(super) reception: Arc<Reception>,
    /// To every worker, this one included.
    pub(super) strays: Vec<mpsc::Sender<Stray>>,
    pub(super) stray_inbox: mpsc::Receiver<Stray>,
}

/// What one worker knows of sessions, and how it reaches the other workers.
pub(super) struct GatewaySide {
    number: usize,
    events: Arc<dyn TunnelEvents>,
    reception: Arc<Reception>,
    strays: Vec<mpsc::Sender<Stray>>,
    stray_inbox: RefCell<mpsc::Receiver<Stray>>,
    sessions: RefCell<HashMap<SessionId, Rc<Session>>>,
    routes: RefCell<HashMap<IpAddr, Route>>,
}

enum Route {
    Here(Rc<Session>),
    There(usize),
}

impl GatewaySide {
    pub(super) fn new(parts: SideParts) -> Self {
        let SideParts { number, events, reception, strays, stray_inbox } = parts;
        Self {
            number,
            events,
            reception,
            strays,
            stray_inbox: RefCell::new(stray_inbox),
            sessions: RefCell::default(),
            routes: RefCell::default(),
        }
    }

    /// What all workers share.
    pub(super) fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Which other worker takes packets to this address. With `told_only`, only if there was an order to pass them
    /// on: a packet that was passed on by the rule once must not come back by the same rule.
    fn owner_of(&self, destination: IpAddr, told_only: bool) -> Option<usize> {
        match self.routes.borrow().get(&destination) {
            Some(Route::There(owner)) => Some(*owner),
            Some(Route::Here(_)) => None,
            None => Some(owner::of(destination, self.strays.len())).filter(|owner| !told_only && *owner != self.number),
        }
    }

    fn open(&self, id: SessionId, addresses: SessionAddresses, gate: Arc<Gate>) {
        let session = Rc::new(Session::new(id, addresses, gate));
        for address in addresses.iter() {
            self.routes.borrow_mut().insert(address, Route::Here(Rc::clone(&session)));
        }
        self.sessions.borrow_mut().insert(id, session);
    }

    fn cut(&self, id: SessionId) {
        let Some(session) = self.sessions.borrow_mut().remove(&id) else { return };
        self.routes.borrow_mut().retain(|_, route| !matches!(route, Route::Here(held) if Rc::ptr_eq(held, &session)));
        session.link.close();
    }
}

impl PeerSide for GatewaySide {
    type Peer = Session;
    type Order = Order;
    type Reason = DropReason;

    fn peer_to(&self, destination: IpAddr, likely: Option<&Rc<Session>>) -> Option<Rc<Session>> {
        if let Some(session) = likely.filter(|session| session.addresses.contains(destination)) {
            return Some(Rc::clone(session));
        }
        match self.routes.borrow().get(&destination) {
            Some(Route::Here(session)) => Some(Rc::clone(session)),
            _ => None,
        }
    }

    /// A packet to no session of this worker: to its owner, if that is another one.
    fn unrouted(&self, packet: &Unrouted<'_>) -> Result<(), DropReason> {
        let told_only = packet.origin == Origin::Worker;
        let owner = self.owner_of(packet.destination, told_only).ok_or(DropReason::NoSession)?;
        let stray = Stray { header: packet.header, packet: packet.packet.into() };
        self.strays[owner].try_send(stray).map_err(|_| DropReason::WorkerBusy)
    }

    fn gate(&self, session: &Session) -> Result<(), DropReason> {
        if session.gate.is_open() { Ok(()) } else { Err(DropReason::Cut) }
    }

    fn may_leave(&self, session: &Session, _packet: &[u8], layout: &Layout) -> Result<(), DropReason> {
        if !session.addresses.contains(layout.source) {
            return Err(DropReason::ForeignSource);
        }
        if layout.fragment && !session.fragments.borrow_mut().admits(Instant::now()) {
            return Err(DropReason::Fragments);
        }
        Ok(())
    }

    fn poll_stray(&self, cx: &mut Context<'_>) -> Poll<Stray> {
        match self.stray_inbox.borrow_mut().poll_recv(cx) {
            Poll::Ready(Some(stray)) => Poll::Ready(stray),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn lost(&self, session: &Session, reason: LossReason) {
        let session = session.id;
        self.events.tunnel_event(match reason {
            LossReason::Violated(violation) => TunnelEvent::ProtocolViolation { session, violation },
            reason => TunnelEvent::Lost { session, reason },
        });
    }

    fn obey(worker: &Rc<Worker<Self>>, order: Order) -> ControlFlow<()> {
        let side = worker.side();
        match order {
            Order::Open { session, addresses, gate } => side.open(session, addresses, gate),
            Order::PassOn { address, owner } => {
                side.routes.borrow_mut().insert(address, Route::There(owner));
            }
            Order::Admit(accepted) => {
                tokio::task::spawn_local(admission::receive(Rc::clone(worker), *accepted));
            }
            Order::Attach(attachment) => attach(worker, *attachment),
            Order::Cut { session, done } => {
                side.cut(session);
                // Whoever asked may have gone; the session is cut all the same.
                let _nobody_waits = done.send(());
            }
            Order::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

fn attach(worker: &Rc<Worker<GatewaySide>>, attachment: Attachment) {
    let Attachment { session, stream, connection, peer } = attachment;
    let side = worker.side();
    let Some(session) = side.sessions.borrow().get(&session).filter(|found| found.gate.is_open()).cloned() else {
        return;
    };
    let id = session.id;
    match Link::answering(stream, connection) {
        Ok(link) => {
            let replaced = worker.carry(session, link);
            side.events.tunnel_event(TunnelEvent::Attached { session: id, peer, replaced });
        }
        Err(error) => tracing::warn!(%error, session = %id, "tunnel socket cannot be taken over"),
    }
}
