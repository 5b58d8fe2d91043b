//! A network namespace, and how code and programs get into it.
//!
//! A namespace belongs to a thread, not to a process: whatever runs inside does so on a thread of its own that enters the
//! namespace first and never leaves it. Programs started from such a thread inherit it. Promises that no other thread of
//! the program ever changes its namespace.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsFd,
    panic,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns` keeps the handles.
const HANDLES: &str = "/run/netns";

/// A handle on an existing network namespace; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a new, empty namespace with a loopback interface that is up.
    pub(crate) fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let namespace = Self { name: name.to_owned() };
        namespace.ip_batch("link set lo up\n")?;
        Ok(namespace)
    }

    /// The full name, as `ip netns exec` takes it.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Moves the calling thread into the namespace, for good.
    ///
    /// Only for threads made for this purpose; [`Self::enter`] and [`Self::spawn`] make them.
    pub(crate) fn join_calling_thread(&self) -> io::Result<()> {
        let handle = File::open(self.handle())?;
        move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Runs `work` inside the namespace and returns its result; panics of `work` go on in the caller.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let outcome = thread::scope(|scope| {
            let inside = scope.spawn(|| self.join_calling_thread().map(|()| work()));
            inside.join()
        });
        match outcome {
            Ok(result) => result.with_context(|| format!("enter namespace {}", self.name)),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Runs `work` on a new thread inside the namespace; returns once the thread is inside.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        thread_name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>> {
        let (entered, inside) = mpsc::sync_channel(1);
        let namespace = self.clone();
        let handle = thread::Builder::new().name(thread_name.to_owned()).spawn(move || {
            let outcome = namespace.join_calling_thread();
            let failed = outcome.is_err();
            // The starter waits for exactly this message, so the channel is open.
            let _ = entered.send(outcome);
            if failed {
                panic::resume_unwind(Box::new("the namespace cannot be entered"));
            }
            work()
        })?;
        inside.recv().context("the thread ended early")?.with_context(|| format!("enter namespace {}", self.name))?;
        Ok(handle)
    }

    /// Runs `ip` commands in one go inside the namespace (`ip -batch`: one command a line, without the word `ip`).
    pub fn ip_batch(&self, commands: &str) -> Result<()> {
        // Not `ip -netns`: it changes mounts, which a root that is no mount point (chroot) does not permit.
        self.enter(|| feed(Command::new("ip").args(["-batch", "-"]), commands))?
            .with_context(|| format!("in namespace {}:\n{commands}", self.name))
    }

    /// Loads nftables commands in one transaction inside the namespace.
    pub(crate) fn nft(&self, ruleset: &str) -> Result<()> {
        self.enter(|| feed(Command::new("nft").args(["-f", "-"]), ruleset))?
            .with_context(|| format!("nft in namespace {}:\n{ruleset}", self.name))
    }

    /// Runs a short program inside the namespace and returns what it printed.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.enter(|| run(Command::new(program).args(arguments)))??;
        String::from_utf8(output).with_context(|| format!("{program} printed something that is not text"))
    }

    /// Sets a value under `/proc/sys`, such as `net.ipv4.ip_forward`, for this namespace.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key.replace('.', "/"));
        self.enter(|| fs::write(&path, value))?.with_context(|| format!("set {key} in {}", self.name))
    }

    /// True if some socket of the namespace listens on this TCP port, found without connecting to it.
    pub fn listens_on_tcp(&self, port: u16) -> Result<bool> {
        self.enter(|| {
            // `/proc/net` would show the namespace of the process, not of the thread.
            ["tcp", "tcp6"].iter().any(|table| {
                let sockets = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
                sockets.lines().skip(1).any(|line| is_listener(line, port))
            })
        })
    }

    fn handle(&self) -> PathBuf {
        Path::new(HANDLES).join(&self.name)
    }
}

/// Removes a namespace and with it the interfaces inside; one that is gone is no error.
pub(crate) fn remove(name: &str) -> Result<()> {
    if Path::new(HANDLES).join(name).exists() {
        run(Command::new("ip").args(["netns", "delete", name]))?;
    }
    Ok(())
}

/// Runs a program to its end; an exit code other than 0 is an error with what it wrote.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// Runs a program with a text on its standard input.
fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {command:?}"))?;
    // The program may fail before it has read everything: its own message says more than a broken pipe.
    let _ = child.stdin.take().expect("standard input is piped").write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// One line of `/proc/net/tcp`: `sl local_address:port rem_address st …`, hexadecimal, state 0A = LISTEN.
fn is_listener(line: &str, port: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let (Some(local), Some(state)) = (fields.next(), fields.nth(1)) else {
        return false;
    };
    let listening = local.rsplit_once(':').and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok());
    state == "0A" && listening == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let listening = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        let established = "   1: 0100007F:0050 0100007F:D431 01 00000000:00000000 00:00000000 00000000";
        assert!(is_listener(listening, 80));
        assert!(!is_listener(listening, 81));
        assert!(!is_listener(established, 80));
        assert!(!is_listener("", 80));
    }
}
