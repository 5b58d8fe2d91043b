//! Configuration: TOML as written (unknown keys refused) becomes a [`Config`] in which everything was checked.
//!
//! All faults are reported at once. What belongs to the Collective (lifetimes, policies, SPA) stands in the replicated
//! state, not here; here is what belongs to this machine.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use ringwall_protocol::form::network;
use ringwall_startup::Refusal;
use serde::{Deserialize, Serialize};

use crate::identity::outbound::Outbound;

/// Name of the configuration file in a data directory.
pub(crate) const FILE_NAME: &str = "controller.toml";
/// Largest configuration file that is read.
const MAX_FILE: usize = 64 * 1024;

/// The file as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Where keys, log and snapshots are.
    pub data_dir: PathBuf,
    /// Addresses to listen on.
    pub listen: RawListen,
    /// Addresses that others are told.
    pub advertise: RawAdvertise,
    /// The admin API.
    pub admin: RawAdmin,
    /// Pace of the Raft group.
    pub raft: RawRaft,
    /// Size of pools.
    pub workers: RawWorkers,
    /// Where providers may be.
    pub providers: RawProviders,
    /// Knocks.
    pub spa: RawSpa,
}

/// `[providers]`: to which hosts identity providers and MFA providers may make this Controller connect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawProviders {
    /// This machine itself and link-local addresses too, metadata services among them.
    pub allow_local: bool,
    /// Only these networks; empty: all others.
    pub networks: Vec<String>,
}

/// `[spa]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSpa {
    /// Whether a knock must name an address of this machine or one that is advertised. Switch it off where ports are
    /// forwarded from an address that nobody here knows; a captured knock is then good for another place too.
    pub bind_destination: bool,
}

impl Default for RawSpa {
    fn default() -> Self {
        Self { bind_destination: true }
    }
}

/// `[listen]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawListen {
    /// Client API.
    pub client: String,
    /// Admin API.
    pub admin: String,
    /// Peers: Controllers, Gateways, joining appliances.
    pub peer: String,
    /// Prometheus metrics and health, plain HTTP; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self {
            client: "0.0.0.0:443".to_owned(),
            admin: "127.0.0.1:8443".to_owned(),
            peer: "0.0.0.0:444".to_owned(),
            metrics: None,
        }
    }
}

/// `[advertise]`: `host:port`, tried in order; empty: the listening address, where that is a definite one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAdvertise {
    /// Client API.
    pub client: Vec<String>,
    /// Admin API.
    pub admin: Vec<String>,
    /// Peers.
    pub peer: Vec<String>,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAdmin {
    /// Networks that may reach the admin API without a knock (T17).
    pub allow_sources: Vec<String>,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self { allow_sources: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()] }
    }
}

/// `[raft]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRaft {
    /// Between two heartbeats of the leader.
    pub heartbeat_ms: u64,
    /// Shortest wait before an election.
    pub election_min_ms: u64,
    /// Longest wait before an election.
    pub election_max_ms: u64,
}

impl Default for RawRaft {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_min_ms: 500, election_max_ms: 1_000 }
    }
}

/// `[workers]`; 0 means as many as there are cores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWorkers {
    /// Threads of each HTTP listener.
    pub http: usize,
    /// Password hashes at once.
    pub password_hashes: usize,
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where keys, log and snapshots are.
    pub data_dir: PathBuf,
    /// Listener of the client API.
    pub listen_client: SocketAddr,
    /// Listener of the admin API.
    pub listen_admin: SocketAddr,
    /// Listener for peers.
    pub listen_peer: SocketAddr,
    /// Listener of metrics and health.
    pub listen_metrics: Option<SocketAddr>,
    /// What others are told.
    pub advertise: Advertise,
    /// Networks that may reach the admin API without a knock.
    pub admin_sources: Vec<IpNet>,
    /// Pace of the Raft group.
    pub raft: RaftPace,
    /// Threads of each HTTP listener, at least 1.
    pub http_workers: usize,
    /// Password hashes at once, at least 1.
    pub password_hashes: usize,
    /// Where providers may be.
    pub providers: Outbound,
    /// Whether knocks are bound to the address dialled.
    pub bind_destination: bool,
}

/// Addresses as `host:port`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertise {
    /// Client API.
    pub client: Vec<String>,
    /// Admin API.
    pub admin: Vec<String>,
    /// Peers.
    pub peer: Vec<String>,
}

/// Pace of the Raft group: heartbeat < election minimum < maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftPace {
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// Shortest wait before an election.
    pub election_min: Duration,
    /// Longest wait before an election.
    pub election_max: Duration,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used; correct these and start again:\n  {}", .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

