//! A session as its owner worker sees it: addresses, gate, and the tunnel if it has one at the moment.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::SessionId;
use ringwall_tunnel::record_pump::RecordPump;

use super::fragments::FragmentBudget;
use super::grants::Gate;

/// What one worker knows of one session.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) addresses: SessionAddresses,
    pub(super) gate: Arc<Gate>,
    pub(super) fragments: RefCell<FragmentBudget>,
    pub(super) tunnel: RefCell<Option<Tunnel>>,
}

/// The attached tunnel.
pub(super) struct Tunnel {
    pub(super) pump: RecordPump,
    /// Plaintext of a frame whose end has not come yet.
    pub(super) rest: Vec<u8>,
    /// Tells this tunnel from the one that it replaced.
    pub(super) serial: u64,
    /// What broke it while packets were sent; its task reports it.
    pub(super) broken: Option<io::ErrorKind>,
    waker: Option<Waker>,
}

impl Session {
    pub(super) fn new(id: SessionId, addresses: SessionAddresses, gate: Arc<Gate>) -> Self {
        Self { id, addresses, gate, fragments: RefCell::default(), tunnel: RefCell::new(None) }
    }

    /// Closes the tunnel, if there is one; its task ends by itself.
    pub(super) fn close_tunnel(&self) {
        let former = self.tunnel.borrow_mut().take();
        if let Some(tunnel) = former {
            tunnel.wake();
            tunnel.pump.close();
        }
    }
}

impl Tunnel {
    pub(super) const fn new(pump: RecordPump, serial: u64) -> Self {
        Self { pump, rest: Vec::new(), serial, broken: None, waker: None }
    }

    /// Remembers whom to wake when this tunnel has something to do that no socket announces.
    pub(super) fn remember(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Wakes the tunnel's task.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Sends what the kernel takes; the tunnel's task goes on with the rest, or reports what broke.
    pub(super) fn flush(&mut self) {
        match self.pump.flush() {
            Ok(true) => {}
            Ok(false) => self.wake(),
            Err(error) => {
                self.broken = Some(error.kind());
                self.wake();
            }
        }
    }
}
