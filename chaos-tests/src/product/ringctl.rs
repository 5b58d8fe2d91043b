//! `ringctl`: the operator's program. Runs on a Controller's machine, where the admin API answers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::Value;
use totp_rs::Totp;

use crate::{
    lab::{Lab, command::Program, process::Finished},
    product::secret_file::SecretFile,
};

const BINARY: &str = "ringctl";

/// The admin API on the Controller's own machine.
const ADMIN_API: &str = "127.0.0.1:8443";

/// An order, the wait for its enforcement included.
const ORDER: Duration = Duration::from_secs(60);

/// The operator, signed in at one Controller.
#[derive(Debug)]
pub struct Ringctl<'lab> {
    lab: &'lab Lab,
    host: String,
    session: PathBuf,
}

/// An administrator's credentials.
#[derive(Debug, Clone, Copy)]
pub struct Administrator<'a> {
    /// User name at the local provider.
    pub name: &'a str,
    /// Password.
    pub password: &'a str,
    /// The Collective's root, as `ringwall-controller init` printed it.
    pub ca_fingerprint: &'a str,
}

/// How tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevocationMode {
    /// Clients renew at once, unnoticed.
    RenewNow,
    /// Clients are told one by one and have these minutes to renew.
    RenewWindow {
        /// Minutes from being told to the end of the old tokens.
        minutes: u32,
    },
}

/// The Collective as one Controller sees it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectiveStatus {
    /// The leader's node id.
    pub(crate) leader: Option<u64>,
    /// The last entry that the answering Controller applied.
    pub(crate) applied: u64,
    /// Controllers.
    pub(crate) controllers: Vec<ControllerStatus>,
    /// Gateways.
    pub(crate) gateways: Vec<GatewayStatus>,
}

/// A Controller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ControllerStatus {
    /// Its node id.
    pub(crate) node: u64,
    /// Its name.
    pub(crate) name: String,
    /// `voter` or `learner`.
    pub(crate) role: String,
}

/// A Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Its name.
    pub(crate) name: String,
    /// The last entry that its kernel enforces.
    #[serde(default)]
    pub(crate) enforced: Option<u64>,
}

/// How long a Gateway took to enforce a revocation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforced {
    /// The Gateway.
    pub(crate) name: String,
    /// Milliseconds from the order to the kernel's acknowledgement; none if it could not be reached.
    #[serde(default)]
    pub(crate) enforced_after_ms: Option<f64>,
}

impl CollectiveStatus {
    /// The leader's name.
    #[must_use]
    pub fn leader_name(&self) -> Option<&str> {
        let leader = self.controllers.iter().find(|controller| Some(controller.node) == self.leader);
        leader.map(|controller| controller.name.as_str())
    }

    /// How many Controllers vote.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.controllers.iter().filter(|controller| controller.role == "voter").count()
    }
}

impl<'lab> Ringctl<'lab> {
    /// Signs in at the Controller of a host.
    pub fn sign_in(lab: &'lab Lab, host: &str, administrator: &Administrator<'_>) -> Result<Self> {
        Self::sign_in_with(lab, host, session_file(lab, host), administrator)
    }

    /// The same for an administrator beside the operator, with a session of his own.
    pub fn sign_in_beside(lab: &'lab Lab, host: &str, administrator: &Administrator<'_>) -> Result<Self> {
        let session = lab.directory().join(format!("{host}.{}.ringctl-session.json", administrator.name));
        Self::sign_in_with(lab, host, session, administrator)
    }

    fn sign_in_with(lab: &'lab Lab, host: &str, session: PathBuf, administrator: &Administrator<'_>) -> Result<Self> {
        let ringctl = Self { lab, host: host.to_owned(), session };
        let program = ringctl
            .program("sign-in")?
            .args(["sign-in", ADMIN_API, "--ca-fingerprint", administrator.ca_fingerprint])
            .args(["--username", administrator.name, "--password-file", "-"])
            .input(&format!("{}\n", administrator.password));
        lab.run(host, &program, ORDER)?.success().context("sign in as administrator")?;
        Ok(ringctl)
    }

    /// Signs in at an admin API from a host, with a key for knocking if one is given; how it ended is for the caller to judge.
    pub fn sign_in_at(
        lab: &'lab Lab,
        host: &str,
        at: &str,
        administrator: &Administrator<'_>,
        knock_key: Option<&str>,
    ) -> Result<(Self, Finished)> {
        let ringctl = Self { lab, host: host.to_owned(), session: session_file(lab, host) };
        let mut program = ringctl
            .program("sign-in")?
            .args(["sign-in", at, "--ca-fingerprint", administrator.ca_fingerprint])
            .args(["--username", administrator.name, "--password-file", "-"])
            .input(&format!("{}\n", administrator.password));
        let key = knock_key
            .map(|key| SecretFile::write(lab.directory().join(format!("{host}.knock-key")), key))
            .transpose()?;
        if let Some(key) = &key {
            program = program.arg("--knock-key-file").arg(key.path());
        }
        let finished = lab.run(host, &program, ORDER)?;
        Ok((ringctl, finished))
    }

    /// Loads a file of objects.
    pub fn apply(&self, file: &Path) -> Result<String> {
        self.order("apply", &["apply", "--file", text(file)?])
    }

    /// Makes a Controller that may join; returns its seed file.
    pub fn add_controller(&self, name: &str, peer: &str) -> Result<PathBuf> {
        let seed = self.seed_path(name);
        self.order("add", &["collective", "add", name, "--controller", "--address", peer, "--seed", text(&seed)?])?;
        Ok(seed)
    }

    /// Admits a Controller that asks to join with this key.
    pub(crate) fn admit(&self, name: &str, fingerprint: &str) -> Result<()> {
        self.order("admit", &["collective", "admit", name, "--fingerprint", fingerprint]).map(drop)
    }

