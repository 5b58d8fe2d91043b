//! A process that cannot be confused with another one: its id together with its start time.
//!
//! Process ids are reused. A lab that was interrupted leaves ids in a file; before one of them is signalled, a handle on
//! the process (pidfd) is opened and the start time is compared *through the open handle's lifetime*, so another
//! process that got the same id is never hit.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::lab::wait;

/// A process id and the moment it started, in clock ticks since boot (`/proc/<pid>/stat`, field 22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pid: i32,
    start: u64,
}

/// How long a process may take to disappear after SIGKILL (it may be writing a page cache out).
const DEATH: Duration = Duration::from_secs(10);

impl ProcessId {
    /// Identifies a running process; `None` if there is none with this id.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let stat = ProcessStat::read(pid)?;
        Some(Self { pid, start: stat.start })
    }

    /// The process that asks.
    #[must_use]
    pub(crate) fn own() -> Self {
        Self::of(std::process::id()).expect("/proc shows the process that reads it")
    }

    /// The bare number, for printing.
    #[must_use]
    pub fn number(self) -> i32 {
        self.pid
    }

    /// True while this very process runs (a zombie does not run).
    #[must_use]
    pub fn is_running(self) -> bool {
        ProcessStat::read(self.pid).is_some_and(|stat| stat.start == self.start && !stat.dead)
    }

    /// Sends a signal if this very process still runs; `false` if it does not.
    pub fn signal(self, signal: Signal) -> Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(false);
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(false);
        };
        if !self.is_running() {
            return Ok(false);
        }
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("signal process {}", self.pid)),
        }
    }

    /// Kills the process and waits until it is gone.
    pub(crate) fn kill(self) -> Result<()> {
        if self.signal(Signal::KILL)? {
            wait::until(&format!("death of process {}", self.pid), DEATH, || !self.is_running())?;
        }
        Ok(())
    }
}

/// What `/proc/<pid>/stat` says that matters here.
struct ProcessStat {
    dead: bool,
    start: u64,
}

impl ProcessStat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
        let (_, fields) = text.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { dead: matches!(state, "Z" | "X"), start })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_stranger_with_the_same_number_is_never_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let real = ProcessId::of(child.id()).unwrap();
        let impostor = ProcessId { start: real.start + 1, ..real };

        impostor.kill().unwrap();
        assert!(real.is_running());
        assert!(!impostor.is_running());

        real.kill().unwrap();
        assert!(!real.is_running());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_ended_is_nobody() {
        let mut child = Command::new("true").spawn().unwrap();
        let id = ProcessId::of(child.id());
        child.wait().unwrap();
        assert!(id.is_none_or(|id| !id.is_running()));
    }
}
