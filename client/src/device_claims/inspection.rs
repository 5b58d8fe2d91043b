//! The six questions that a Collective may ask (S37), answered in a process of its own that has no privileges (T81).
//! Absent things are `false` or `null`; nothing fails.
//!
//! An administrator chooses the paths: only regular files are opened, a symbolic link at the end of a path is not
//! followed, and nothing below `/proc`, `/sys` and `/dev` or on a file system that can block for ever is read.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA512};
use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::object::identity_provider::OnDemandClaim;
use ringwall_protocol::time::UnixMillis;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Resource, Rlimit, Uid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest file that is hashed: a look at claims must not take seconds.
const MAX_HASHED: u64 = 64 << 20;
/// Longest name of a process in `/proc/<pid>/comm`.
const COMM_LENGTH: usize = 15;

/// Most questions that are answered: more cost more than they tell.
pub(super) const MAX_QUESTIONS: usize = 64;
/// Largest request and largest answer, in bytes.
pub(super) const MAX_MESSAGE: u64 = 1 << 20;
/// User and group that own nothing (`nobody`).
const NOBODY: u32 = 65_534;
/// Seconds of processor time that all answers may take.
const PROCESSOR_SECONDS: u64 = 5;
/// File systems whose files are no files of this machine's disks, by their magic number (statfs(2)): proc, sysfs, debugfs,
/// tracefs, cgroup, cgroup2, securityfs, configfs, and those that can block for ever: FUSE, NFS, CIFS, SMB2, 9P, Ceph, AFS.
const REFUSED_FILE_SYSTEMS: [u64; 15] = [
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x0027_e0eb,
    0x6367_7270,
    0x7363_6673,
    0x6265_6570,
    0x6573_5546,
    0x6969,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
];
/// Directories whose files are devices or the kernel's.
const REFUSED_DIRECTORIES: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Hashes of files that have not changed since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FileHashes(HashMap<PathBuf, (Stamp, String)>);

/// What a file looks like from outside while its content is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// What is to be found out, and what is known already.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) questions: Vec<OnDemandClaim>,
    pub(super) hashes: FileHashes,
}

/// What was found out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) claims: ClaimMap,
    pub(super) hashes: FileHashes,
}

impl Request {
    /// Looks, with the privileges of this process.
    pub(super) fn answer(self) -> Answer {
        let Self { questions, mut hashes } = self;
        let mut claims = ClaimMap::default();
        for claim in questions.iter().take(MAX_QUESTIONS) {
            claims.0.insert(claim.claim_name.clone(), answer(claim, &mut hashes));
        }
        // What nobody asks for any more is forgotten.
        let asked =
            |path: &PathBuf| questions.iter().any(|one| one.parameters.path.as_deref().map(Path::new) == Some(path));
        hashes.0.retain(|path, _| asked(path));
        Answer { claims, hashes }
    }
}

/// Answers the request on standard input with JSON on standard output, after giving up all privileges. For a process of
/// its own that has only one thread.
///
/// # Errors
/// If privileges cannot be given up, or the request cannot be read.
pub(crate) fn serve() -> io::Result<()> {
    give_up_privileges()?;
    let request: Request = serde_json::from_reader(io::stdin().lock().take(MAX_MESSAGE))?;
    serde_json::to_writer(io::stdout().lock(), &request.answer())?;
    Ok(())
}

/// Becomes nobody if this is root, and limits what this process can use up.
fn give_up_privileges() -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    for (resource, limit) in [(Resource::Cpu, PROCESSOR_SECONDS), (Resource::Core, 0), (Resource::Fsize, 0)] {
        rustix::process::setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}

/// Whether a claim is meant for this platform: `all`, `desktop.all`, `desktop.linux.all`, …
pub(super) fn concerns_us(platform: &str) -> bool {
    matches!(platform, "all" | "linux" | "desktop.all" | "desktop.linux") || platform.starts_with("desktop.linux.")
}

fn answer(claim: &OnDemandClaim, hashes: &mut FileHashes) -> Value {
    let path = claim.parameters.path.as_deref().map(Path::new).filter(|path| path.is_absolute());
    let name = claim.parameters.name.as_deref().filter(|name| is_plain(name));
    match (claim.command.as_str(), path, name) {
        ("fileExists", Some(path), _) => fs::symlink_metadata(path).is_ok().into(),
        ("fileSize", Some(path), _) => described(path).map(|metadata| metadata.len()).into(),
        ("fileUpdated", Some(path), _) => described(path).and_then(|metadata| updated(&metadata)).into(),
        ("fileSha512", Some(path), _) => hashes.of(path).into(),
        ("processRunning", _, Some(name)) => process_runs(name).into(),
        ("serviceRunning", _, Some(name)) => service_runs(name).into(),
        _ => Value::Null,
    }
}

impl FileHashes {
    /// SHA-512 in hex; `None` for what is no regular file, too large or unreadable.
    fn of(&mut self, path: &Path) -> Option<String> {
        let file = open(path)?;
        let metadata = file.metadata().ok().filter(|metadata| metadata.len() <= MAX_HASHED)?;
        let stamp =
            Stamp { inode: metadata.ino(), size: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) };
        if let Some((known, hash)) = self.0.get(path)
            && *known == stamp
        {
            return Some(hash.clone());
        }
        let hash = sha512(file)?;
        self.0.insert(path.to_owned(), (stamp, hash.clone()));
        Some(hash)
    }
}

/// What is known of a regular file without opening it.
fn described(path: &Path) -> Option<Metadata> {
    fs::symlink_metadata(path).ok().filter(Metadata::is_file)
}

/// Opens a regular file on a disk of this machine; nothing else, whose opening could block or have effects.
fn open(path: &Path) -> Option<File> {
    described(path)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let file_system = rustix::fs::fstatfs(&file).ok()?.f_type as u64;
    // Where the path led, whatever its directories are linked to.
    let place = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let refused = REFUSED_FILE_SYSTEMS.contains(&file_system)
        || REFUSED_DIRECTORIES.iter().any(|directory| place.starts_with(directory));
    (!refused && file.metadata().is_ok_and(|metadata| metadata.is_file())).then_some(file)
}

fn updated(metadata: &Metadata) -> Option<String> {
    let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMillis(u64::try_from(since.as_millis()).ok()?).to_string())
}

fn sha512(file: File) -> Option<String> {
    let mut content = file.take(MAX_HASHED);
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
            comm.trim_end() == short && (name.len() <= COMM_LENGTH || program(&process.path()) == name)
        },
    )
}

/// The file name of a process's program: from the link to it or, of other users' processes, from its first argument.
fn program(process: &Path) -> String {
    let path = fs::read_link(process.join("exe")).unwrap_or_else(|_| {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
        PathBuf::from(String::from_utf8_lossy(first).into_owned())
    });
    path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A systemd service runs if its control group has processes.
fn service_runs(name: &str) -> bool {
    let unit = if name.ends_with(".service") { name.to_owned() } else { format!("{name}.service") };
    let group = Path::new("/sys/fs/cgroup/system.slice").join(unit).join("cgroup.procs");
    fs::read_to_string(group).is_ok_and(|processes| !processes.trim().is_empty())
}
