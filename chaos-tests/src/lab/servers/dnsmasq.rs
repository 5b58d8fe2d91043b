//! dnsmasq on a host: the name server of a Site, with a zone that can change while it runs and a log of what it was asked.

use std::{fmt::Write, fs, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use crate::lab::{Lab, command::Program, process::Process};

/// The port of DNS.
pub const PORT: u16 = 53;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// Seconds for which answers are good: short, so that a change is seen soon.
const TTL: u32 = 1;

/// A running dnsmasq.
#[derive(Debug)]
pub struct NameServer {
    process: Process,
    zone: PathBuf,
}

impl NameServer {
    /// Starts it on all addresses of a host. `hosts` are names and their addresses, several for a name if it stands there
    /// several times; `domains` are answered for every name below them. It knows nothing else and asks nobody.
    pub fn start(lab: &Lab, host: &str, hosts: &[(&str, IpAddr)], domains: &[(&str, IpAddr)]) -> Result<Self> {
        let name = format!("dnsmasq-{host}");
        let home = lab.directory().join(&name);
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        let zone = home.join("zone");
        write(&zone, hosts)?;
        let mut program = Program::system(&name, "dnsmasq").args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--local=/#/",
            "--user=root",
            "--pid-file=",
            "--log-queries",
            "--log-facility=-",
        ]);
        program = program.arg(format!("--local-ttl={TTL}")).arg(format!("--addn-hosts={}", zone.display()));
        for (domain, address) in domains {
            program = program.arg(format!("--address=/{domain}/{address}"));
        }
        let mut process = lab.spawn(host, program)?;
        process.wait_listening(PORT, START)?;
        Ok(Self { process, zone })
    }

    /// From now on these names and addresses; domains stay as they are.
    pub fn change(&mut self, hosts: &[(&str, IpAddr)]) -> Result<()> {
        write(&self.zone, hosts)?;
        self.process.signal(rustix::process::Signal::HUP)
    }

    /// Whether it was asked about this name.
    #[must_use]
    pub fn was_asked(&self, name: &str) -> bool {
        let asked = format!("] {name} from ");
        self.process.log().text().lines().any(|line| line.contains("query[") && line.contains(&asked))
    }
}

fn write(zone: &PathBuf, hosts: &[(&str, IpAddr)]) -> Result<()> {
    let text = hosts.iter().fold(String::new(), |mut text, (name, address)| {
        let _ = writeln!(text, "{address} {name}");
        text
    });
    fs::write(zone, text).with_context(|| format!("write {}", zone.display()))
}
