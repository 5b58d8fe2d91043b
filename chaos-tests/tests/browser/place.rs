//! A Controller with its operator, two users with browsers, and a machine for an identity provider.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        browser::Greys,
        command::Program,
        process::Process,
        servers::{Slapd, slapd},
        topology::{Host, Topology},
        wait,
    },
    product::{
        client::{Client, state_directory},
        controller::{Controller, Founded, Founding},
        ringctl::{Administrator, Ringctl},
    },
};

/// The Controller's machine.
pub(crate) const HOST: &str = "c1";
/// The identity provider's machine.
pub(crate) const SSO: &str = "sso";
/// A user's machine.
pub(crate) const ALICE: &str = "alice";
/// Another user's machine.
pub(crate) const BOB: &str = "bob";
/// The Gateway's machine, where there is one.
pub(crate) const GATEWAY: &str = "gateway";
/// The web host behind it.
pub(crate) const WEB: &str = "web";
const PASSWORD: &str = "a long password";
/// From a command to the page that it names.
const SOON: Duration = Duration::from_secs(30);

/// A founded Collective.
pub(crate) struct Place {
    pub(crate) lab: Lab,
    pub(crate) controller: Controller,
    pub(crate) founded: Founded,
}

impl Place {
    pub(crate) fn found() -> Result<Self> {
        Self::found_in(topology())
    }

    /// The same with a protected network: a Gateway before a web host.
    pub(crate) fn walled() -> Result<Self> {
        let topology = topology().network("office", "10.20.0.0/24", "fd20::/64");
        let topology = topology.host(Host::new(GATEWAY).on("wan", 21).on("office", 2));
        Self::found_in(topology.host(Host::new(WEB).on("office", 10)))
    }

    fn found_in(topology: Topology) -> Result<Self> {
        let lab = Lab::start(topology)?;
        let founding = Founding { collective: "browser", administrator: "admin", password: PASSWORD };
        let (controller, founded) = Controller::found(&lab, HOST, &founding)?;
        Ok(Self { lab, controller, founded })
    }

    /// The operator, signed in.
    pub(crate) fn operator(&self) -> Result<Ringctl<'_>> {
        let administrator =
            Administrator { name: "admin", password: PASSWORD, ca_fingerprint: &self.founded.ca_fingerprint };
        Ringctl::sign_in(&self.lab, HOST, &administrator)
    }

    /// What curl says of a request from a machine: head and body.
    pub(crate) fn curl(&self, host: &str, arguments: &[&str]) -> Result<String> {
        let program = Program::system("curl", "curl")
            .args(["--silent", "--insecure", "--include", "--max-time", "10"])
            .args(arguments.iter().copied());
        self.lab.run(host, &program, Duration::from_secs(20))?.success()
    }

    /// Gives a user's machine the profile, and writes objects before.
    pub(crate) fn add_profile(&self, operator: &Ringctl<'_>, host: &str, profile: &str) -> Result<()> {
        Client::new(&self.lab, host).add_profile(&operator.profile_link(profile)?)
    }

    /// `ringwall sign-in --no-browser` on a user's machine: the process, and the page that it names.
    pub(crate) fn sign_in(&self, host: &str, profile: &str) -> Result<(Process, String)> {
        let program = self.client(host)?.args(["sign-in", "--no-browser", "--key-type", "p256", "--profile", profile]);
        let mut process = self.lab.spawn(host, program)?;
        let seen = process.log().lines_with("https://").len();
        process
            .wait_ready("a page for the browser", SOON, |process| process.log().lines_with("https://").len() > seen)?;
        let line = process.log().lines_with("https://").pop().context("a page")?;
        Ok((process, line.trim().to_owned()))
    }

    /// What `ringctl test identity-provider` says of a provider, good or bad.
    pub(crate) fn test_provider(&self, operator: &Ringctl<'_>, name: &str) -> Result<serde_json::Value> {
        let told = operator.attempt(&["test", "identity-provider", name, "--output", "json"])?;
        ensure!(matches!(told.status.code(), Some(0 | 10)), "{}", told.stderr);
        serde_json::from_str(&told.stdout).with_context(|| format!("it printed: {}", told.stdout))
    }

    /// What a sign-in without a page says that has to fail because the provider cannot be asked.
    pub(crate) fn refused_sign_in(&self, host: &str, profile: &str) -> Result<String> {
        let program = self.client(host)?.args(["sign-in", "--no-browser", "--key-type", "p256", "--profile", profile]);
        let ended = self.lab.run(host, &program, Duration::from_secs(60))?;
        ensure!(ended.status.code() == Some(5), "{}: {}", ended.status, ended.stderr);
        Ok(ended.stderr)
    }

    /// The Client's program on a user's machine. Each has a log of its own.
    pub(crate) fn client(&self, host: &str) -> Result<Program> {
        static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let run = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let program = Program::product(&format!("{host}-ringwall-{run}"), "ringwall")?;
        Ok(program.arg("--state-dir").arg(state_directory(&self.lab, host)))
    }

    /// A directory of users, and a provider `corp` for them as an operator writes it. What a provider wants of its users it
    /// wants of administrators too, and security keys cannot be touched at the admin API: so users of security keys are not
    /// in the provider of the administrators.
    pub(crate) fn directory(&self) -> Result<(Slapd, String)> {
        let address = self.lab.topology().v4(SSO, "wan");
        let directory = Slapd::start(&self.lab, SSO, address.into())?;
        let certificate = in_list(directory.authority());
        let provider = format!(
            "kind: IdentityProvider
name: corp
type: Ldap
hostnames: [{address}]
port: {port}
sslEnabled: true
trustedCertificates:
  - |
{certificate}adminDistinguishedName: cn=reader,dc=corp,dc=example
adminPassword: {password}
baseDn: ou=people,dc=corp,dc=example
userFilter: (objectClass=inetOrgPerson)
usernameAttribute: uid
",
            port = slapd::PORT,
            password = slapd::READER_PASSWORD,
        );
        Ok((directory, provider))
    }

    /// Writes objects with the operator's program.
    pub(crate) fn apply(&self, operator: &Ringctl<'_>, objects: &str) -> Result<()> {
        let file = self.lab.directory().join("objects.yaml");
        std::fs::write(&file, objects)?;
        operator.apply(&file).map(drop)
    }

    /// Waits until some file of the lab's directory holds a line with this text; the line.
    pub(crate) fn wait_written(&self, prefix: &str, text: &str) -> Result<String> {
        wait::for_value(&format!("{text} written by {prefix}"), SOON, || {
            let files = std::fs::read_dir(self.lab.directory()).ok()?.flatten().map(|entry| entry.path());
            let named =
                |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
            files.filter(named).find_map(|path| {
                let content = std::fs::read_to_string(path).ok()?;
                content.lines().find(|line| line.contains(text)).map(|line| line.trim().to_owned())
            })
        })
    }
}

/// A PEM text as the lines of a block in a YAML list.
pub(crate) fn in_list(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}\n")).collect()
}

fn topology() -> Topology {
    let mut topology = Topology::new().network("wan", "198.51.100.0/24", "2001:db8:1::/64");
    for (host, number) in [(HOST, 11), (SSO, 12), (ALICE, 101), (BOB, 102)] {
        topology = topology.host(Host::new(host).on("wan", number));
    }
    topology
}

/// What a telephone reads in a picture.
pub(crate) fn scan(picture: &Greys) -> Option<String> {
    let grey = |x: usize, y: usize| picture.pixels[y * picture.width + x];
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, grey);
    let grids = prepared.detect_grids();
    grids.first()?.decode().ok().map(|(_, text)| text)
}
