//! `ringwall-controller`: founding a Collective, joining one, serving.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    lab::{
        Lab,
        command::Program,
        log::Log,
        probe::{HttpReply, Url, http_get},
        process::Process,
        wait,
    },
    product::{Ringctl, secret_file::SecretFile},
};

/// The port of the client API.
pub const CLIENT_PORT: u16 = 443;
/// The port for other Controllers and Gateways.
pub const PEER_PORT: u16 = 444;
/// The port of the admin API.
pub const ADMIN_PORT: u16 = 8443;
/// Where it tells its health and metrics, to its own machine only.
const METRICS_PORT: u16 = 9101;

const BINARY: &str = "ringwall-controller";

/// Making keys and writing the first state takes a moment on a slow disk.
const FOUNDING: Duration = Duration::from_secs(60);

/// From the start of the program to its listeners.
const START: Duration = Duration::from_secs(30);

/// For its own health and metrics.
const TELLS: Duration = Duration::from_secs(10);

/// What a Collective is founded with.
#[derive(Debug, Clone)]
pub struct Founding<'a> {
    /// The Collective's name.
    pub collective: &'a str,
    /// Name of the first administrator.
    pub administrator: &'a str,
    /// The administrator's first password.
    pub password: &'a str,
}

/// A Controller on a host of the lab.
#[derive(Debug)]
pub struct Controller {
    host: String,
    process: Process,
}

/// What the founding printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founded {
    /// SHA-256 of the Collective's root certificate.
    pub ca_fingerprint: String,
    /// The first administrator's key for knocking on the admin port.
    pub knock_key: String,
}

impl Controller {
    /// Founds a Collective on a host and begins to serve.
    pub fn found(lab: &Lab, host: &str, founding: &Founding<'_>) -> Result<(Self, Founded)> {
        Self::found_with(lab, host, founding, |program| program)
    }

    /// The same; `adapt` changes how it is started.
    pub fn found_with(
        lab: &Lab,
        host: &str,
        founding: &Founding<'_>,
        adapt: impl FnOnce(Program) -> Program,
    ) -> Result<(Self, Founded)> {
        Self::found_as(lab, host, founding, &[], adapt)
    }

    /// The same with ports that answer TLS to anybody.
    pub(crate) fn found_open(lab: &Lab, host: &str, founding: &Founding<'_>) -> Result<(Self, Founded)> {
        Self::found_as(lab, host, founding, &["--open"], |program| program)
    }

    fn found_as(
        lab: &Lab,
        host: &str,
        founding: &Founding<'_>,
        options: &[&str],
        adapt: impl FnOnce(Program) -> Program,
    ) -> Result<(Self, Founded)> {
        let data = data_directory(lab, host);
        let password = SecretFile::write(lab.directory().join(format!("{host}.password")), founding.password)?;
        let program = Program::product(&format!("{host}-init"), BINARY)?
            .arg("init")
            .arg("--data-dir")
            .arg(&data)
            .args(["--collective", founding.collective])
            .args(["--hostname", &socket(lab, host, CLIENT_PORT)])
            .args(["--admin", founding.administrator])
            .arg("--admin-password-file")
            .arg(password.path())
            .arg("--keep-root-sealed")
            .args(options.iter().copied())
            .args(addresses(lab, host));
        let printed = lab.run(host, &program, FOUNDING)?.success().context("found the Collective")?;
        let told = |what: &str| {
            let rest = printed.lines().find_map(|line| line.strip_prefix(what));
            let word = rest.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
            word.with_context(|| format!("no {what} in: {printed}"))
        };
        let founded = Founded { ca_fingerprint: told("CA fingerprint")?, knock_key: told("knock key")? };
        Ok((Self::serve(lab, host, adapt)?, founded))
    }

    /// Joins a Collective with a seed file and begins to serve, once the operator has admitted the key whose fingerprint the
    /// program shows on this host.
    pub(crate) fn join(lab: &Lab, host: &str, seed: &Path, operator: &Ringctl<'_>) -> Result<Self> {
        Self::join_with(lab, host, seed, operator, |program| program)
    }

