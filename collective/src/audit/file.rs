//! Audit records of Gateways: a file for each, one JSON object a line, on disk before they are acknowledged.
//!
//! Promises that a Gateway that was taken over neither fills the disk nor pushes out what others reported (T68): each has a
//! rate, a size and a retention of its own; and that writing stops before the file system is full, because the Raft log is
//! on it. What is not written is not acknowledged: the Gateway keeps it and sends it again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_protocol::id::ApplianceId;
use ringwall_protocol::time::UnixMillis;

use crate::identity::throttle::Throttle;

/// Name of the directory in a data directory; an operator may mount a file system of its own there.
const DIRECTORY: &str = "audit";
/// Longest record, in bytes.
const MAX_RECORD: usize = 16 * 1024;
/// Longest file, in bytes; then the next one begins.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// Former files kept for each Gateway: 256 MiB with the present one.
const FORMER: u32 = 7;
/// Former files are removed after this.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
/// Space that is left free, in bytes: the Raft log needs it more. On a small file system a tenth of it.
const RESERVE: u64 = 256 * 1024 * 1024;
/// Bytes that are counted as one for the rate.
const UNIT: usize = 4 * 1024;
/// Units of one Gateway at once (16 MiB), and as many again in [`RATE_SPAN`] (256 KiB/s).
const RATE: u32 = 4_096;
/// See [`RATE`].
const RATE_SPAN: Duration = Duration::from_secs(64);

/// What became of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// They are on disk.
    Yes,
    /// The Gateway has had its share; it may send them again later.
    TooFast,
    /// They cannot be written now.
    Failed,
}

/// Why records were not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{free} bytes are free on the file system, {reserve} are kept for the Raft log")]
    Reserve { free: u64, reserve: u64 },
}

/// The files of all Gateways.
#[derive(Debug)]
pub(crate) struct GatewayAudit {
    files: Arc<Files>,
    rate: Mutex<Throttle<ApplianceId>>,
}

#[derive(Debug)]
struct Files {
    directory: PathBuf,
    /// Bytes after which the next file begins.
    max_file: u64,
    /// One lock a Gateway: a slow disk holds nobody else up.
    open: Mutex<BTreeMap<ApplianceId, Arc<Mutex<()>>>>,
    failing: AtomicBool,
}

impl GatewayAudit {
    /// Files below a data directory. Nothing is opened before the first record comes.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let directory = data_dir.join(DIRECTORY);
        Self::with_files_of(directory, MAX_FILE)
    }

    fn with_files_of(directory: PathBuf, max_file: u64) -> Self {
        let files = Files { directory, max_file, open: Mutex::default(), failing: AtomicBool::new(false) };
        Self { files: Arc::new(files), rate: Mutex::new(Throttle::new(RATE, RATE_SPAN)) }
    }

    /// Whether the last records that came could be written.
    pub(crate) fn writable(&self) -> bool {
        !self.files.failing.load(Ordering::Relaxed)
    }

    /// Appends records. What is no JSON object of a bearable length is left out.
    pub(crate) async fn append(&self, gateway: ApplianceId, seq: u64, records: Vec<String>, now: UnixMillis) -> Stored {
        if !self.within_rate(gateway, &records, now) {
            metrics::counter!("ringwall_audit_records_deferred_total").increment(records.len() as u64);
            return Stored::TooFast;
        }
        let files = Arc::clone(&self.files);
        let written = tokio::task::spawn_blocking(move || files.append(gateway, &lines(gateway, seq, &records))).await;
        let outcome = written.unwrap_or_else(|_| Err(io::Error::other("the writing task failed").into()));
        self.files.note(&outcome);
        if outcome.is_ok() { Stored::Yes } else { Stored::Failed }
    }

    fn within_rate(&self, gateway: ApplianceId, records: &[String], now: UnixMillis) -> bool {
        let bytes: usize = records.iter().map(String::len).sum();
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).saturating_add(1).min(RATE);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.has(&gateway, units, now) && (0..units).all(|_| rate.take(&gateway, now))
    }
}

