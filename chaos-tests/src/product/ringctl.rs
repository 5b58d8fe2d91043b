//! `ringctl`: the operator's program. Runs on a Controller's machine, where the admin API answers.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use totp_rs::Totp;

use crate::lab::{Lab, command::Program, process::Finished};

const BINARY: &str = "ringctl";

/// An order, the wait for its enforcement included.
const ORDER: Duration = Duration::from_secs(60);

/// The operator, signed in at one Controller.
#[derive(Debug)]
pub struct Ringctl<'lab> {
    lab: &'lab Lab,
    host: String,
    home: PathBuf,
}

/// How a device's tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationMode {
    /// At once, without mercy.
    Cut,
    /// The Client renews at once, unnoticed.
    RenewNow,
    /// The Client renews within a window of these seconds.
    RenewWindow(u32),
}

/// A member of the Collective.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Name of the Controller.
    pub name: String,
    /// It leads.
    #[serde(default)]
    pub leader: bool,
    /// The last entry that it applied.
    #[serde(default)]
    pub applied_index: Option<u64>,
}

/// How long a Gateway took to enforce a revocation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforced {
    /// The Gateway.
    pub gateway: String,
    /// Milliseconds from the order's acceptance; none if it could not be reached.
    #[serde(default)]
    pub milliseconds: Option<f64>,
}

impl<'lab> Ringctl<'lab> {
    /// Signs in at the Controller of a host.
    pub fn sign_in(lab: &'lab Lab, host: &str, administrator: &str, password: &str) -> Result<Self> {
        let home = lab.directory().join("home-operator").join(host);
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        let ringctl = Self { lab, host: host.to_owned(), home };
        let program = ringctl
            .program("sign-in")?
            .args(["sign-in", "--user", administrator, "--password-stdin"])
            .input(&format!("{password}\n"));
        lab.run(host, &program, ORDER)?.success().context("sign in as administrator")?;
        Ok(ringctl)
    }

    /// Loads a file of objects.
    pub fn apply(&self, file: &Path) -> Result<String> {
        self.order(&["apply", "-f", text(file)?])
    }

    /// Prepares a Controller's joining; returns its seed file.
    pub fn seed_controller(&self, name: &str, peer: &str, client: &str) -> Result<PathBuf> {
        let seed = self.seed_path(name);
        self.order(&[
            "collective",
            "add",
            name,
            "--peer-address",
            peer,
            "--client-address",
            client,
            "--out",
            text(&seed)?,
        ])?;
        Ok(seed)
    }

    /// Prepares a Gateway's joining; returns its seed file.
    pub fn seed_gateway(&self, name: &str, site: &str, client: &str) -> Result<PathBuf> {
        let seed = self.seed_path(name);
        self.order(&["gateway", "add", name, "--site", site, "--client-address", client, "--out", text(&seed)?])?;
        Ok(seed)
    }

    /// The link by which Clients find the Collective.
    pub fn profile_link(&self, profile: &str) -> Result<String> {
        let answer = self.ask(&["get", "client-profile", profile, "--link"])?;
        answer["url"].as_str().map(str::to_owned).with_context(|| format!("no link in {answer}"))
    }

    /// The generator of a user's one-time passwords.
    pub fn one_time_passwords(&self, user: &str) -> Result<Totp> {
        let answer = self.ask(&["otp-seed", "create", user])?;
        let url = answer["url"].as_str().with_context(|| format!("no link in the answer for {user}"))?;
        Totp::from_url(url).map_err(|error| anyhow::anyhow!("unexpected seed of {user}: {error}"))
    }

    /// The Controllers.
    pub fn members(&self) -> Result<Vec<Member>> {
        let answer = self.ask(&["collective", "status"])?;
        let members = answer.get("controllers").cloned().unwrap_or(answer);
        serde_json::from_value(members).context("unexpected status of the Collective")
    }

    /// Revokes the tokens of all of a user's devices; with `wait`, returns when Gateways enforce it.
    pub fn revoke(&self, user: &str, mode: RevocationMode, wait: bool) -> Result<Vec<Enforced>> {
        let window;
        let mut arguments = vec!["device", "revoke", "--user", user];
        match mode {
            RevocationMode::Cut => arguments.push("--cut"),
            RevocationMode::RenewNow => arguments.push("--renew-now"),
            RevocationMode::RenewWindow(seconds) => {
                window = seconds.to_string();
                arguments.extend(["--renew-window", &window]);
            }
        }
        if wait {
            arguments.extend(["--wait", "enforced"]);
        }
        let answer = self.ask(&arguments)?;
        let gateways = answer.get("gateways").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(gateways).context("unexpected answer to a revocation")
    }

    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let answer = self.order(&all)?;
        serde_json::from_str(&answer).with_context(|| format!("ringctl {arguments:?} printed: {answer}"))
    }

    fn order(&self, arguments: &[&str]) -> Result<String> {
        let program = self.program(arguments[0])?.args(arguments);
        self.lab.run(&self.host, &program, ORDER).and_then(Finished::success)
    }

    fn program(&self, what: &str) -> Result<Program> {
        Ok(Program::product(&format!("ringctl-{what}"), BINARY)?.env("HOME", &self.home))
    }

    fn seed_path(&self, name: &str) -> PathBuf {
        self.lab.directory().join(format!("{name}.seed.json"))
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the lab's directory is text")
}
