//! Resolvers for the domains behind Sites: given to systemd-resolved where it is, otherwise only shown in the status.
//!
//! What is passed on comes from the signed entitlement token, is checked to be a domain or an address, and goes to a
//! program of this system as arguments; no shell, nothing of a server's choosing is run.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ringwall_protocol::policy::DnsSetting;
use tokio::process::Command;
use tokio::time::timeout;

/// The program's only place; never looked for elsewhere.
const RESOLVECTL: &str = "/usr/bin/resolvectl";
/// It talks to a daemon of the system, which may be stuck.
const CALL_TIME: Duration = Duration::from_secs(5);
/// The name with which a setting means every domain.
const EVERY_DOMAIN: &str = "Default";

/// The TUN device in the eyes of the system's resolver.
#[derive(Debug)]
pub struct DnsLink {
    device: String,
    in_force: BTreeSet<DnsSetting>,
}

/// Why settings are not in force.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// There is no systemd-resolved.
    #[error("this system has no {RESOLVECTL}")]
    NoResolver,
    /// It refused.
    #[error("{RESOLVECTL} failed: {0}")]
    Refused(String),
}

impl DnsLink {
    /// Nothing is set yet.
    #[must_use]
    pub const fn new(device: String) -> Self {
        Self { device, in_force: BTreeSet::new() }
    }

    /// Makes these settings, and no others, those of the device.
    ///
    /// # Errors
    /// [`DnsError`]; then none of them is in force.
    pub async fn apply(&mut self, settings: BTreeSet<DnsSetting>) -> Result<(), DnsError> {
        if settings == self.in_force {
            return Ok(());
        }
        self.in_force.clear();
        if settings.is_empty() {
            return self.call(&["revert"], &[]).await;
        }
        self.call(&["dns"], &servers(&settings)).await?;
        self.call(&["domain"], &domains(&settings)).await?;
        self.in_force = settings;
        Ok(())
    }

    /// Takes everything back.
    pub async fn revert(mut self) {
        if let Err(error) = self.apply(BTreeSet::new()).await {
            tracing::debug!(cause = %error, "resolver");
        }
    }

    async fn call(&self, verb: &[&str], arguments: &[String]) -> Result<(), DnsError> {
        if !Path::new(RESOLVECTL).exists() {
            return Err(DnsError::NoResolver);
        }
        let mut command = Command::new(RESOLVECTL);
        command.args(verb).arg(&self.device).args(arguments);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(CALL_TIME, command.output()).await;
        let output = output.map_err(|_| DnsError::Refused("no answer".into()))?;
        let output = output.map_err(|error| DnsError::Refused(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(DnsError::Refused(said.trim().chars().take(200).collect()))
    }
}

/// The resolver knows one list of servers a device.
fn servers(settings: &BTreeSet<DnsSetting>) -> Vec<String> {
    let mut seen: Vec<IpAddr> = Vec::new();
    for server in settings.iter().flat_map(|setting| &setting.servers) {
        if !seen.contains(server) {
            seen.push(*server);
        }
    }
    seen.iter().map(ToString::to_string).collect()
}

/// `~` routes questions for a domain to the device without searching in it.
fn domains(settings: &BTreeSet<DnsSetting>) -> Vec<String> {
    let usable = settings.iter().filter_map(|setting| match setting.domain.as_str() {
        EVERY_DOMAIN => Some("~.".to_owned()),
        domain if is_domain(domain) => Some(format!("~{domain}")),
        _ => None,
    });
    usable.collect()
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    };
    text.len() <= 253 && text.trim_end_matches('.').split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(domain: &str, servers: &[&str]) -> DnsSetting {
        let servers = servers.iter().map(|server| server.parse().expect("an address")).collect();
        DnsSetting { domain: domain.into(), servers }
    }

    #[test]
    fn settings_become_routing_domains_and_servers_once_each() {
        let settings =
            BTreeSet::from([setting("corp.example", &["10.1.0.53", "fd01::53"]), setting("Default", &["10.1.0.53"])]);
        assert_eq!(servers(&settings), ["10.1.0.53", "fd01::53"]);
        assert_eq!(domains(&settings), ["~.", "~corp.example"]);
    }

    #[test]
    fn what_is_no_domain_never_becomes_an_argument() {
        for bad in ["--help", "a b", "x;reboot", "", "..", "-a.example", "$(id)"] {
            assert!(domains(&BTreeSet::from([setting(bad, &[])])).is_empty(), "{bad}");
        }
    }
}
