//! What a right knock does here (mode UDP-TCP): it opens the TCP port for its source, for 10 s and for as many
//! connections as it bought. They are counted when they prove themselves: a SYN proves nothing (T47).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ringwall_protocol::spa::Service;
use ringwall_trust::spa::{self, Heard, Hole, KeyOwner, Pinholes, Receiver, Spent};
use ringwall_trust::tls::Purchases;
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

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Knock(source, knock) if knock.service == Service::Tunnel => {
                metrics::counter!("ringwall_knocks_total").increment(1);
                let hole = Hole::new(source.ip(), self.port);
                // Held until the order is given: orders come to the kernel as the table changed.
                let mut holes = self.holes();
                if !holes.buy(hole, &knock.owner, knock.connections, Instant::now()) {
                    metrics::counter!("ringwall_knocks_refused_total", "why" => "keys").increment(1);
                    return;
                }
                // Whether the kernel took it shows when the connection comes.
                drop(self.enforcer.open_knock(hole.source, hole.port, Pinholes::OPEN));
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

impl Purchases for KnockHandler {
    /// Where what was bought is spent, the port closes for its source.
    fn spend(&self, source: SocketAddr, _port: u16, owner: &KeyOwner) -> bool {
        let hole = Hole::new(source.ip(), self.port);
        let mut holes = self.holes();
        let spent = holes.spend(hole, owner, Instant::now());
        if spent == Spent::Last {
            // Should it not come through, the pinhole ends within 10 s.
            drop(self.enforcer.close_knock(hole.source, hole.port));
        }
        spent != Spent::Nothing
    }
}
