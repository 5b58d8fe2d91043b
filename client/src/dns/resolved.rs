//! systemd-resolved, where it runs: told which domains belong to the TUN device and that our stub answers for them.
//!
//! What is passed on was checked to be a domain, and goes to a program of this system as arguments; no shell, nothing of
//! a server's choosing is run.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The program's only place; never looked for elsewhere.
const RESOLVECTL: &str = "/usr/bin/resolvectl";
/// There while the daemon runs.
const DAEMON: &str = "/run/systemd/resolve/io.systemd.Resolve";
/// What it asks itself; `/etc/resolv.conf` names only the daemon.
pub(super) const SERVERS: &str = "/run/systemd/resolve/resolv.conf";
/// It talks to a daemon of the system, which may be stuck.
const CALL_TIME: Duration = Duration::from_secs(5);

/// The TUN device in the eyes of systemd-resolved.
#[derive(Debug)]
pub(super) struct Resolved {
    device: String,
}

impl Resolved {
    /// The daemon, if this system has one that runs and answers what programs ask.
    pub(super) fn found(device: &str, resolv_conf: &Path) -> Option<Self> {
        let asked = std::fs::read_to_string(resolv_conf).is_ok_and(|text| text.contains("nameserver 127.0.0.53"));
        (asked && Path::new(RESOLVECTL).exists() && Path::new(DAEMON).exists())
            .then(|| Self { device: device.to_owned() })
    }

    /// `~` routes questions for a domain to the device's servers without searching in it.
    pub(super) async fn set(&self, stub: IpAddr, domains: &BTreeSet<String>) -> Result<(), String> {
        self.call("dns", &[stub.to_string()]).await?;
        let domains: Vec<String> = domains.iter().map(|domain| format!("~{domain}")).collect();
        self.call("domain", &domains).await
    }

    pub(super) async fn revert(&self) -> Result<(), String> {
        self.call("revert", &[]).await
    }

    async fn call(&self, verb: &str, arguments: &[String]) -> Result<(), String> {
        let mut command = Command::new(RESOLVECTL);
        command.arg(verb).arg(&self.device).args(arguments);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(CALL_TIME, command.output()).await;
        let output = output.map_err(|_| format!("{RESOLVECTL} does not answer"))?;
        let output = output.map_err(|error| format!("{RESOLVECTL}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{RESOLVECTL} failed: {}", said.trim().chars().take(200).collect::<String>()))
    }
}
