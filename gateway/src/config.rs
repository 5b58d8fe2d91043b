//! Configuration: TOML as written (unknown keys refused) becomes a [`Config`] in which everything was checked. All faults
//! are reported at once.
//!
//! What belongs to the Collective (pools, lease, translation, knocks) comes over the feed; here is what belongs to this
//! machine.

use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use ringwall_startup::Refusal;
use serde::Deserialize;

use crate::firewall::InterfaceName;

/// Largest configuration file that is read.
const MAX_FILE: u64 = 64 * 1024;
/// IPv6 needs this much; more than this no TUN device takes.
const MTU: std::ops::RangeInclusive<u16> = 1_280..=9_000;
/// More threads of one kind than any machine of ours has cores.
const MAX_THREADS: usize = 256;

/// The file as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    /// Where the key, the certificate and what was learned are.
    pub data_dir: PathBuf,
    /// The seed file; needed until the Gateway has joined.
    pub seed: Option<PathBuf>,
    /// Addresses to listen on.
    pub listen: RawListen,
    /// Interfaces.
    pub network: RawNetwork,
    /// Threads.
    pub workers: RawWorkers,
    /// Knocks.
    pub(crate) spa: RawSpa,
}

/// `[spa]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSpa {
    /// Whether a knock must name an address of this machine or one that the Collective tells of it. Switch it off where
    /// ports are forwarded from an address that nobody here knows; a captured knock is then good for another place too.
    pub(crate) bind_destination: bool,
}

impl Default for RawSpa {
    fn default() -> Self {
        Self { bind_destination: true }
    }
}

/// `[listen]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawListen {
    /// Where Clients come: websocket and tunnel (TCP), knocks (UDP).
    pub client: String,
    /// Health and Prometheus metrics, plain HTTP; absent: none.
    pub health: Option<String>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self { client: "0.0.0.0:443".to_owned(), health: None }
    }
}

/// `[network]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawNetwork {
    /// Interfaces toward the protected hosts; the first one carries translated flows.
    pub protected: Vec<String>,
    /// Name of the TUN device.
    pub tun: String,
    /// MTU inside tunnels, bytes.
    pub mtu: u16,
    /// Address that translated IPv4 flows get; absent: the first one's of the first protected interface.
    pub(crate) snat_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub(crate) snat_v6: Option<Ipv6Addr>,
    /// A MaxMind database of countries, for the claim `system.country`; absent: the claim is absent.
    pub(crate) countries: Option<PathBuf>,
}

impl Default for RawNetwork {
    fn default() -> Self {
        Self {
            protected: vec![],
            tun: "ringwall0".to_owned(),
            mtu: 1_400,
            snat_v4: None,
            snat_v6: None,
            countries: None,
        }
    }
}

