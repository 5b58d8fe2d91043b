//! The six questions that a Collective may ask (S37). Absent things are `false` or `null`; nothing fails.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA512};
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use ringwall_protocol::time::UnixMillis;
use serde_json::Value;

/// Largest file that is hashed: a look at claims must not take seconds.
const MAX_HASHED: u64 = 64 << 20;
/// Longest name of a process in `/proc/<pid>/comm`.
const COMM_LENGTH: usize = 15;

/// Hashes of files that have not changed since.
#[derive(Debug, Default)]
pub(crate) struct FileHashes(HashMap<PathBuf, (Stamp, String)>);

/// What a file looks like from outside while its content is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Whether a claim is meant for this platform: `all`, `desktop.all`, `desktop.linux.all`, …
pub(super) fn concerns_us(platform: &str) -> bool {
    matches!(platform, "all" | "linux" | "desktop.all" | "desktop.linux") || platform.starts_with("desktop.linux.")
}

pub(super) fn answer(claim: &OnDemandClaim, hashes: &mut FileHashes) -> Value {
    let path = claim.parameters.path.as_deref().map(Path::new).filter(|path| path.is_absolute());
    let name = claim.parameters.name.as_deref().filter(|name| is_plain(name));
    match (claim.command.as_str(), path, name) {
        ("fileExists", Some(path), _) => fs::metadata(path).is_ok().into(),
        ("fileSize", Some(path), _) => file(path).map(|metadata| metadata.len()).into(),
        ("fileUpdated", Some(path), _) => file(path).and_then(|metadata| updated(&metadata)).into(),
        ("fileSha512", Some(path), _) => hashes.of(path).into(),
        ("processRunning", _, Some(name)) => process_runs(name).into(),
        ("serviceRunning", _, Some(name)) => service_runs(name).into(),
        _ => Value::Null,
    }
}

impl FileHashes {
    /// SHA-512 in hex; `None` for what is no regular file, too large or unreadable.
    fn of(&mut self, path: &Path) -> Option<String> {
        let metadata = file(path).filter(|metadata| metadata.len() <= MAX_HASHED)?;
        let stamp =
            Stamp { inode: metadata.ino(), size: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) };
        if let Some((known, hash)) = self.0.get(path)
            && *known == stamp
        {
            return Some(hash.clone());
        }
        let hash = sha512(path)?;
        self.0.insert(path.to_owned(), (stamp, hash.clone()));
        Some(hash)
    }
}

/// Only regular files: opening anything else could block or have effects.
fn file(path: &Path) -> Option<Metadata> {
    fs::metadata(path).ok().filter(Metadata::is_file)
}

fn updated(metadata: &Metadata) -> Option<String> {
    let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMillis(u64::try_from(since.as_millis()).ok()?).to_string())
}

fn sha512(path: &Path) -> Option<String> {
    let mut content = File::open(path).ok()?.take(MAX_HASHED);
    let mut context = Context::new(&SHA512);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer).ok()? {
            0 => return Some(data_encoding::HEXLOWER.encode(context.finish().as_ref())),
            read => context.update(&buffer[..read]),
        }
    }
}

/// A name, not a path: nothing that could lead a look-up out of its directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name != ".."
        && name != "."
        && !name.chars().any(|c| c == '/' || c == '\0' || c.is_control())
}

fn process_runs(name: &str) -> bool {
    let short: String = name.chars().take(COMM_LENGTH).collect();
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())).any(
        |process| {
            let comm = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let program = || fs::read_link(process.path().join("exe")).ok();
            comm.trim_end() == short
                && (name.len() <= COMM_LENGTH
                    || program().is_none_or(|path| path.file_name().is_some_and(|file| file == name)))
        },
    )
}

/// A systemd service runs if its control group has processes.
fn service_runs(name: &str) -> bool {
    let unit = if name.ends_with(".service") { name.to_owned() } else { format!("{name}.service") };
    let group = Path::new("/sys/fs/cgroup/system.slice").join(unit).join("cgroup.procs");
    fs::read_to_string(group).is_ok_and(|processes| !processes.trim().is_empty())
}
