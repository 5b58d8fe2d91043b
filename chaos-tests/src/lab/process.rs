//! A process of the lab: started in a namespace, watched, signalled, started again.
//!
//! Its output goes to a log in the lab's directory. It dies with the lab, unless the lab is kept on purpose.

use std::{
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::lab::{Shared, command::Program, log::Log, namespace::Namespace, process_id::ProcessId, wait};

/// A program that runs in the lab until it is stopped.
#[derive(Debug)]
pub struct Process {
    program: Program,
    namespace: Namespace,
    lab: Arc<Shared>,
    log: Log,
    child: Child,
    id: ProcessId,
}

/// What a program that ran to its end left.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Process {
    pub(super) fn start(lab: &Arc<Shared>, namespace: &Namespace, program: Program) -> Result<Self> {
        ensure!(program.input_text().is_none(), "{}: a process of the lab reads no standard input", program.name());
        let log = Log::at(lab.directory().join(format!("{}.log", program.name())));
        let (child, id) = launch(lab, namespace, &program, &log)?;
        Ok(Self { program, namespace: namespace.clone(), lab: Arc::clone(lab), log, child, id })
    }

    /// The name of the program.
    #[must_use]
    pub fn name(&self) -> &str {
        self.program.name()
    }

    /// Where it runs.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its captured output.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// True while it runs (a stopped process runs).
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal: `Signal::STOP` freezes, `Signal::CONT` thaws, `Signal::TERM` asks to end.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        ensure!(self.is_running()?, "{} has ended", self.name());
        self.id.signal(signal)?;
        Ok(())
    }

    /// Kills it with SIGKILL and waits for its end; returns the moment just before the signal.
    pub fn kill(&mut self) -> Result<Instant> {
        let at = Instant::now();
        self.child.kill().with_context(|| format!("kill {}", self.program.name()))?;
        self.child.wait()?;
        Ok(at)
    }

    /// Asks it to end with SIGTERM and waits for that.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(timeout)
    }

    /// Waits for its end.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        wait_for_exit(&mut self.child, self.program.name(), timeout)
    }

    /// Starts the same program again after it has ended; its output is appended to the same log.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(!self.is_running()?, "{} still runs", self.name());
        (self.child, self.id) = launch(&self.lab, &self.namespace, &self.program, &self.log)?;
        Ok(())
    }

    /// Waits until `ready` says yes; fails at once, with the log's end, if the process ends before.
    pub fn wait_ready(
        &mut self,
        what: &str,
        timeout: Duration,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> Result<Duration> {
        let start = Instant::now();
        let what = format!("{}: {what}", self.name());
        let ended = wait::for_value(&what, timeout, || match self.child.try_wait() {
            Ok(None) => ready(self).then_some(None),
            Ok(Some(status)) => Some(Some(status)),
            Err(_) => None,
        })
        .with_context(|| format!("{} wrote:\n{}", self.name(), self.log.tail()))?;
        if let Some(status) = ended {
            bail!("{what}: it ended with {status} and wrote:\n{}", self.log.tail());
        }
        Ok(start.elapsed())
    }

    /// Waits until its namespace listens on a TCP port.
    pub fn wait_listening(&mut self, port: u16, timeout: Duration) -> Result<Duration> {
        self.wait_ready(&format!("listening on tcp {port}"), timeout, |process| {
            process.namespace.listens_on_tcp(port).unwrap_or(false)
        })
    }

    /// Waits until it has written a line that contains a text.
    pub fn wait_logged(&mut self, needle: &str, timeout: Duration) -> Result<Duration> {
        self.wait_ready(&format!("'{needle}' in its log"), timeout, |process| {
            !process.log.lines_with(needle).is_empty()
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.lab.outlives_owner() {
            // An error means that it has ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Finished {
    /// The standard output if the program succeeded; an error with everything it said if not.
    pub fn success(self) -> Result<String> {
        ensure!(self.status.success(), "{} ended with {}\n{}{}", self.line, self.status, self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

/// Runs a program in a namespace to its end.
pub(super) fn run(lab: &Arc<Shared>, namespace: &Namespace, program: &Program, timeout: Duration) -> Result<Finished> {
    let base = lab.directory().join(lab.next_name(program.name()));
    let (out, err, input) = (base.with_extension("out"), base.with_extension("err"), base.with_extension("in"));
    let mut command = program.command(lab.binds_processes());
    command.stdout(std::fs::File::create(&out)?).stderr(std::fs::File::create(&err)?);
    match program.input_text() {
        Some(text) => {
            std::fs::write(&input, text)?;
            command.stdin(std::fs::File::open(&input)?);
            // Answers to prompts are secrets; the open handle is all that the program needs.
            std::fs::remove_file(&input)?;
        }
        None => {
            command.stdin(Stdio::null());
        }
    }
    let mut child = lab.spawn(namespace, command)?;
    let waited = wait_for_exit(&mut child, program.name(), timeout);
    if waited.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let (stdout, stderr) = (take(&out)?, take(&err)?);
    let status = waited.with_context(|| format!("{}\n{stdout}{stderr}", program.line()))?;
    Ok(Finished { line: program.line(), status, stdout, stderr })
}

fn launch(lab: &Shared, namespace: &Namespace, program: &Program, log: &Log) -> Result<(Child, ProcessId)> {
    let output = log.open_for_writing()?;
    let mut command = program.command(lab.binds_processes());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let child = lab.spawn(namespace, command)?;
    let id = ProcessId::of(child.id()).expect("a child that nobody waited for is shown in /proc");
    Ok((child, id))
}

/// Reads what a program wrote and removes the file: it may hold secrets, and its reader has it now.
fn take(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn wait_for_exit(child: &mut Child, name: &str, timeout: Duration) -> Result<ExitStatus> {
    wait::for_value(&format!("end of {name}"), timeout, || child.try_wait().transpose())?
        .with_context(|| format!("wait for {name}"))
}
