//! The lab: machines made of network namespaces on this one machine, with real programs, real packets and probes.
//!
//! A lab is laid out from a `topology::Topology`, torn down when dropped, and leaves nothing behind even if it is killed:
//! the next lab undoes what a dead one recorded. Any number of labs stand side by side. Needs root and the programs `ip`,
//! `nft` and `setpriv`. Knows nothing of the product; that is `product`'s part.

pub mod browser;
pub mod command;
pub mod fault;
pub(crate) mod log;
pub mod namespace;
pub mod probe;
pub mod process;
pub mod process_id;
pub mod record;
pub mod servers;
pub mod shifted_clock;
mod spawner;
pub mod topology;
pub mod wait;
mod wiring;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::lab::{
    command::Program,
    log::Log,
    namespace::Namespace,
    process::{Finished, Process},
    process_id::ProcessId,
    record::{LabRecord, Registry},
    spawner::Spawner,
    topology::Topology,
};

/// The variable that says where labs put logs and data; the directory for temporary files if unset.
pub(crate) const DIRECTORY: &str = "RINGWALL_LAB_DIR";

/// How a lab is begun.
#[derive(Debug, Clone, Default)]
pub struct LabOptions {
    /// A fixed name instead of a fresh one: an earlier lab under it is removed first.
    pub name: Option<String>,
    /// Programs may outlive the program that runs the lab (needed to leave it up with [`Lab::keep`]).
    pub may_be_kept: bool,
}

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    shared: Arc<Shared>,
    topology: Topology,
    namespaces: BTreeMap<String, Namespace>,
}

/// What a lab shares with its processes.
#[derive(Debug)]
pub(crate) struct Shared {
    record: Mutex<LabRecord>,
    directory: PathBuf,
    spawner: Spawner,
    may_be_kept: bool,
    runs: AtomicU32,
}

impl Lab {
    /// Lays out a lab under a fresh name.
    pub fn start(topology: Topology) -> Result<Self> {
        Self::with_options(topology, LabOptions::default())
    }

    /// Lays out a lab; removes stale ones first.
    pub fn with_options(topology: Topology, options: LabOptions) -> Result<Self> {
        let registry = Registry::lock()?;
        registry.clean_stale()?;
        let record = begin_record(&registry, options.name)?;
        drop(registry);
        let shared = Arc::new(Shared {
            directory: record.directory.clone(),
            record: Mutex::new(record),
            spawner: Spawner::start()?,
            may_be_kept: options.may_be_kept,
            runs: AtomicU32::new(0),
        });
        let mut lab = Self { shared, topology, namespaces: BTreeMap::new() };
        lab.namespaces = wiring::build(&lab.topology, |short| lab.shared.create_namespace(short))?;
        Ok(lab)
    }

    /// The lab's name, unique on this machine.
    #[must_use]
    pub fn id(&self) -> String {
        self.shared.record().id.clone()
    }

    /// Where its logs and data are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Its plan.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The namespace of a host of the plan.
    #[must_use]
    pub fn host(&self, name: &str) -> &Namespace {
        self.namespaces.get(name).unwrap_or_else(|| panic!("host {name} is not planned"))
    }

    /// Starts a program on a host.
    pub fn spawn(&self, host: &str, program: Program) -> Result<Process> {
        Process::start(&self.shared, self.host(host), program)
    }

    /// Runs a program on a host to its end.
    pub fn run(&self, host: &str, program: &Program, timeout: Duration) -> Result<Finished> {
        process::run(&self.shared, self.host(host), program, timeout)
    }

    /// The logs of all processes so far.
    pub(crate) fn logs(&self) -> Result<Vec<Log>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(self.directory()).context("list the lab's directory")? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                logs.push(Log::at(path));
            }
        }
        Ok(logs)
    }

    /// Every ERROR line of every process that contains none of the allowed texts, with the log's name before it.
    pub fn errors(&self, allowed: &[&str]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for log in self.logs()? {
            let name = log.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let unexpected = log.errors().into_iter().filter(|line| !allowed.iter().any(|text| line.contains(text)));
            found.extend(unexpected.map(|line| format!("{name}: {line}")));
        }
        Ok(found)
    }

    /// Leaves the lab up when it is dropped; only for a lab that was begun with `may_be_kept`.
    pub fn keep(&self) -> Result<()> {
        assert!(self.shared.may_be_kept, "programs of this lab die with it");
        let mut record = self.shared.record();
        record.kept = true;
        record.save()
    }

    /// Removes everything; what `drop` does, with the error.
    pub fn clean(self) -> Result<()> {
        self.shared.record().undo()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let record = self.shared.record().clone();
        if record.kept {
            return;
        }
        if thread::panicking() {
            report_wreck(&record.directory);
        }
        if let Err(error) = record.undo() {
            complain(&format!("lab '{}' is not removed: {error:#}", record.id));
        }
    }
}

impl Shared {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// True once the lab was told to stay up.
    pub(crate) fn outlives_owner(&self) -> bool {
        self.record().kept
    }

    /// True if programs must die as soon as this program does.
    pub(crate) fn binds_processes(&self) -> bool {
        !self.may_be_kept
    }

    /// A name for the files of one more run of a program.
    pub(crate) fn next_name(&self, program: &str) -> String {
        format!("{program}-{}", self.runs.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a program in a process group of its own (a Ctrl-C on the terminal is not for it) and records it.
    pub(crate) fn spawn(&self, namespace: &Namespace, mut command: Command) -> Result<Child> {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = self.spawner.spawn(namespace, command)?;
        let mut record = self.record();
        record.processes.retain(|process| process.is_running());
        record.processes.extend(ProcessId::of(child.id()));
        record.save()?;
        Ok(child)
    }

    fn create_namespace(&self, short: &str) -> Result<Namespace> {
        let mut record = self.record();
        let name = format!("rw-{}-{short}", record.id);
        record.namespaces.push(name.clone());
        record.save()?;
        Namespace::create(&name)
    }

    fn record(&self) -> MutexGuard<'_, LabRecord> {
        self.record.lock().expect("no holder of the record panics")
    }
}

/// Chooses the id, makes the directory, writes the first record.
fn begin_record(registry: &Registry, name: Option<String>) -> Result<LabRecord> {
    let id = match name {
        Some(name) => {
            registry.free(&name)?;
            name
        }
        None => fresh_id(registry),
    };
    let parent = env::var_os(DIRECTORY).map_or_else(env::temp_dir, PathBuf::from);
    let directory = parent.join(format!("ringwall-lab-{id}"));
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    let record = LabRecord {
        id,
        owner: ProcessId::own(),
        kept: false,
        namespaces: Vec::new(),
        processes: Vec::new(),
        directory,
    };
    record.save()?;
    Ok(record)
}

/// `<pid>.<n>` in hexadecimal: short, and a name that is taken (the pid was reused) is skipped.
fn fresh_id(registry: &Registry) -> String {
    static LABS: AtomicU32 = AtomicU32::new(0);
    loop {
        let id = format!("{:x}.{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        if registry.is_free(&id) {
            return id;
        }
    }
}

/// Shows the ends of all logs before they are removed with the lab of a failed test.
fn report_wreck(directory: &Path) {
    let logs = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        complain(&format!("--- {} ends with:\n{}", path.display(), Log::at(path.clone()).tail()));
    }
}

/// Standard error is all that is left while a test unwinds; if it is gone too, nobody reads this.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
