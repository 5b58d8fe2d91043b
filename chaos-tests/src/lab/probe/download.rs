//! A long download that is watched: when bytes came, when they stopped, why it ended.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::lab::{
    namespace::Namespace,
    probe::http::{Url, parse_status},
};

/// How long the connection and the head of the answer may take.
const BEGINNING: Duration = Duration::from_secs(10);

/// How often the reading thread looks whether it was stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// Longest head of an answer.
const LONGEST_HEAD: usize = 16 << 10;

/// A running download.
#[derive(Debug)]
pub struct Download {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

/// What a download did.
#[derive(Debug, Clone)]
pub struct DownloadReport {
    /// Bytes of the body.
    pub bytes: u64,
    /// The longest time between two arrivals.
    pub longest_stall: Duration,
    /// The error that ended it, if one did before it was stopped or complete.
    pub broken: Option<String>,
}

#[derive(Debug)]
struct Shared {
    stopped: AtomicBool,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Clone)]
struct Progress {
    bytes: u64,
    last_byte: Instant,
    longest_stall: Duration,
    ended: bool,
    broken: Option<String>,
}

impl Download {
    /// Begins a download and returns once the server has begun to answer.
    pub fn start(from: &Namespace, url: &Url) -> Result<Self> {
        let stream = from.enter(|| begin(url))?.with_context(|| format!("download from {}", url.address))?;
        let now = Instant::now();
        let shared = Arc::new(Shared {
            stopped: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                bytes: 0,
                last_byte: now,
                longest_stall: Duration::ZERO,
                ended: false,
                broken: None,
            }),
            changed: Condvar::new(),
        });
        let for_reader = Arc::clone(&shared);
        let reader = std::thread::Builder::new().name("download".to_owned()).spawn(move || for_reader.read(stream))?;
        Ok(Self { shared, reader })
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.progress().bytes
    }

    /// Waits until `more` bytes have come from now on; returns how long that took.
    pub fn wait_for_more(&self, more: u64, timeout: Duration) -> Result<Duration> {
        let start = Instant::now();
        let wanted = self.bytes() + more;
        let unfinished = |progress: &mut Progress| progress.bytes < wanted && !progress.ended;
        let waited = self.shared.changed.wait_timeout_while(self.shared.progress(), timeout, unfinished);
        let (progress, _) = waited.map_err(|_| anyhow!("the reading thread panicked"))?;
        ensure!(
            progress.bytes >= wanted,
            "the download stands still: {} more bytes in {timeout:?}, wanted {more} ({})",
            progress.bytes + more - wanted,
            progress.broken.as_deref().unwrap_or("open")
        );
        Ok(start.elapsed())
    }

    /// Waits until nothing has come for `quiet` (or the connection broke); returns when the last byte came.
    pub fn wait_stalled(&self, quiet: Duration, timeout: Duration) -> Result<Instant> {
        let deadline = Instant::now() + timeout;
        let mut progress = self.shared.progress();
        loop {
            let still = progress.last_byte.elapsed();
            if progress.ended || still >= quiet {
                return Ok(progress.last_byte);
            }
            if Instant::now() >= deadline {
                bail!("the download still runs after {timeout:?}");
            }
            let waited = self.shared.changed.wait_timeout(progress, quiet - still);
            (progress, _) = waited.map_err(|_| anyhow!("the reading thread panicked"))?;
        }
    }

    /// Ends the download and reports.
    pub fn stop(self) -> Result<DownloadReport> {
        self.shared.stopped.store(true, Ordering::Release);
        self.reader.join().map_err(|_| anyhow!("the reading thread panicked"))?;
        let progress = self.shared.progress().clone();
        Ok(DownloadReport {
            bytes: progress.bytes,
            // A download that stands still when it is stopped stalls until now.
            longest_stall: if progress.ended {
                progress.longest_stall
            } else {
                progress.longest_stall.max(progress.last_byte.elapsed())
            },
            broken: progress.broken,
        })
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no holder of the progress panics")
    }

    fn read(&self, mut stream: TcpStream) {
        let mut buffer = vec![0; 256 << 10];
        while !self.stopped.load(Ordering::Acquire) {
            match stream.read(&mut buffer) {
                Ok(0) => return self.end(None),
                Ok(length) => self.advance(length),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return self.end(Some(error.to_string())),
            }
        }
    }

    fn advance(&self, length: usize) {
        let now = Instant::now();
        let mut progress = self.progress();
        if progress.bytes > 0 {
            progress.longest_stall = progress.longest_stall.max(now.duration_since(progress.last_byte));
        }
        progress.bytes += length as u64;
        progress.last_byte = now;
        self.changed.notify_all();
    }

    fn end(&self, broken: Option<String>) {
        let mut progress = self.progress();
        progress.ended = true;
        progress.broken = broken;
        self.changed.notify_all();
    }
}

/// Connects, asks, and reads the head of the answer byte by byte, so that the body is left to the reader.
fn begin(url: &Url) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&url.address, BEGINNING).context("connect")?;
    stream.set_read_timeout(Some(BEGINNING))?;
    stream.write_all(url.request().as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < LONGEST_HEAD, "the head of the answer does not end");
        let mut byte = [0];
        stream.read_exact(&mut byte).context("read the head of the answer")?;
        head.push(byte[0]);
    }
    let status = parse_status(&String::from_utf8_lossy(&head))?;
    ensure!(status == 200, "the server answered with {status}");
    stream.set_read_timeout(Some(GLANCE))?;
    Ok(stream)
}
