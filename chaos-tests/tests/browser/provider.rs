//! A real OpenID provider (npm `oidc-provider`) on a machine of its own, over TLS with a certificate of its own.
//!
//! Its package is installed once for each lock file, outside the checkout, from the registry that npm is configured for.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, browser::Browser, command::Program, process::Process, wait};
use serde_json::json;

use crate::place::{Place, SSO, in_list};

const PORT: u16 = 9_443;
/// The client's id and secret at the provider.
pub(crate) const CLIENT_ID: &str = "ringwall";
pub(crate) const CLIENT_SECRET: &str = "a secret of the provider's client";
const START: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);

/// A running provider.
pub(crate) struct Provider {
    process: Process,
    certificate: String,
    pub(crate) issuer: String,
}

impl Provider {
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let package = installed()?;
        let host = lab.topology().v4(SSO, "wan").to_string();
        let certified = rcgen::generate_simple_self_signed([host.clone()])?;
        let home = lab.directory();
        let (certificate, key, settings) = (home.join("sso.pem"), home.join("sso.key"), home.join("sso.json"));
        fs::write(&certificate, certified.cert.pem())?;
        fs::write(&key, certified.signing_key.serialize_pem())?;
        let content = json!({
            "host": host, "port": PORT, "certificate": certificate, "key": key,
            "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET,
        });
        fs::write(&settings, content.to_string())?;
        let program = Program::system("sso", "node").directory(&package).arg("server.mjs").arg(&settings);
        let mut process = lab.spawn(SSO, program)?;
        process.wait_listening(PORT, START)?;
        Ok(Self { process, certificate: certified.cert.pem(), issuer: format!("https://{host}:{PORT}") })
    }

    /// The provider and a profile for its users, as an operator writes them.
    pub(crate) fn objects(&self) -> String {
        let certificate = in_list(&self.certificate);
        format!(
            "kind: IdentityProvider
name: sso
type: Oidc
issuer: {issuer}
audience: {CLIENT_ID}
clientSecret: {CLIENT_SECRET}
scope: openid profile email
usernameClaim: preferred_username
userInfo: true
trustedCertificates:
  - |
{certificate}claimMappings:
  - attributeName: groups
    claimName: groups
    list: true
---
kind: ClientProfile
name: sso
identityProvider: sso
",
            issuer = self.issuer,
        )
    }

    /// From now on its token endpoint answers like this.
    pub(crate) fn attack(&self, place: &Place, name: &str) -> Result<()> {
        let url = format!("{}/test/attack/{name}", self.issuer);
        let answer = place.curl(SSO, &["--request", "POST", &url])?;
        ensure!(answer.ends_with(name), "unexpected answer: {answer}");
        Ok(())
    }

    /// How many codes were redeemed.
    pub(crate) fn redeemed(&self, place: &Place) -> Result<u32> {
        self.number(place, "redeemed")
    }

    /// How often somebody went where a redirect led.
    pub(crate) fn follows(&self, place: &Place) -> Result<u32> {
        self.number(place, "follows")
    }

    fn number(&self, place: &Place, what: &str) -> Result<u32> {
        let answer = place.curl(SSO, &[&format!("{}/test/{what}", self.issuer)])?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        body.trim().parse().context("a number")
    }

    /// It is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }
}

/// Signs a person in at the provider's pages, until the browser is back on its own machine; where it came back to.
pub(crate) fn go_through(browser: &Browser, page: &str, person: &str) -> Result<String> {
    browser.open(page)?;
    wait::for_value("the browser comes back", PATIENCE, || {
        let url = browser.url().ok()?;
        if url.starts_with("http://127.0.0.1:") {
            return Some(url);
        }
        // Pages change under our hands: what is gone by now is looked for again.
        if browser.has("input[name=login]").is_ok() {
            let typed = browser.type_into("input[name=login]", person);
            let _ = typed.and_then(|()| browser.type_into("input[name=password]", "any password does"));
        }
        let _ = browser.click("button[type=submit]");
        None
    })
}

/// The provider's package with what it needs, installed.
fn installed() -> Result<PathBuf> {
    // One test of this process at a time; other processes have folders of their own.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _turn = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/oidc");
    let files = ["package.json", "package-lock.json", "server.mjs"];
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(source.join(file)).with_context(|| format!("read {file}"))?.hash(&mut hasher);
    }
    let place = std::env::temp_dir().join(format!("ringwall-test-packages/oidc-{:016x}", hasher.finish()));
    if place.exists() {
        return Ok(place);
    }
    let fresh = place.with_extension(std::process::id().to_string());
    fs::create_dir_all(&fresh)?;
    for file in files {
        fs::copy(source.join(file), fresh.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&fresh).stdin(Stdio::null());
    let output = npm.output().context("run npm")?;
    ensure!(output.status.success(), "npm ci failed:\n{}", String::from_utf8_lossy(&output.stderr));
    // Another test may have been faster; then its package is as good.
    if fs::rename(&fresh, &place).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    Ok(place)
}
