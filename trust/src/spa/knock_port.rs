//! The UDP port for knocks: whatever comes in is judged, nothing ever goes out.
//!
//! Junk is cheap: it is read in batches, costs one look-up, and is told of by number only, once a batch.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use ringwall_protocol::spa::KNOCK_LEN;
use ringwall_protocol::time::UnixMillis;
use tokio::net::UdpSocket;

use crate::spa::{Knock, KnockError, Receiver};

/// Datagrams that are judged before anybody else has a turn: some 50 µs of junk.
const BATCH: usize = 64;

/// Room for what came while others had their turn, in bytes: some 5,000 datagrams, so that a burst of junk does not push
/// out the right knock behind it.
const ROOM: usize = 4 << 20;

/// Opens a port for knocks, with room for bursts as far as this process may have it. Does not block.
///
/// # Errors
/// If the address is not to be had.
pub fn open_port(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    // Without CAP_NET_ADMIN the host's `net.core.rmem_max` is the bound.
    if setsockopt(&socket, RcvBufForce, &ROOM).is_err() {
        setsockopt(&socket, RcvBuf, &ROOM)?;
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// What a port for knocks has to tell.
#[derive(Debug)]
pub enum Heard {
    /// A right knock, and where it came from.
    Knock(SocketAddr, Knock),
    /// So many were refused for this reason since the last word.
    Refused(KnockError, u64),
}

/// Reads knocks until the socket breaks, and tells `heard` of them.
///
/// # Errors
/// What broke the socket; it does not end otherwise.
pub async fn listen(
    socket: &UdpSocket,
    receiver: &Mutex<Receiver>,
    clock: impl Fn() -> UnixMillis,
    mut heard: impl FnMut(Heard),
) -> io::Error {
    let mut refused = Refusals::default();
    loop {
        if let Err(error) = socket.readable().await {
            return error;
        }
        let outcome = judge_batch(socket, receiver, clock(), &mut refused, &mut heard);
        refused.tell(&mut heard);
        match outcome {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => {}
            Err(error) => return error,
        }
    }
}

/// Judges what waits; true if there may be more.
fn judge_batch(
    socket: &UdpSocket,
    receiver: &Mutex<Receiver>,
    now: UnixMillis,
    refused: &mut Refusals,
    heard: &mut impl FnMut(Heard),
) -> io::Result<bool> {
    // One byte more than a knock: what fills it is none.
    let mut buffer = [0; KNOCK_LEN + 1];
    for _ in 0..BATCH {
        let (length, source) = match socket.try_recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            // A port-unreachable of an earlier peer; the socket itself stands.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        // A panic elsewhere cannot leave the receiver half changed in a way that accepts more than it should.
        let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let judgement = receiver.packet(&buffer[..length], source.ip(), now);
        drop(receiver);
        match judgement {
            Ok(knock) => heard(Heard::Knock(source, knock)),
            Err(error) => refused.count(error),
        }
    }
    Ok(true)
}

/// Refusals that were not told of yet. Has no more entries than there are reasons.
#[derive(Debug, Default)]
struct Refusals(Vec<(KnockError, u64)>);

impl Refusals {
    fn count(&mut self, why: KnockError) {
        match self.0.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => self.0.push((why, 1)),
        }
    }

    /// Keeps its memory: a flood goes on.
    fn tell(&mut self, heard: &mut impl FnMut(Heard)) {
        self.0.drain(..).for_each(|(why, count)| heard(Heard::Refused(why, count)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringwall_protocol::spa::{KNOCK_FIRST_BYTE, Service};
    use tokio::time::timeout;

    use super::*;
    use crate::secret::{SecretKey, SystemRandom};
    use crate::spa::{Destination, KeyOwner, KnockRequest, SpaKey, SpaWindow};

    const NOW: UnixMillis = UnixMillis(1_795_348_800_000);

    #[test]
    fn junk_is_told_of_by_number_and_a_right_knock_among_it_by_itself() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let secret = SecretKey::new([7; 32]);
            let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, NOW.minus(Duration::from_secs(60)));
            receiver.add(KeyOwner::Profile("a".into()), SpaKey::new(&secret));
            let socket = open_port("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let at = socket.local_addr().expect("bound");
            let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            let request = KnockRequest { service: Service::Client, destination: Destination::of(at), now: NOW };
            let knock = request.packet(&SpaKey::new(&secret), 1, &SystemRandom);
            let mut junk = [KNOCK_FIRST_BYTE; KNOCK_LEN];
            junk[1] = 9;
            for packet in [&junk[..], &junk, b"hello", &knock, &junk, &[0xFF; 400]] {
                sender.send_to(packet, at).await.expect("sent");
            }
            let (mut refused, mut knocks) = (std::collections::HashMap::new(), 0);
            let receiver = Mutex::new(receiver);
            let (done, all) = (tokio::sync::Notify::new(), 6);
            let mut count = 0;
            let heard = |heard| {
                match heard {
                    Heard::Knock(source, _) => {
                        assert_eq!(Some(source), sender.local_addr().ok());
                        knocks += 1;
                        count += 1;
                    }
                    Heard::Refused(why, number) => {
                        *refused.entry(why).or_insert(0) += number;
                        count += number;
                    }
                }
                if count == all {
                    done.notify_one();
                }
            };
            let judged = async {
                tokio::select! {
                    error = listen(&socket, &receiver, || NOW, heard) => panic!("{error}"),
                    () = done.notified() => {}
                }
            };
            timeout(Duration::from_secs(10), judged).await.expect("everything is judged");
            assert_eq!(knocks, 1);
            assert_eq!(refused, [(KnockError::UnknownHint, 3), (KnockError::Shape, 2)].into());
        });
    }
}
