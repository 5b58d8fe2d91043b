//! `ringwall-gateway`: joining from a seed file on the first start, then enforcing.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::lab::{
    Lab,
    command::Program,
    log::Log,
    probe::{Url, http_get},
    process::Process,
};

/// Where Clients reach it.
pub const CLIENT_PORT: u16 = 443;

/// Where it tells its health and metrics, to its own machine only.
pub(crate) const HEALTH_PORT: u16 = 9100;

const BINARY: &str = "ringwall-gateway";

/// Joining, and waiting for the first confirmation from a Controller.
const START: Duration = Duration::from_secs(60);

/// For its own metrics.
const METRICS: Duration = Duration::from_secs(5);

/// A Gateway on a host of the lab.
#[derive(Debug)]
pub struct Gateway {
    host: String,
    process: Process,
}

impl Gateway {
    /// Joins with a seed file and begins to enforce; `protected` is the interface towards the hosts behind it.
    pub fn start(lab: &Lab, host: &str, protected: &str, seed: &Path) -> Result<Self> {
        Self::start_with(lab, host, protected, seed, |program| program)
    }

    /// The same; `adapt` changes how it is started.
    pub fn start_with(
        lab: &Lab,
        host: &str,
        protected: &str,
        seed: &Path,
        adapt: impl FnOnce(Program) -> Program,
    ) -> Result<Self> {
        // It makes the directory of its keys itself.
        let data = lab.directory().join(host);
        let configuration = lab.directory().join(format!("{host}.toml"));
        fs::write(&configuration, configure(&data, seed, protected)).context("write the Gateway's configuration")?;
        let program = Program::product(host, BINARY)?
            .args(["--log-format", "json"])
            .arg("run")
            .arg("--config")
            .arg(&configuration);
        let mut gateway = Self { host: host.to_owned(), process: lab.spawn(host, adapt(program))? };
        gateway.wait_ready()?;
        Ok(gateway)
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.process.log()
    }

    /// The sum of a counter's values in its metrics; of those with this text among the labels, if it is not empty.
    pub fn counter(&self, name: &str, label: &str) -> Result<u64> {
        let url = Url::of(([127, 0, 0, 1], HEALTH_PORT), "/metrics");
        let reply = http_get(self.process.namespace(), &url, METRICS)?;
        ensure!(reply.status == 200, "no metrics: {reply:?}");
        let lines = reply.body.lines().filter(|line| line.starts_with(name) && line.contains(label));
        let values = lines.filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
    }

    /// Kills it with SIGKILL; returns the moment just before.
    pub fn kill(&mut self) -> Result<Instant> {
        self.process.kill()
    }

    /// Starts it again and waits until it admits sessions.
    pub fn restart(&mut self) -> Result<()> {
        self.process.restart()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        self.process.wait_listening(CLIENT_PORT, START)?;
        Ok(())
    }
}

fn configure(data: &Path, seed: &Path, protected: &str) -> String {
    format!(
        "data_dir = \"{}\"
seed = \"{}\"

[listen]
client = \"0.0.0.0:{CLIENT_PORT}\"
health = \"127.0.0.1:{HEALTH_PORT}\"

[network]
protected = [\"{protected}\"]
",
        data.display(),
        seed.display()
    )
}
