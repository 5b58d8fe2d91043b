//! `ringwall-gateway`: joining from a seed file on the first start, then enforcing.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::lab::{Lab, command::Program, log::Log, process::Process};

/// Where Clients reach it.
pub const CLIENT_PORT: u16 = 443;

/// Where it tells its health and metrics, to its own machine only.
pub const HEALTH_PORT: u16 = 9100;

const BINARY: &str = "ringwall-gateway";

/// Joining, and waiting for the first confirmation from a Controller.
const START: Duration = Duration::from_secs(60);

/// A Gateway on a host of the lab.
#[derive(Debug)]
pub struct Gateway {
    host: String,
    process: Process,
}

impl Gateway {
    /// Joins with a seed file and begins to enforce; `protected` is the interface towards the hosts behind it.
    pub fn start(lab: &Lab, host: &str, protected: &str, seed: &Path) -> Result<Self> {
        let data = lab.directory().join(host);
        fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
        let configuration = data.join("gateway.toml");
        fs::write(&configuration, configure(&data, seed, protected)).context("write the Gateway's configuration")?;
        let program = Program::product(host, BINARY)?
            .args(["--log-format", "json"])
            .arg("run")
            .arg("--config")
            .arg(&configuration);
        let mut gateway = Self { host: host.to_owned(), process: lab.spawn(host, program)? };
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