/// `[workers]`; 0 means as many as there are cores.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWorkers {
    /// Threads that move packets.
    pub tunnel: usize,
    /// Threads of session actors.
    pub sessions: usize,
    /// Threads that accept connections.
    pub(crate) listeners: usize,
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the key, the certificate and what was learned are.
    pub data_dir: PathBuf,
    /// The seed file.
    pub seed: Option<PathBuf>,
    /// Where Clients come.
    pub client: SocketAddr,
    /// Health and metrics.
    pub health: Option<SocketAddr>,
    /// Interfaces toward the protected hosts.
    pub protected: Vec<InterfaceName>,
    /// The TUN device.
    pub tun: InterfaceName,
    /// MTU inside tunnels.
    pub mtu: u16,
    /// Addresses for translated flows.
    pub snat: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    /// Where countries of addresses are looked up.
    pub(crate) countries: Option<PathBuf>,
    /// Threads that move packets.
    pub(crate) tunnel_workers: NonZeroUsize,
    /// Threads of session actors.
    pub(crate) session_threads: NonZeroUsize,
    /// Threads that accept connections.
    pub(crate) listener_threads: NonZeroUsize,
    /// Whether knocks are bound to the address dialled.
    pub(crate) bind_destination: bool,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(Refusal),
    /// It is larger than any of ours.
    #[error("the file has more than {MAX_FILE} bytes: it is another file")]
    TooLarge,
    /// Not TOML: the parser's message, which names line and column.
    #[error("the file is not TOML: {0}")]
    Syntax(String),
    /// Everything that is wrong in it.
    #[error("the configuration cannot be used; correct these and start again:\n  {}", .0.join("\n  "))]
    Wrong(Vec<String>),
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], with all faults at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = read(file).map_err(|error| ConfigError::Io(Refusal::of_file(error)))?;
        if text.len() as u64 > MAX_FILE {
            return Err(ConfigError::TooLarge);
        }
        Self::parse(&text)
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// [`ConfigError`], with all faults at once.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let (raw, faults) = ringwall_startup::parse::<RawConfig>(text).map_err(ConfigError::Syntax)?;
        let mut wrong = Faults(faults);
        let config = Self {
            client: wrong.socket("listen.client", &raw.listen.client),
            health: raw.listen.health.as_deref().map(|text| wrong.socket("listen.health", text)),
            protected: raw.network.protected.iter().map(|name| wrong.interface("network.protected", name)).collect(),
            tun: wrong.interface("network.tun", &raw.network.tun),
            mtu: raw.network.mtu,
            snat: (raw.network.snat_v4, raw.network.snat_v6),
            countries: raw.network.countries,
            tunnel_workers: wrong.threads("workers.tunnel", raw.workers.tunnel),
            session_threads: wrong.threads("workers.sessions", raw.workers.sessions),
            listener_threads: wrong.threads("workers.listeners", raw.workers.listeners),
            bind_destination: raw.spa.bind_destination,
            data_dir: raw.data_dir,
            seed: raw.seed,
        };
        wrong.unless(!config.data_dir.as_os_str().is_empty(), "data_dir is missing: name a directory of its own");
        wrong.unless(MTU.contains(&config.mtu), "network.mtu is not within 1280 to 9000");
        wrong.unless(
            !config.protected.is_empty(),
            "network.protected names no interface: name those toward the protected hosts",
        );
        wrong.unless(!config.protected.contains(&config.tun), "network.protected names the TUN device");
        wrong.unless(config.client.port() != 0, "listen.client has port 0");
        if wrong.0.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(wrong.0)) }
    }
}

/// What is wrong so far. Readers answer a stand-in that is never used: a configuration with faults is not returned.
struct Faults(Vec<String>);

/// A text of at most one byte more than a file may have.
fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    Ok(text)
}

impl Faults {
    fn unless(&mut self, right: bool, what: &str) {
        if !right {
            self.0.push(what.to_owned());
        }
    }

    fn socket(&mut self, key: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            self.0.push(format!("{key}: expected address:port, got {text:?}"));
            SocketAddr::from(([0, 0, 0, 0], 1))
        })
    }

    fn interface(&mut self, key: &str, name: &str) -> InterfaceName {
        name.parse().unwrap_or_else(|error| {
            self.0.push(format!("{key}: {error}"));
            "faulty".parse().expect("a name")
        })
    }

    fn threads(&mut self, key: &str, count: usize) -> NonZeroUsize {
        self.unless(count <= MAX_THREADS, &format!("{key}: at most {MAX_THREADS}"));
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        NonZeroUsize::new(count).unwrap_or_else(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_enough() {
        let config =
            Config::parse("data_dir = \"/var/lib/ringwall\"\n[network]\nprotected = [\"lan0\"]").expect("right");
        assert_eq!(config.client, "0.0.0.0:443".parse().expect("an address"));
        assert_eq!(config.tun.as_str(), "ringwall0");
        assert_eq!(config.health, None);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let text = "[listen]\nclient = \"somewhere\"\nhealth = \"1.2.3.4\"\n[network]\ntun = \"a/b\"\nmtu = 100\n[workers]\ntunnel = 1000";
        let Err(ConfigError::Wrong(faults)) = Config::parse(text) else { panic!("accepted") };
        assert_eq!(faults.len(), 7, "{faults:#?}");
    }

    #[test]
    fn unknown_keys_wrong_types_and_wrong_values_are_told_together() {
        let text = "data_dirr = \"/x\"\n[network]\nmtu = \"big\"\nprotected = [\"lan0\"]\ntun = \"lan0\"\n[listen]\nclient = \"here\"";
        let Err(ConfigError::Wrong(faults)) = Config::parse(text) else { panic!("accepted") };
        let expected =
            ["data_dirr: unknown", "network.mtu: ", "data_dir is missing", "names the TUN device", "listen.client: "];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for part in expected {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part} in {faults:#?}");
        }
    }

    #[test]
    fn a_text_that_is_not_toml_is_told_with_its_line() {
        let told = Config::parse("data_dir = \"/x\"\n[listen").expect_err("not TOML").to_string();
        assert!(told.contains("not TOML") && told.contains("line 2"), "{told}");
    }
}
