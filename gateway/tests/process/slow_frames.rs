//! Frames on the websocket of a session that come slowly, or never to their end: they keep nobody alive, and nobody waits
//! for them.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{interval, timeout};

use crate::client::{Line, Websocket};
use crate::collective::{self, Collective};
use crate::gateway::Gateway;
use crate::{PATIENCE, inside};

/// Without a whole message for this long, a Client is asked for a sign of life.
const ASKED: Duration = Duration::from_secs(15);
/// Three seconds later it is gone; the rest is a busy machine's.
const LIMIT: Duration = Duration::from_secs(25);
/// Between two pieces: far more often than a sign of life is asked for.
const DRIP: Duration = Duration::from_millis(50);
/// Between two looks at how the others fare.
const LOOK: Duration = Duration::from_secs(1);
/// What a busy machine may add to another's `hello` and packet.
const NOISE: Duration = Duration::from_secs(2);
/// Bits of a frame's first two bytes (RFC 6455, section 5.2).
const FINAL: u8 = 0x80;
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const MASKED: u8 = 0x80;
/// The length follows in two bytes.
const LONG: u8 = 126;

/// A frame of one byte; the mask is zero and leaves it as it is.
fn one_byte(first: u8) -> Vec<u8> {
    vec![first, MASKED | 1, 0, 0, 0, 0, b' ']
}

/// The beginning of a frame of 65535 bytes, and the first of them.
fn beginning() -> Vec<u8> {
    vec![FINAL | TEXT, MASKED | LONG, 0xFF, 0xFF, 0, 0, 0, 0, b'{']
}

/// Writes `first`, then `next` again and again; answers after how long the Gateway closed the connection.
async fn drip(line: Line, first: Vec<u8>, next: Vec<u8>) -> Duration {
    let begun = Instant::now();
    let (mut reading, mut writing) = split(line);
    let write = async {
        let (mut pace, mut piece) = (interval(DRIP), &first);
        while writing.write_all(piece).await.is_ok() && writing.flush().await.is_ok() {
            piece = &next;
            pace.tick().await;
        }
    };
    // What it is asked, it does not answer.
    let read = async {
        let mut heard = [0; 256];
        while reading.read(&mut heard).await.is_ok_and(|length| length > 0) {}
    };
    let closed = async {
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    };
    timeout(PATIENCE, closed).await.expect("the Gateway closes the connection");
    begun.elapsed()
}

#[test]
fn frames_that_never_come_to_their_end_end_their_own_session_and_delay_no_other() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (mut websocket, mut tunnel) = Websocket::attached(&collective, &alice, 1).await;
        // She answers when she is asked.
        let alices = actix_rt::spawn(async move { websocket.is_ended().await });

        let mut slow = vec![];
        for (what, first, next) in [
            ("a frame that is begun", beginning(), vec![]),
            ("a frame that comes byte by byte", beginning(), vec![b' ']),
            ("a message that comes in fragments", one_byte(TEXT), one_byte(CONTINUATION)),
        ] {
            let mallory = collective.sign_in("mallory");
            let line = Websocket::admitted(&collective, &mallory, 1).await.0.into_line();
            slow.push((what, actix_rt::spawn(drip(line, first, next))));
        }
        let (mut pace, mut longest) = (interval(LOOK), Duration::ZERO);
        while !slow.iter().all(|(_, drip)| drip.is_finished()) {
            pace.tick().await;
            let begun = Instant::now();
            tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
            gateway.protected_side_hears().await.expect("the packet");
            let bob = collective.sign_in("bob");
            drop(Websocket::admitted(&collective, &bob, 1).await);
            longest = longest.max(begun.elapsed());
        }
        for (what, drip) in slow {
            let took = drip.await.expect("no panic");
            assert!((ASKED..LIMIT).contains(&took), "{what}: closed after {took:?}");
        }
        assert!(longest <= NOISE, "another's hello and packet took {longest:?}");
        assert!(!alices.is_finished(), "a session beside them ended");
        assert!(gateway.is_healthy());
    });
}