impl Files {
    fn append(&self, gateway: ApplianceId, lines: &[u8]) -> Result<(), WriteError> {
        let lock = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(gateway).or_default())
        };
        let _mine = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.directory.is_dir() {
            DirBuilder::new().mode(0o700).create(&self.directory)?;
        }
        self.check_reserve(lines.len() as u64)?;
        let path = self.path(gateway, 0);
        if fs::metadata(&path).map_or(0, |known| known.len()) + lines.len() as u64 > self.max_file {
            self.rotate(gateway)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let before = file.metadata()?.len();
        write(&mut file, lines).inspect_err(|_| {
            // Half a line would spoil the next one. If this fails as well, the next line is unreadable, not more.
            let _ = file.set_len(before);
        })?;
        Ok(())
    }

    fn check_reserve(&self, more: u64) -> Result<(), WriteError> {
        let space = nix::sys::statvfs::statvfs(&self.directory).map_err(io::Error::from)?;
        let unit = space.fragment_size();
        let (free, total) = (space.blocks_available() * unit, space.blocks() * unit);
        let reserve = RESERVE.min(total / 10);
        if free < reserve.saturating_add(more) { Err(WriteError::Reserve { free, reserve }) } else { Ok(()) }
    }

    /// Makes room for the next file; the oldest goes, and those beyond their time.
    fn rotate(&self, gateway: ApplianceId) -> io::Result<()> {
        for number in (0..FORMER).rev() {
            let (from, to) = (self.path(gateway, number), self.path(gateway, number + 1));
            let Ok(known) = fs::metadata(&from) else { continue };
            let old = known.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > RETENTION);
            if old { fs::remove_file(&from)? } else { fs::rename(&from, &to)? }
        }
        Ok(())
    }

    /// The present file, or a former one: the higher, the older.
    fn path(&self, gateway: ApplianceId, number: u32) -> PathBuf {
        let name = if number == 0 { format!("{gateway}.jsonl") } else { format!("{gateway}.{number}.jsonl") };
        self.directory.join(name)
    }

    fn note(&self, outcome: &Result<(), WriteError>) {
        let failed = outcome.is_err();
        metrics::gauge!("ringwall_audit_writable").set(if failed { 0.0 } else { 1.0 });
        let was_failing = self.failing.swap(failed, Ordering::Relaxed);
        match outcome {
            Ok(()) if was_failing => tracing::info!("audit records of gateways are written again"),
            Ok(()) => {}
            Err(error) => {
                metrics::counter!("ringwall_audit_write_failures_total").increment(1);
                if !was_failing {
                    let directory = self.directory.display();
                    tracing::warn!(%error, %directory, "cannot write audit records of gateways: make room there; gateways keep them meanwhile");
                }
            }
        }
    }
}

fn write(file: &mut File, lines: &[u8]) -> io::Result<()> {
    file.write_all(lines)?;
    file.sync_data()
}

pub(super) fn lines(gateway: ApplianceId, seq: u64, records: &[String]) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records.iter().filter(|record| record.len() <= MAX_RECORD) {
        let Ok(record @ serde_json::Value::Object(_)) = serde_json::from_str(record) else { continue };
        let line = serde_json::json!({ "gateway": gateway, "seq": seq, "record": record });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn gateway(number: u8) -> ApplianceId {
        ApplianceId::from_random([number; 16])
    }

    fn record(length: usize) -> String {
        format!("{{\"text\":\"{}\"}}", "a".repeat(length))
    }

    #[tokio::test]
    async fn only_json_objects_are_kept_each_on_a_line_of_its_own() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = GatewayAudit::new(directory.path());
        let records = ["{\"kind\":\"ip_access\"}", "no json", "[1]", "{\"text\":\"a\\nb\"}"].map(str::to_owned);
        assert_eq!(audit.append(gateway(1), 7, records.to_vec(), NOW).await, Stored::Yes);
        let text = fs::read_to_string(audit.files.path(gateway(1), 0)).expect("read");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line["seq"] == 7));
    }

    #[tokio::test]
    async fn a_gateway_that_reports_too_much_waits_and_others_do_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = GatewayAudit::new(directory.path());
        let batch = || vec![record(15 * 1024); 64];
        let mut taken = 0;
        while audit.append(gateway(1), taken, batch(), NOW).await == Stored::Yes {
            taken += 1;
            assert!(taken < 100, "there is a rate");
        }
        assert!(taken >= 16, "a burst of 16 MiB is taken, got {taken} batches of 960 KiB");
        assert_eq!(audit.append(gateway(2), 1, batch(), NOW).await, Stored::Yes, "another Gateway has its own share");
        let later = NOW.plus(Duration::from_secs(5));
        assert_eq!(audit.append(gateway(1), taken, batch(), later).await, Stored::Yes, "after some seconds it goes on");
        assert!(audit.writable());
    }

    #[test]
    fn a_gateways_files_have_an_end_and_push_out_its_own_records_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let audit = GatewayAudit::with_files_of(directory.path().join(DIRECTORY), 1_024);
        audit.files.append(gateway(2), b"{}\n").expect("written");
        let block = vec![b'x'; 512];
        for _ in 0..20 {
            audit.files.append(gateway(1), &block).expect("written");
        }
        let sizes = |number| fs::metadata(audit.files.path(gateway(number), 0)).map_or(0, |known| known.len());
        let names = fs::read_dir(&audit.files.directory).expect("listed").count();
        assert_eq!(names, 8 + 1, "the present file and seven former ones of the first, one of the second");
        assert!(sizes(1) <= 1_024);
        assert_eq!(sizes(2), 3);
    }
}
