//! `ringwall`: the user's program. Each user has a home of their own, and answers prompts through the local socket.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::lab::{Lab, command::Program, log::Log, namespace::Namespace, process::Process, wait};

const BINARY: &str = "ringwall";

/// Commands that only talk to the running Client.
const LOCAL: Duration = Duration::from_secs(10);

/// A user's Client on a host of the lab.
#[derive(Debug)]
pub struct Client<'lab> {
    lab: &'lab Lab,
    host: String,
    home: PathBuf,
    process: Option<Process>,
}

/// What `ringwall status --json` says, as far as the lab looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `connected` once every Site is.
    pub state: String,
    /// When what expires; there once signed in.
    #[serde(default)]
    pub expiries: Option<Expiries>,
    /// One per entitlement token.
    pub sites: Vec<SiteStatus>,
    /// Questions that wait for an answer.
    pub prompts: Vec<Prompt>,
    /// What went wrong lately.
    pub troubles: Vec<Trouble>,
}

/// When what expires; another time is another token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiries {
    /// The claims token.
    pub claims: String,
}

/// A Site as the Client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// Its name.
    pub name: String,
    /// `connected` once packets pass.
    pub state: String,
    /// Name of the Gateway that carries the session.
    #[serde(default)]
    pub gateway: Option<String>,
    /// When its entitlement token expires.
    pub expires: String,
    /// How often the tunnel was lost and came back.
    pub reconnects: u32,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Where.
    pub subject: String,
    /// What was wrong.
    pub cause: String,
}

/// A question to the user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// Names it in the answer.
    pub prompt_id: String,
    /// `OtpAuthentication`, `PasswordAuthentication`, `Reason` or `DisplayMessage`.
    pub kind: String,
    /// What the user reads.
    pub message: String,
}

impl SiteStatus {
    /// True once packets pass.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == "connected"
    }
}

impl<'lab> Client<'lab> {
    /// A Client that has never signed in.
    pub fn new(lab: &'lab Lab, host: &str) -> Result<Self> {
        let home = lab.directory().join(format!("home-{host}"));
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        Ok(Self { lab, host: host.to_owned(), home, process: None })
    }

    /// The namespace of the user's device.
    #[must_use]
    pub fn namespace(&self) -> &'lab Namespace {
        self.lab.host(&self.host)
    }

    /// Signs in with a profile link and waits until a tunnel to each of the Sites is up; returns how long that took.
    pub fn up(&mut self, profile: &str, user: &str, password: &str, sites: &[&str]) -> Result<Duration> {
        let start = Instant::now();
        self.stop()?;
        let secret = self.home.join("password");
        fs::write(&secret, password).context("write the user's password")?;
        let program = self
            .program(&format!("client-{}", self.host))?
            .args(["up", "--foreground", "--profile", profile, "--user", user])
            .arg("--password-file")
            .arg(&secret);
        self.process = Some(self.lab.spawn(&self.host, program)?);
        self.wait_connected(sites, Duration::from_secs(30))?;
        Ok(start.elapsed())
    }

    /// Waits until a tunnel to each of the Sites is up.
    pub fn wait_connected(&mut self, sites: &[&str], timeout: Duration) -> Result<()> {
        let connected = || {
            let status = self.status()?;
            for wanted in sites {
                let up = status.sites.iter().any(|site| site.name == *wanted && site.is_connected());
                ensure!(up, "no tunnel to {wanted}: {status:?}");
            }
            Ok(())
        };
        wait::until_ok(&format!("tunnels of {} to {sites:?}", self.host), timeout, connected).with_context(|| {
            let log = self.process.as_ref().map(|process| process.log().tail()).unwrap_or_default();
            format!("the Client of {} wrote:\n{log}", self.host)
        })
    }

    /// What the Client says of itself.
    pub fn status(&self) -> Result<Status> {
        let text = self.call(&["status", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("unexpected status: {text}"))
    }

    /// Waits for a question of a kind.
    pub fn wait_prompt(&self, kind: &str, timeout: Duration) -> Result<Prompt> {
        wait::until_ok(&format!("a prompt of kind {kind}"), timeout, || {
            let prompts = self.status()?.prompts;
            let found = prompts.iter().find(|prompt| prompt.kind == kind).cloned();
            found.with_context(|| format!("open prompts: {prompts:?}"))
        })
    }

    /// Answers a question; the text goes over standard input, never onto a command line.
    pub fn answer(&self, prompt: &Prompt, text: &str) -> Result<()> {
        let program = self.program(&format!("answer-{}", self.host))?.args(["answer", &prompt.prompt_id, "--stdin"]);
        self.lab.run(&self.host, &program.input(&format!("{text}\n")), LOCAL)?.success()?;
        Ok(())
    }

    /// Signs out and ends.
    pub fn down(&mut self) -> Result<()> {
        self.call(&["down"])?;
        if let Some(mut process) = self.process.take() {
            process.wait(LOCAL)?;
        }
        Ok(())
    }

    /// Its log, once it was started.
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.process.as_ref().map(Process::log)
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take()
            && process.is_running()?
        {
            process.terminate(LOCAL)?;
        }
        Ok(())
    }

    fn call(&self, arguments: &[&str]) -> Result<String> {
        let program = self.program(&format!("{}-{}", arguments[0], self.host))?.args(arguments);
        self.lab.run(&self.host, &program, LOCAL)?.success()
    }

    fn program(&self, name: &str) -> Result<Program> {
        Ok(Program::product(name, BINARY)?.env("HOME", &self.home).env("RINGWALL_HOME", &self.home))
    }
}
