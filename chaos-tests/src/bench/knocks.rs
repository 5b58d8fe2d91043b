//! Wrong knocks beside right ones: what the port for knocks of a Controller or a Gateway costs under a flood of junk, and
//! whether 50 Clients are still heard. The listener is the product's, on a real socket, with the keys of a thousand devices.
//!
//! The rate is judged datagrams per second of the listener's own processor time: senders share the machine with it.

mod fwknop;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, anyhow};
use ringwall_protocol::{
    spa::{KNOCK_FIRST_BYTE, KNOCK_LEN, Service},
    time::UnixMillis,
};
use ringwall_trust::{
    secret::{SecretKey, SystemRandom},
    spa::{self, Destination, Heard, KeyOwner, KnockRequest, Receiver, SpaKey, SpaWindow},
};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use self::fwknop::Fwknop;
use crate::{bench::figure::Figures, lab::wait, report::Step};

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(3);
/// Between two knocks of a good Client.
const PACE: Duration = Duration::from_millis(100);
/// Keys that the listener holds.
const KEYS: u16 = 1_000;
/// Good Clients among the junk.
const GOOD: u8 = 50;
/// For what waits at the end.
const LAST: Duration = Duration::from_secs(1);

pub(super) fn measure(runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let peer = Fwknop::start()?;
    let (mut rates, mut heard, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=runs {
        let flood = flood()?;
        rates.push(flood.rejected as f64 / flood.processor.as_secs_f64());
        heard.push(100.0 * flood.accepted as f64 / flood.sent as f64);
        step.doing(&format!("run {run} of {runs}: {:.0} a second, {:.1} % heard", rates[run - 1], heard[run - 1]));
        if let Some(peer) = &peer {
            theirs.push(peer.flood(FLOOD)?);
            step.doing(&format!("run {run} of {runs}: {} {:.0} a second", fwknop::NAME, theirs[run - 1]));
        }
    }
    match peer {
        Some(_) => figures.add_beside(step, "spa.junk", "1/s", &rates, (fwknop::NAME, &theirs))?,
        None => figures.add_without(step, "spa.junk", "1/s", &rates, fwknop::NAME)?,
    }
    figures.add(step, "spa.junk.heard", "%", &heard)
}

/// What came of one flood.
struct Flood {
    rejected: u64,
    accepted: u64,
    /// Right knocks sent.
    sent: u64,
    /// What the listener's thread took.
    processor: Duration,
}

#[derive(Default)]
struct Counts {
    rejected: AtomicU64,
    accepted: AtomicU64,
    over: AtomicBool,
}

fn flood() -> Result<Flood> {
    let counts = Arc::new(Counts::default());
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = mpsc::channel();
    let listener = {
        let counts = Arc::clone(&counts);
        thread::Builder::new().name("knocks".to_owned()).spawn(move || listen(&counts, &tell, stopped))?
    };
    let at = told.recv().context("the listening thread opened no port")?;
    let junk = {
        let counts = Arc::clone(&counts);
        thread::Builder::new().name("junk".to_owned()).spawn(move || send_junk(at, &counts.over))?
    };
    let sent = knock(at)?;
    counts.over.store(true, Ordering::Relaxed);
    junk.join().map_err(|_| anyhow!("the thread that sends junk panicked"))??;
    // What waits is judged; what the kernel had to drop never comes.
    let _ = wait::until("the last knocks to be judged", LAST, || counts.accepted.load(Ordering::Relaxed) >= sent);
    let _ = stop.send(()); // a listener that has ended says so below
    let processor = listener.join().map_err(|_| anyhow!("the listening thread panicked"))??;
    let (rejected, accepted) = (counts.rejected.load(Ordering::Relaxed), counts.accepted.load(Ordering::Relaxed));
    Ok(Flood { rejected, accepted, sent, processor })
}

/// Judges knocks until told to stop; answers the thread's processor time.
fn listen(counts: &Counts, tell: &mpsc::Sender<SocketAddr>, stopped: oneshot::Receiver<()>) -> Result<Duration> {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, now().minus(Duration::from_secs(3_600)));
    for number in 0..KEYS {
        receiver.add(KeyOwner::Profile(number.to_string().into()), SpaKey::new(&key(number)));
    }
    let receiver = Mutex::new(receiver);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let begun = processor_time()?;
    runtime.block_on(async {
        let socket = spa::open_port((Ipv4Addr::LOCALHOST, 0).into())?;
        tell.send(socket.local_addr()?)?;
        let heard = |heard| {
            let (count, number) = match heard {
                Heard::Knock(..) => (&counts.accepted, 1),
                Heard::Refused(_, number) => (&counts.rejected, number),
            };
            count.fetch_add(number, Ordering::Relaxed);
        };
        tokio::select! {
            error = spa::listen(&socket, &receiver, now, heard) => Err(error).context("listen for knocks"),
            _ = stopped => Ok(()),
        }
    })?;
    Ok(processor_time()?.saturating_sub(begun))
}

/// Sends what has the shape of a knock, without a pause.
fn send_junk(to: SocketAddr, over: &AtomicBool) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(to)?;
    let mut packet = [0x5A; KNOCK_LEN];
    packet[0] = KNOCK_FIRST_BYTE;
    for number in 0u64.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        packet[1..9].copy_from_slice(&number.to_be_bytes());
        socket.send(&packet)?;
    }
    Ok(())
}

/// The good Clients knock until the flood is to end; answers how often.
fn knock(at: SocketAddr) -> Result<u64> {
    // Each at an address of its own: one source has so many knocks a second and no more.
    let client = |number: u8| {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, number + 1), 0))?;
        Ok((socket, SpaKey::new(&key(number.into()))))
    };
    let clients = (0..GOOD).map(client).collect::<Result<Vec<_>>>()?;
    let end = Instant::now() + FLOOD;
    let mut sent = 0;
    while Instant::now() < end {
        for (socket, key) in &clients {
            let request = KnockRequest { service: Service::Client, destination: Destination::of(at), now: now() };
            socket.send_to(&request.packet(key, 1, &SystemRandom), at)?;
            sent += 1;
        }
        thread::sleep(PACE);
    }
    Ok(sent)
}

fn key(number: u16) -> SecretKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    SecretKey::new(bytes)
}

fn processor_time() -> Result<Duration> {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).context("a time since the thread began")
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_knocks_are_heard_among_junk() {
        let flood = flood().expect("measured");
        assert!(flood.rejected > 1_000, "{} rejected", flood.rejected);
        assert!(flood.accepted > 0 && flood.accepted <= flood.sent, "{} of {}", flood.accepted, flood.sent);
    }
}