    /// Makes a Gateway that may join; returns its seed file.
    pub fn add_gateway(&self, name: &str, site: &str, client: &str) -> Result<PathBuf> {
        let seed = self.seed_path(name);
        self.order(
            "add",
            &["collective", "add", name, "--gateway", "--site", site, "--address", client, "--seed", text(&seed)?],
        )?;
        Ok(seed)
    }

    /// The link by which Clients find the Collective.
    pub fn profile_link(&self, profile: &str) -> Result<String> {
        let answer = self.ask(&["profile", "link", profile])?;
        answer["url"].as_str().map(str::to_owned).with_context(|| format!("no link in {answer}"))
    }

    /// Has the on-boarding page of a profile served for some hours; returns where the Controller of this machine does.
    pub fn on_boarding_page(&self, profile: &str, hours: u32) -> Result<String> {
        let answer = self.ask(&["profile", "on-boarding", profile, "--hours", &hours.to_string()])?;
        let path = answer["path"].as_str().with_context(|| format!("no page in {answer}"))?;
        Ok(format!("https://{ADMIN_API}{path}"))
    }

    /// Writes the link of a profile as a PNG.
    pub fn profile_picture(&self, profile: &str, file: &Path) -> Result<()> {
        self.order("picture", &["profile", "qr", profile, "--png", text(file)?]).map(drop)
    }

    /// Lets a profile's link bring nobody in any more.
    pub fn close_enrolment(&self, profile: &str) -> Result<()> {
        let file = self.lab.directory().join("closed.yaml");
        let object = format!("kind: client-profile\nname: {profile}\nidentityProvider: local\nenrolment: false\n");
        std::fs::write(&file, object)?;
        self.apply(&file).map(drop)
    }

    /// A code with which the user with this DN registers a security key.
    pub fn permit_security_key(&self, dn: &str) -> Result<String> {
        let answer = self.ask(&["fido2", "permit", dn])?;
        answer["code"].as_str().map(str::to_owned).with_context(|| format!("no code in {answer}"))
    }

    /// Any order; how it ended is for the caller to judge.
    pub fn attempt(&self, arguments: &[&str]) -> Result<Finished> {
        let what = arguments.first().copied().unwrap_or("nothing");
        self.lab.run(&self.host, &self.program(what)?.args(arguments.iter().copied()), ORDER)
    }

    /// What some order answers, as JSON.
    pub fn read(&self, arguments: &[&str]) -> Result<Value> {
        self.ask(arguments)
    }

    /// Makes a new seed for a user's one-time passwords.
    pub(crate) fn one_time_passwords(&self, user: &str) -> Result<Totp> {
        self.one_time_passwords_at(user, "local")
    }

    /// The same for a user of another provider.
    pub(crate) fn one_time_passwords_at(&self, user: &str, provider: &str) -> Result<Totp> {
        let answer = self.ask(&["otp", "seed", &format!("CN={user},OU={provider}")])?;
        let url = answer["otpAuthUrl"].as_str().with_context(|| format!("no link in the answer for {user}"))?;
        Totp::from_url(url).map_err(|error| anyhow!("unexpected seed of {user}: {error}"))
    }

    /// The Collective as this Controller sees it.
    pub fn status(&self) -> Result<CollectiveStatus> {
        let answer = self.ask(&["collective", "status"])?;
        serde_json::from_value(answer).context("unexpected status of the Collective")
    }

    /// Revokes the tokens of all of a user's devices.
    pub(crate) fn revoke(&self, user: &str, mode: RevocationMode) -> Result<()> {
        self.ask(&revocation(&user_dn(user), mode)).map(drop)
    }

    /// Cuts all of a user's sessions and waits until Gateways enforce it.
    pub fn cut(&self, user: &str) -> Result<Vec<Enforced>> {
        let answer = self.ask(&["device", "revoke", &user_dn(user), "--cut", "--wait", "enforced"])?;
        serde_json::from_value(answer["enforced"].clone()).with_context(|| format!("unexpected answer: {answer}"))
    }

    fn ask<A: AsRef<str>>(&self, arguments: &[A]) -> Result<Value> {
        let mut all: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        all.extend(["--output", "json"]);
        let answer = self.order(all[0], &all)?;
        serde_json::from_str(&answer).with_context(|| format!("ringctl {all:?} printed: {answer}"))
    }

    fn order(&self, what: &str, arguments: &[&str]) -> Result<String> {
        let program = self.program(what)?.args(arguments.iter().copied());
        self.lab.run(&self.host, &program, ORDER).and_then(Finished::success)
    }

    fn program(&self, what: &str) -> Result<Program> {
        Ok(Program::product(&format!("ringctl-{what}"), BINARY)?.env("RINGCTL_SESSION", &self.session))
    }

    fn seed_path(&self, name: &str) -> PathBuf {
        self.lab.directory().join(format!("{name}.seed.json"))
    }
}

/// Where the operator's session at a Controller is kept.
#[must_use]
pub fn session_file(lab: &Lab, host: &str) -> PathBuf {
    lab.directory().join(format!("{host}.ringctl-session.json"))
}

fn revocation(dn: &str, mode: RevocationMode) -> Vec<String> {
    let mut arguments = vec!["device".to_owned(), "revoke".to_owned(), dn.to_owned()];
    match mode {
        RevocationMode::RenewNow => {}
        RevocationMode::RenewWindow { minutes } => arguments.extend(["--delay".to_owned(), minutes.to_string()]),
    }
    arguments
}

/// The Distinguished Name of a user of the local provider, which all of the user's devices share.
fn user_dn(user: &str) -> String {
    format!("CN={user},OU=local")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the lab's directory is text")
}