impl RawConfig {
    /// Reads TOML. With mistakes in it, the rest is checked too, so that all are told at once.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault; a text that is not TOML has one, which names line and column.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_FILE {
            return Err(ConfigError(vec![format!("expected a file of at most {MAX_FILE} bytes, got {}", text.len())]));
        }
        let (raw, mut faults) = ringwall_startup::parse::<Self>(text).map_err(|fault| ConfigError(vec![fault]))?;
        if faults.is_empty() {
            return Ok(raw);
        }
        // A directory may be named on the command line: that it is missing is told only where all else is right.
        let given = Self {
            data_dir: if raw.data_dir.as_os_str().is_empty() { "/".into() } else { raw.data_dir.clone() },
            ..raw
        };
        if let Err(ConfigError(more)) = given.validate() {
            faults.extend(more);
        }
        Err(ConfigError(faults))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|error| {
            ConfigError(vec![format!("cannot read {}: {}", path.display(), Refusal::of_file(error))])
        })?;
        Self::parse(&text)
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn validate(&self) -> Result<Config, ConfigError> {
        let mut faults = Vec::new();
        if self.data_dir.as_os_str().is_empty() {
            faults.push("data_dir: expected a directory".to_owned());
        }
        let listen_client = address(&mut faults, "listen.client", &self.listen.client);
        let listen_admin = address(&mut faults, "listen.admin", &self.listen.admin);
        let listen_peer = address(&mut faults, "listen.peer", &self.listen.peer);
        let listen_metrics = self.listen.metrics.as_ref().map(|text| address(&mut faults, "listen.metrics", text));
        let advertise = Advertise {
            client: advertised(&mut faults, "advertise.client", &self.advertise.client, listen_client),
            admin: advertised(&mut faults, "advertise.admin", &self.advertise.admin, listen_admin),
            peer: advertised(&mut faults, "advertise.peer", &self.advertise.peer, listen_peer),
        };
        let admin_sources = networks(&mut faults, "admin.allow_sources", &self.admin.allow_sources);
        let providers = Outbound {
            allow_local: self.providers.allow_local,
            networks: networks(&mut faults, "providers.networks", &self.providers.networks),
        };
        let raft = pace(&mut faults, &self.raft);
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        Ok(Config {
            data_dir: self.data_dir.clone(),
            listen_client,
            listen_admin,
            listen_peer,
            listen_metrics,
            advertise,
            admin_sources,
            raft,
            http_workers: or_cores(self.workers.http),
            password_hashes: or_cores(self.workers.password_hashes),
            providers,
            bind_destination: self.spa.bind_destination,
        })
    }
}

/// A text of at most one byte more than a file may have.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn address(faults: &mut Vec<String>, key: &str, text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        faults.push(format!("{key}: expected address:port, got {text:?}"));
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    })
}

fn advertised(faults: &mut Vec<String>, key: &str, given: &[String], listen: SocketAddr) -> Vec<String> {
    for text in given.iter().filter(|text| !is_host_and_port(text)) {
        faults.push(format!("{key}: expected host:port, got {text:?}"));
    }
    if given.is_empty() && !listen.ip().is_unspecified() && listen.port() != 0 {
        return vec![listen.to_string()];
    }
    given.to_vec()
}

/// Whether a text is `host:port` with a port that can be dialled.
#[must_use]
pub(crate) fn is_host_and_port(text: &str) -> bool {
    text.len() <= 280
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            let plain = !host.contains([':', '/', ' ']) || (host.starts_with('[') && host.ends_with(']'));
            !host.is_empty() && plain && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

fn networks(faults: &mut Vec<String>, key: &str, given: &[String]) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in given {
        match network(text).or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
            Some(network) => networks.push(network),
            None => faults.push(format!("{key}: expected an address or a prefix, got {text:?}")),
        }
    }
    networks
}

fn pace(faults: &mut Vec<String>, raw: &RawRaft) -> RaftPace {
    if raw.heartbeat_ms == 0 || raw.heartbeat_ms * 2 > raw.election_min_ms || raw.election_min_ms >= raw.election_max_ms
    {
        faults.push(format!(
            "raft: expected 0 < 2 × heartbeat_ms ≤ election_min_ms < election_max_ms, got {}, {}, {}",
            raw.heartbeat_ms, raw.election_min_ms, raw.election_max_ms
        ));
    }
    RaftPace {
        heartbeat: Duration::from_millis(raw.heartbeat_ms),
        election_min: Duration::from_millis(raw.election_min_ms),
        election_max: Duration::from_millis(raw.election_max_ms),
    }
}

fn or_cores(number: usize) -> usize {
    if number > 0 { number } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

#[cfg(test)]
mod tests;