    /// The same; `adapt` changes how it is started.
    pub fn join_with(
        lab: &Lab,
        host: &str,
        seed: &Path,
        operator: &Ringctl<'_>,
        adapt: impl FnOnce(Program) -> Program,
    ) -> Result<Self> {
        let mut joining =
            lab.spawn(host, with_seed(Program::product(&format!("{host}-join"), BINARY)?, lab, host, seed))?;
        let shown = joining.log().wait_for("key fingerprint", FOUNDING)?;
        let fingerprint = shown.split_whitespace().last().context("a fingerprint")?.to_owned();
        // It shows the key before it asks for the first time.
        wait::until_ok(&format!("{host} asks and is admitted"), FOUNDING, || operator.admit(host, &fingerprint))?;
        let ended = joining.wait(FOUNDING).context("join the Collective")?;
        ensure!(ended.success(), "{host} did not join: {}", joining.log().tail());
        Self::serve(lab, host, adapt)
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it says of its health.
    pub fn health(&self) -> Result<Value> {
        serde_json::from_str(&self.tells("/healthz")?.body).context("health is JSON")
    }

    /// The sum of a counter's values in its metrics; of those with this text among the labels, if it is not empty.
    pub fn counter(&self, name: &str, label: &str) -> Result<u64> {
        let reply = self.tells("/metrics")?;
        ensure!(reply.status == 200, "no metrics: {reply:?}");
        let lines = reply.body.lines().filter(|line| line.starts_with(name) && line.contains(label));
        let values = lines.filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
    }

    fn tells(&self, path: &str) -> Result<HttpReply> {
        http_get(self.process.namespace(), &Url::of(([127, 0, 0, 1], METRICS_PORT), path), TELLS)
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

    /// Starts it again on its data and waits for its listeners.
    pub fn restart(&mut self) -> Result<()> {
        self.process.restart()?;
        self.wait_ready()
    }

    fn serve(lab: &Lab, host: &str, adapt: impl FnOnce(Program) -> Program) -> Result<Self> {
        let program = Program::product(host, BINARY)?
            .args(["--log-format", "json"])
            .arg("run")
            .arg("--data-dir")
            .arg(data_directory(lab, host));
        let mut controller = Self { host: host.to_owned(), process: lab.spawn(host, adapt(program))? };
        controller.wait_ready()?;
        Ok(controller)
    }

    fn wait_ready(&mut self) -> Result<()> {
        for port in [PEER_PORT, CLIENT_PORT, ADMIN_PORT] {
            self.process.wait_listening(port, START)?;
        }
        Ok(())
    }
}

/// Where a Controller answers, `address:port` on the wide network.
#[must_use]
pub fn socket(lab: &Lab, host: &str, port: u16) -> String {
    format!("{}:{port}", lab.topology().v4(host, "wan"))
}

/// The program with the arguments by which it joins with a seed file.
#[must_use]
pub fn with_seed(program: Program, lab: &Lab, host: &str, seed: &Path) -> Program {
    let (data, addresses) = (data_directory(lab, host), addresses(lab, host));
    program.arg("join").arg("--data-dir").arg(data).arg("--seed").arg(seed).args(addresses)
}

fn addresses(lab: &Lab, host: &str) -> Vec<String> {
    let flags = [
        ("--listen-client", "0.0.0.0:443".to_owned()),
        ("--listen-peer", "0.0.0.0:444".to_owned()),
        // Without a knock orders come from the Controller's own machine only, the default.
        ("--listen-admin", format!("0.0.0.0:{ADMIN_PORT}")),
        ("--listen-metrics", format!("127.0.0.1:{METRICS_PORT}")),
        ("--advertise-client", socket(lab, host, CLIENT_PORT)),
        ("--advertise-peer", socket(lab, host, PEER_PORT)),
        ("--advertise-admin", socket(lab, host, ADMIN_PORT)),
    ];
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn data_directory(lab: &Lab, host: &str) -> PathBuf {
    lab.directory().join(host)
}
