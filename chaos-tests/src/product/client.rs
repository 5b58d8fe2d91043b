//! `ringwall`: the user's program. Each user has a home of their own, and answers prompts through the local socket.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    lab::{
        Lab,
        command::Program,
        log::Log,
        namespace::Namespace,
        process::{Finished, Process},
        wait,
    },
    product::{held_tokens::HeldTokens, secret_file::SecretFile},
};

const BINARY: &str = "ringwall";

/// Commands that only talk to the running daemon, which may ask a Controller.
const LOCAL: Duration = Duration::from_secs(20);

/// From the command to the tunnels; the first time a key is made.
const SIGN_IN: Duration = Duration::from_secs(45);

/// A user's Client on a host of the lab.
#[derive(Debug)]
pub struct Client<'lab> {
    lab: &'lab Lab,
    host: String,
    state: PathBuf,
    daemon: Option<Process>,
    /// Until the daemon has read it.
    secret: Option<SecretFile>,
}

/// What `ringwall status --json` says, as far as the lab looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `connected` once every Site is.
    pub state: String,
    /// When what expires; there once signed in.
    #[serde(default)]
    pub(crate) expiries: Option<Expiries>,
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
pub(crate) struct Expiries {
    /// The claims token.
    pub(crate) claims: String,
}

/// A Site as the Client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// Its name.
    pub(crate) name: String,
    /// `connected` once packets pass.
    pub state: String,
    /// Name of the Gateway that carries the session.
    #[serde(default)]
    pub gateway: Option<String>,
    /// When its entitlement token expires.
    pub(crate) expires: String,
    /// How often the tunnel was lost and came back.
    pub reconnects: u32,
    /// Apps that open entitlements publish.
    #[serde(default)]
    pub shortcuts: Vec<Shortcut>,
}

/// A link that the Client shows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shortcut {
    /// Its text.
    pub name: String,
    /// Where it leads.
    pub url: String,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Where.
    pub subject: String,
    /// What was wrong.
    pub(crate) cause: String,
}

/// A question to the user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// Names it in the answer.
    pub(crate) prompt_id: String,
    /// `OtpAuthentication`, `PasswordAuthentication`, `Reason` or `DisplayMessage`.
    pub(crate) kind: String,
    /// What the user reads.
    pub message: String,
    /// What the answer is made of, such as `{"type": "agree"}`.
    #[serde(default)]
    pub challenge: serde_json::Value,
    /// A page that answers it.
    #[serde(default)]
    pub page: Option<String>,
    /// The condition that asks.
    #[serde(default)]
    pub condition: Option<String>,
    /// Where the user wanted to go.
    #[serde(default)]
    pub destination: Option<String>,
}

impl SiteStatus {
    /// True once packets pass.
    #[must_use]
    pub(crate) fn is_connected(&self) -> bool {
        self.state == "connected"
    }
}

impl<'lab> Client<'lab> {
    /// A Client that knows no Collective yet.
    #[must_use]
    pub fn new(lab: &'lab Lab, host: &str) -> Self {
        Self { lab, host: host.to_owned(), state: state_directory(lab, host), daemon: None, secret: None }
    }

