//! What a lab leaves behind if its process dies: one JSON file per lab with everything that must be undone.
//!
//! Every namespace and process is written down *before or as soon as* it exists. The next lab finds the files of labs whose owner
//! is gone and undoes them; `clean-lab` undoes all. Only what stands in a record is touched.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::lab::{namespace, process_id::ProcessId};

/// Where the records of all labs of this machine live; on a file system that does not survive a reboot, like the labs.
pub const RECORDS: &str = "/run/ringwall-lab";

/// Everything that one lab made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRecord {
    /// Unique among the labs of this machine; part of every namespace's name.
    pub id: String,
    /// The process that runs the lab.
    pub owner: ProcessId,
    /// The owner left it up on purpose: only `clean-lab`, or a lab of the same name, removes it.
    pub(crate) kept: bool,
    /// Network namespaces by their full names.
    pub(crate) namespaces: Vec<String>,
    /// Processes started in them.
    pub processes: Vec<ProcessId>,
    /// Logs, configurations and data of the lab.
    pub directory: PathBuf,
}

impl LabRecord {
    /// True if nobody looks after this lab any more.
    #[must_use]
    pub(crate) fn is_stale(&self) -> bool {
        !self.kept && !self.owner.is_running()
    }

    /// Kills the processes, removes the namespaces and the directory, and forgets the lab. Safe to repeat.
    pub(crate) fn undo(&self) -> Result<()> {
        for process in &self.processes {
            process.kill()?;
        }
        for name in &self.namespaces {
            namespace::remove(name)?;
        }
        ignore_missing(fs::remove_dir_all(&self.directory))
            .with_context(|| format!("remove {}", self.directory.display()))?;
        ignore_missing(fs::remove_file(self.path())).context("remove the lab's record")
    }

    /// Writes the record so that a reader sees the old or the new one, never half of it.
    pub(crate) fn save(&self) -> Result<()> {
        let path = self.path();
        let draft = path.with_extension("draft");
        fs::write(&draft, serde_json::to_vec_pretty(self)?).with_context(|| format!("write {}", draft.display()))?;
        fs::rename(&draft, &path).with_context(|| format!("replace {}", path.display()))
    }

    fn path(&self) -> PathBuf {
        record_path(&self.id)
    }
}

/// The lock that lets one process at a time begin or clean labs.
#[derive(Debug)]
pub struct Registry {
    _lock: File,
}

impl Registry {
    /// Waits for the lock.
    pub fn lock() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "a lab of network namespaces needs root");
        fs::create_dir_all(RECORDS).with_context(|| format!("create {RECORDS}"))?;
        let lock = File::create(Path::new(RECORDS).join("lock")).context("open the labs' lock")?;
        flock(&lock, FlockOperation::LockExclusive).context("lock the labs' records")?;
        Ok(Self { _lock: lock })
    }

    /// All labs on record.
    pub(crate) fn labs(&self) -> Result<Vec<LabRecord>> {
        let mut labs = Vec::new();
        for entry in fs::read_dir(RECORDS).context("list the labs' records")? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                labs.extend(read_record(&path)?);
            }
        }
        Ok(labs)
    }

    /// Undoes the labs whose owner died without doing so; returns their ids.
    pub(crate) fn clean_stale(&self) -> Result<Vec<String>> {
        self.clean(LabRecord::is_stale)
    }

    /// Undoes every lab on record whose owner is gone, kept ones included, and refuses those in use.
    pub(crate) fn clean_all(&self) -> Result<Vec<String>> {
        self.clean(|lab| lab.kept || !lab.owner.is_running())
    }

    /// Frees a fixed name: undoes what an earlier lab left under it; fails if that lab is in use.
    pub fn free(&self, id: &str) -> Result<()> {
        if let Some(lab) = read_record(&record_path(id))? {
            let in_use = !lab.kept && lab.owner.is_running();
            ensure!(!in_use, "lab '{id}' is in use by process {}", lab.owner.number());
        }
        self.undo(id)
    }

    /// Undoes a lab whoever owns it; for the owner's own way out.
    pub(crate) fn undo(&self, id: &str) -> Result<()> {
        read_record(&record_path(id))?.map_or(Ok(()), |lab| lab.undo())
    }

    /// True if no lab has this id.
    #[must_use]
    pub(crate) fn is_free(&self, id: &str) -> bool {
        !record_path(id).exists()
    }

    fn clean(&self, abandoned: impl Fn(&LabRecord) -> bool) -> Result<Vec<String>> {
        let mut cleaned = Vec::new();
        for lab in self.labs()?.into_iter().filter(abandoned) {
            // What was read while the owner still lived may lack its last steps; now that it is dead nothing is added.
            let Some(lab) = read_record(&lab.path())? else { continue };
            lab.undo().with_context(|| format!("clean lab '{}'", lab.id))?;
            cleaned.push(lab.id);
        }
        Ok(cleaned)
    }
}

/// Reads a record; `None` if it was removed meanwhile.
fn read_record(path: &Path) -> Result<Option<LabRecord>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(path, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// A record that cannot be read keeps new labs from starting: what it lists would be left behind, and only a person can
/// tell whether its lab is still in use.
fn damaged(path: &Path, error: &serde_json::Error) -> anyhow::Error {
    let id = path.file_stem().unwrap_or_default().to_string_lossy();
    anyhow!(
        "the record {} of a lab is damaged, or another version has written it: {error}; make sure that no lab '{id}' \
         is in use, remove its namespaces (`ip netns list | grep ^rw-{id}-` shows them, `ip netns delete` removes one) \
         and this file, then `make clean-lab` removes what other labs left",
        path.display()
    )
}

fn record_path(id: &str) -> PathBuf {
    Path::new(RECORDS).join(format!("{id}.json"))
}

fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_is_named_with_what_to_do_about_it() -> Result<()> {
        // Not among the records: it would keep the labs of other tests from starting.
        let path = std::env::temp_dir().join(format!("ringwall-damaged-{}.json", std::process::id()));
        for damaged in ["", "{\"id\": \"cut", "{\"id\": \"of another version\"}"] {
            fs::write(&path, damaged)?;
            let said = read_record(&path).expect_err("it is no record").to_string();
            let namespaces = format!("ip netns list | grep ^rw-ringwall-damaged-{}-", std::process::id());
            let file = path.to_str().context("a path in text")?;
            for part in [file, "is damaged", namespaces.as_str(), "make clean-lab"] {
                ensure!(said.contains(part), "{part:?} is missing in: {said}");
            }
        }
        fs::remove_file(&path)?;
        ensure!(read_record(&path)?.is_none(), "a record that was removed meanwhile is no damage");
        Ok(())
    }
}
