//! The UDP port of knocks (mode UDP-TCP): a right knock opens the TCP port for its source, for 10 s. Nothing is answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::spa::{KNOCK_LEN, Service};
use ringwall_trust::spa::Receiver;
use tokio::net::UdpSocket;

use crate::firewall::Enforcer;

/// How long the port stays open for a source that knocked (review F22).
const OPEN: Duration = Duration::from_secs(10);

/// Listens for knocks until the socket breaks.
pub async fn listen(socket: UdpSocket, receiver: Arc<Mutex<Receiver>>, enforcer: Enforcer, port: u16) {
    // One byte more than a knock: what fills it is none.
    let mut buffer = [0; KNOCK_LEN + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, source)) => judge(&buffer[..length], source, &receiver, &enforcer, port),
            // A port-unreachable of an earlier peer; the socket itself stands.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return tracing::error!(%error, "the port for knocks is gone"),
        }
    }
}

fn judge(packet: &[u8], source: SocketAddr, receiver: &Mutex<Receiver>, enforcer: &Enforcer, port: u16) {
    let now = crate::clock::wall();
    let knock = receiver.lock().unwrap_or_else(PoisonError::into_inner).packet(packet, now);
    match knock {
        Ok(knock) if knock.service == Service::Tunnel => {
            metrics::counter!("ringwall_knocks_total").increment(1);
            // Whether the kernel took it shows when the connection comes.
            drop(enforcer.open_knock(source.ip(), port, OPEN));
        }
        Ok(_) => metrics::counter!("ringwall_knocks_refused_total", "why" => "service").increment(1),
        Err(error) => {
            metrics::counter!("ringwall_knocks_refused_total", "why" => format!("{error:?}")).increment(1);
        }
    }
}