    /// The namespace of the user's device.
    #[must_use]
    pub fn namespace(&self) -> &'lab Namespace {
        self.lab.host(&self.host)
    }

    /// Adds the profile of a Collective; the link holds a key and goes over standard input.
    pub fn add_profile(&self, link: &str) -> Result<()> {
        let program = self.program("profile")?.args(["profile", "add", "-"]).input(link);
        self.lab.run(&self.host, &program, LOCAL)?.success()?;
        Ok(())
    }

    /// `ringwall up` with name and password; waits until a tunnel to each of the Sites is up, and returns how long that
    /// took.
    pub fn up(&mut self, user: &str, password: &str, sites: &[&str]) -> Result<Duration> {
        let start = Instant::now();
        self.begin_up(user, password)?;
        self.wait_connected(sites, SIGN_IN)?;
        self.secret = None;
        Ok(start.elapsed())
    }

    /// The same without waiting: the sign-in may ask the user something.
    pub fn begin_up(&mut self, user: &str, password: &str) -> Result<()> {
        self.stop()?;
        // The former one goes first: it has the same name.
        self.secret = None;
        let secret = self.password_file(password)?;
        let program = self
            .program("daemon")?
            .args(["--log-json", "up", "--sign-in", "--no-prompt", "--resolv-conf"])
            .arg(self.resolver_file()?)
            .args(["--username", user, "--password-file"])
            .arg(secret.path());
        self.daemon = Some(self.lab.spawn(&self.host, program)?);
        self.secret = Some(secret);
        Ok(())
    }

    /// Loads a page from the user's device by a name that the device's resolver looks up, as any program would; answers
    /// what the page says.
    pub fn load_by_name(&self, url: &str, patience: Duration) -> Result<String> {
        // The device's resolver file in the place where programs look, for this command alone.
        let script = "mount --bind \"$1\" /etc/resolv.conf && \
                      exec curl --silent --show-error --fail --max-time \"$3\" \"$2\"";
        let program = Program::with_own_mounts(&format!("{}-page", self.host), &[], script)
            .arg(self.resolver_file()?)
            .args([url.to_owned(), patience.as_secs().max(1).to_string()]);
        self.lab.run(&self.host, &program, patience + LOCAL)?.success()
    }

    /// The device's resolver file: the lab's machine has its own, which stays as it is.
    fn resolver_file(&self) -> Result<PathBuf> {
        let file = self.lab.directory().join(format!("{}.resolv.conf", self.host));
        if !file.exists() {
            // Documentation addresses are nobody's (RFC 5737): what goes the former way is not answered.
            fs::write(&file, "nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
                .context("write a resolver file")?;
        }
        Ok(file)
    }

    /// `ringwall sign-in` beside the running daemon, which goes on with it; returns how long it took until a tunnel to
    /// each of the Sites is up.
    pub fn sign_in(&mut self, user: &str, password: &str, sites: &[&str]) -> Result<Duration> {
        let secret = self.password_file(password)?;
        let start = Instant::now();
        let program =
            self.program("sign-in")?.args(["sign-in", "--username", user, "--password-file"]).arg(secret.path());
        self.lab.run(&self.host, &program, SIGN_IN)?.success()?;
        self.wait_connected(sites, SIGN_IN)?;
        Ok(start.elapsed())
    }

    /// `ringwall sign-in` without a daemon, with what the user types besides the password; how it ended is for the caller
    /// to judge.
    pub(crate) fn sign_in_once(&self, user: &str, password: &str, typed: &str) -> Result<Finished> {
        let secret = self.password_file(password)?;
        let program =
            self.program("sign-in")?.args(["sign-in", "--username", user, "--password-file"]).arg(secret.path());
        self.lab.run(&self.host, &program.input(typed), SIGN_IN)
    }

    /// Waits until a tunnel to each of the Sites is up.
    pub fn wait_connected(&mut self, sites: &[&str], timeout: Duration) -> Result<()> {
        let what = format!("tunnels of {} to {sites:?}", self.host);
        let deadline = Instant::now() + timeout;
        let connected = || {
            let status = self.status()?;
            for wanted in sites {
                let up = status.sites.iter().any(|site| site.name == *wanted && site.is_connected());
                ensure!(up, "no tunnel to {wanted}: {status:?}");
            }
            Ok(())
        };
        let outcome = wait::until_ok(&what, deadline - Instant::now(), connected);
        outcome.with_context(|| {
            let log = self.daemon.as_ref().map(|daemon| daemon.log().tail()).unwrap_or_default();
            format!("the Client of {} wrote:\n{log}", self.host)
        })
    }

    /// What the daemon says of itself.
    pub fn status(&self) -> Result<Status> {
        let text = self.call("status", &["status", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("unexpected status: {text}"))
    }

    /// The tokens that it holds.
    pub fn tokens(&self) -> Result<HeldTokens> {
        HeldTokens::read(&self.state)
    }

    /// Waits for a question of a kind.
    pub fn wait_prompt(&self, kind: &str, timeout: Duration) -> Result<Prompt> {
        wait::until_ok(&format!("a prompt of kind {kind}"), timeout, || {
            let text = self.call("prompts", &["prompts", "--json"])?;
            let prompts: Vec<Prompt> = serde_json::from_str(&text).with_context(|| format!("prompts: {text}"))?;
            prompts.iter().find(|prompt| prompt.kind == kind).cloned().with_context(|| format!("open: {prompts:?}"))
        })
    }

    /// Waits for a question as wanted.
    pub fn wait_prompt_like(&self, what: &str, timeout: Duration, wanted: impl Fn(&Prompt) -> bool) -> Result<Prompt> {
        wait::until_ok(what, timeout, || {
            let status = self.status()?;
            status.prompts.iter().find(|prompt| wanted(prompt)).cloned().with_context(|| format!("{status:?}"))
        })
    }

    /// Waits until no question is open.
    pub fn wait_prompts_closed(&self, timeout: Duration) -> Result<()> {
        wait::until_ok("the end of all questions", timeout, || {
            let prompts = self.status()?.prompts;
            ensure!(prompts.is_empty(), "open: {prompts:?}");
            Ok(())
        })
    }

    /// Answers a question; the text goes over standard input, never onto a command line.
    pub fn answer(&self, prompt: &Prompt, text: &str) -> Result<()> {
        self.try_answer(prompt, text)?.success()?;
        Ok(())
    }

    /// The same; how it ended, and what else is wanted, is for the caller to judge.
    pub fn try_answer(&self, prompt: &Prompt, text: &str) -> Result<Finished> {
        let program = self.program("answer")?.args(["answer", &prompt.prompt_id, "--stdin"]);
        self.lab.run(&self.host, &program.input(&format!("{text}\n")), LOCAL)
    }

    /// `ringwall down`: the daemon ends.
    pub fn down(&mut self) -> Result<()> {
        self.call("down", &["down"])?;
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait(LOCAL)?;
        }
        Ok(())
    }

    /// The daemon's log, once it was started.
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.daemon.as_ref().map(Process::log)
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take()
            && daemon.is_running()?
        {
            daemon.terminate(LOCAL)?;
        }
        Ok(())
    }

    fn call(&self, what: &str, arguments: &[&str]) -> Result<String> {
        let program = self.program(what)?.args(arguments.iter().copied());
        self.lab.run(&self.host, &program, LOCAL)?.success()
    }

    fn program(&self, what: &str) -> Result<Program> {
        Ok(Program::product(&format!("{}-{what}", self.host), BINARY)?.arg("--state-dir").arg(&self.state))
    }

    fn password_file(&self, password: &str) -> Result<SecretFile> {
        SecretFile::write(self.lab.directory().join(format!("{}.password", self.host)), password)
    }
}

/// Where the Client of a host keeps its state.
#[must_use]
pub fn state_directory(lab: &Lab, host: &str) -> PathBuf {
    lab.directory().join(format!("{host}.ringwall"))
}
