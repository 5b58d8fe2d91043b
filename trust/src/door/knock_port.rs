//! The UDP port of knocks: every datagram is judged once, nothing is ever answered.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use ringwall_protocol::spa::KNOCK_LEN;
use ringwall_protocol::time::UnixMillis;
use tokio::net::UdpSocket;

use crate::spa::{Knock, KnockError, Receiver};

/// Reads knocks until the socket breaks, and hands each judgement to `judged`.
///
/// # Errors
/// What broke the socket; it does not end otherwise.
pub async fn listen(
    socket: &UdpSocket,
    receiver: &Mutex<Receiver>,
    clock: impl Fn() -> UnixMillis,
    mut judged: impl FnMut(SocketAddr, Result<Knock, KnockError>),
) -> io::Error {
    // One byte more than a knock: what fills it is none.
    let mut buffer = [0; KNOCK_LEN + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, source)) => {
                let now = clock();
                // A panic elsewhere cannot leave the receiver half changed in a way that accepts more than it should.
                let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                let judgement = receiver.packet(&buffer[..length], now);
                drop(receiver);
                judged(source, judgement);
            }
            // A port-unreachable of an earlier peer; the socket itself stands.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return error,
        }
    }
}
