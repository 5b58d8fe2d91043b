//! What an unauthenticated peer sends first: a ClientHello, in pieces of any size, and the ALPN entries in it.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ringwall_protocol::spa::Service;

use super::accept::{HelloReader, MAX_HELLO_BYTES, entries_of};
use super::gate::opens;
use super::{Alpn, Gate, GateError, HelloError, SpaPolicy};
use crate::fuzz::choices::Choices;
use crate::spa::fuzz::{NOW, receiver};

/// Most that one read of the TLS library takes.
const ONE_READ: usize = 18 * 1024;

/// Size of a piece, then what a peer sends.
#[must_use]
pub fn client_hello(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let piece = 1 + usize::from(choices.byte()) * 7;
    let sent = choices.rest();
    let (in_pieces, seen) = read(sent, piece);
    let (at_once, _) = read(sent, sent.len().max(1));
    assert!(seen <= MAX_HELLO_BYTES + ONE_READ, "{seen} bytes were read of an unauthenticated peer");
    if let (Ok(one), Ok(other)) = (&in_pieces, &at_once) {
        assert_eq!(one, other, "the size of the pieces counts");
    }
    let Ok(entries) = in_pieces else { return false };
    assert!(entries.len() <= 16);
    judge(&entries);
    true
}

/// The ALPN entries of what is sent in pieces of this size, and how many bytes were taken.
fn read(sent: &[u8], piece: usize) -> (Result<Vec<Vec<u8>>, HelloError>, usize) {
    let mut from = Pieces { left: sent, size: piece, now: 0, taken: 0 };
    let mut hello = HelloReader::default();
    loop {
        from.now = piece;
        match hello.take(&mut from) {
            Ok(Some(accepted)) => return (Ok(entries_of(&accepted)), from.taken),
            Ok(None) => {}
            Err(error) => return (Err(error), from.taken),
        }
    }
}

/// Gives a piece, would block, and gives the next one.
struct Pieces<'s> {
    left: &'s [u8],
    size: usize,
    now: usize,
    taken: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.now == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.size.min(self.now).min(buffer.len()).min(self.left.len());
        let (piece, left) = self.left.split_at(count);
        buffer[..count].copy_from_slice(piece);
        (self.left, self.now) = (left, self.now - count);
        self.taken += count;
        Ok(count)
    }
}

/// Every listener, dark and open: who is let in has proved what the port wants, and speaks what it serves.
fn judge(entries: &[Vec<u8>]) {
    let addresses = Some((SocketAddr::from(([192, 0, 2, 1], 40_000)), SocketAddr::from(([192, 0, 2, 2], 443))));
    for (service, served) in [
        (Service::Client, &[Alpn::SignIn, Alpn::Client][..]),
        (Service::Tunnel, &[Alpn::Http, Alpn::Tunnel]),
        (Service::Peer, &[Alpn::Raft, Alpn::Feed, Alpn::Join]),
        (Service::Admin, &[Alpn::Http]),
    ] {
        let gate = Gate::new(service, served, SpaPolicy::Tcp, Arc::new(Mutex::new(receiver())), || NOW);
        if let Ok((knock, protocol)) = gate.judge(entries, addresses, false) {
            let knock = knock.expect("a dark port wants a knock");
            assert!(knock.service == service && served.contains(&protocol) && opens(&knock.owner, protocol));
            assert!(matches!(gate.judge(entries, addresses, false), Err(GateError::Knock(_))), "a knock counts once");
        }
        if let Ok((knock, protocol)) = gate.judge(entries, addresses, true) {
            assert!(knock.is_none() && served.contains(&protocol));
            assert!(entries.iter().any(|entry| *entry == protocol.entry()), "nobody offered {protocol}");
        }
    }
}
