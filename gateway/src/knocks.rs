//! What a right knock does here (mode UDP-TCP): it opens the TCP port for its source, for 10 s and for as many
//! connections as it bought. The kernel counts; the table here knows what is left when the next knock comes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ringwall_protocol::spa::Service;
use ringwall_trust::spa::{self, Heard, Hole, Pinholes, Receiver};
use tokio::net::UdpSocket;

use crate::firewall::Enforcer;

/// Opens and closes the port for single sources.
pub(crate) struct KnockHandler {
    enforcer: Enforcer,
    port: u16,
    holes: Mutex<Pinholes>,
}

impl KnockHandler {
    /// For the TCP port that knocks open.
    #[must_use]
    pub(crate) fn new(enforcer: Enforcer, port: u16) -> Self {
        Self { enforcer, port, holes: Mutex::default() }
    }

    /// Reads knocks until the socket breaks.
    pub(crate) async fn listen(self: Arc<Self>, socket: UdpSocket, receiver: Arc<Mutex<Receiver>>) {
        let error = spa::listen(&socket, &receiver, crate::clock::wall, |heard| self.heard(heard)).await;
        tracing::error!(%error, "the port for knocks is gone");
    }

    /// A connection was accepted: if it was the last that was bought, the port closes for its source.
    pub(crate) fn came(&self, source: IpAddr) {
        let hole = Hole::new(source, self.port);
        if self.holes().spend(hole) {
            // The kernel has counted already; this only frees the element.
            drop(self.enforcer.close_knock(hole.source, hole.port));
        }
    }

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Knock(source, knock) if knock.service == Service::Tunnel => {
                metrics::counter!("ringwall_knocks_total").increment(1);
                let hole = Hole::new(source.ip(), self.port);
                let connections = self.holes().buy(hole, &knock.owner, knock.connections, Instant::now());
                // Whether the kernel took it shows when the connection comes.
                drop(self.enforcer.open_knock(hole.source, hole.port, connections, Pinholes::OPEN));
            }
            Heard::Knock(..) => metrics::counter!("ringwall_knocks_refused_total", "why" => "service").increment(1),
            Heard::Refused(why, count) => {
                metrics::counter!("ringwall_knocks_refused_total", "why" => why.kind()).increment(count);
            }
        }
    }

    fn holes(&self) -> MutexGuard<'_, Pinholes> {
        // A panic elsewhere leaves a table that opens too little at worst.
        self.holes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
