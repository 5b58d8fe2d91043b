//! Settings of the host that the firewall stands on: set, and verified at start and every 60 s (T46).
//!
//! Forwarding is switched on only after the skeleton is in force, and is to be switched off when the Gateway stops:
//! an orphaned table still drops, but anybody could delete it. In a unit file:
//! `ExecStopPost=/sbin/sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0`; at boot both must be 0.
//! The files of `/proc/sys/net` are those of the calling thread's network namespace.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::config::InterfaceName;

/// Entries that connection tracking must have room for.
const CONNTRACK_ENTRIES: u64 = 1_048_576;

/// What must be done about a wrong setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The firewall's promises do not hold: the Gateway must drain.
    Unsafe,
    /// It serves fewer flows than it should: worth a warning.
    Capacity,
}

/// A setting that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// Its name, as `sysctl` has it.
    pub name: String,
    /// What it should be.
    pub wanted: String,
    /// What it is, or why it could not be read or set.
    pub found: String,
    /// What follows.
    pub severity: Severity,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} should be {}, is {}", self.name, self.wanted, self.found)
    }
}

/// The settings of one Gateway's host.
#[derive(Debug, Clone)]
pub struct HostSettings {
    tun: InterfaceName,
    lans: Vec<InterfaceName>,
}

/// One value to be held.
struct Setting {
    path: Vec<String>,
    wanted: Value,
    severity: Severity,
}

#[derive(Clone, Copy)]
enum Value {
    Exactly(u64),
    AtLeast(u64),
    /// Not this one: what is written then is 0.
    Not(u64),
}

impl HostSettings {
    /// For the TUN and the interfaces toward protected hosts.
    #[must_use]
    pub const fn new(tun: InterfaceName, lans: Vec<InterfaceName>) -> Self {
        Self { tun, lans }
    }

    /// Sets everything but forwarding and returns what is wrong afterwards.
    #[must_use]
    pub fn apply(&self) -> Vec<WrongSetting> {
        self.settings().iter().filter_map(Setting::set).collect()
    }

    /// What is wrong now, forwarding included; empty: nothing.
    #[must_use]
    pub fn verify(&self) -> Vec<WrongSetting> {
        let forwarding = forwarding(1);
        let forwarding = forwarding.iter().filter(|setting| setting.applies());
        self.settings().iter().chain(forwarding).filter_map(Setting::wrong).collect()
    }

    fn settings(&self) -> Vec<Setting> {
        let mut settings = vec![];
        // The kernel takes `all` or the interface's own value, whichever is looser.
        for name in ["send_redirects", "route_localnet"] {
            settings.push(exactly(&["ipv4", "conf", "all", name], 0));
        }
        for interface in std::iter::once(&self.tun).chain(&self.lans) {
            for name in ["accept_redirects", "send_redirects", "accept_source_route", "route_localnet"] {
                settings.push(exactly(&["ipv4", "conf", interface.as_str(), name], 0));
            }
            for name in ["accept_redirects", "accept_source_route"] {
                settings.push(exactly(&["ipv6", "conf", interface.as_str(), name], 0));
            }
        }
        let tun = self.tun.as_str();
        settings.push(exactly(&["ipv6", "conf", tun, "accept_ra"], 0));
        settings.push(exactly(&["ipv6", "conf", tun, "addr_gen_mode"], 1));
        settings.push(exactly(&["ipv4", "conf", tun, "rp_filter"], 0));
        // A strict reverse path on `all` would overrule the TUN's.
        settings.push(Setting { wanted: Value::Not(1), ..exactly(&["ipv4", "conf", "all", "rp_filter"], 0) });
        settings.push(room_for_flows());
        settings.push(exactly(&["netfilter", "nf_conntrack_tcp_loose"], 1));
        // A queue full of SYNs must not keep out whoever knocked (T47). 2 would send cookies always.
        settings.push(Setting { wanted: Value::AtLeast(1), ..exactly(&["ipv4", "tcp_syncookies"], 1) });
        settings.retain(Setting::applies);
        settings
    }
}

/// How many entries connection tracking has room for, after asking the kernel for enough of them.
#[must_use]
pub(crate) fn conntrack_entries() -> u32 {
    let setting = room_for_flows();
    // What cannot be had is named by [`HostSettings::verify`].
    drop(setting.set());
    let text = std::fs::read_to_string(setting.file()).unwrap_or_default();
    text.trim().parse().unwrap_or(u32::try_from(CONNTRACK_ENTRIES).unwrap_or(u32::MAX))
}

fn room_for_flows() -> Setting {
    Setting {
        wanted: Value::AtLeast(CONNTRACK_ENTRIES),
        severity: Severity::Capacity,
        ..exactly(&["netfilter", "nf_conntrack_max"], 0)
    }
}

/// Switches forwarding on or off.
///
/// # Errors
/// The first setting that the kernel refuses.
pub(super) fn set_forwarding(on: bool) -> io::Result<()> {
    for setting in forwarding(u64::from(on)).iter().filter(|setting| setting.applies()) {
        std::fs::write(setting.file(), format!("{}\n", u64::from(on)))?;
    }
    Ok(())
}

fn forwarding(value: u64) -> [Setting; 2] {
    [exactly(&["ipv4", "ip_forward"], value), exactly(&["ipv6", "conf", "all", "forwarding"], value)]
}

fn exactly(path: &[&str], value: u64) -> Setting {
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    Setting { path, wanted: Value::Exactly(value), severity: Severity::Unsafe }
}

/// Whether the kernel carries IPv6 over an interface: built in, and not switched off for it.
#[must_use]
pub(crate) fn carries_ipv6(interface: &InterfaceName) -> bool {
    let off = exactly(&["ipv6", "conf", interface.as_str(), "disable_ipv6"], 0);
    std::fs::read_to_string(off.file()).is_ok_and(|text| text.trim() == "0")
}

impl Setting {
    /// A kernel without IPv6 has none of its settings, and needs none.
    fn applies(&self) -> bool {
        self.path[0] != "ipv6" || std::path::Path::new("/proc/sys/net/ipv6").exists()
    }

    fn file(&self) -> PathBuf {
        ["/proc/sys/net"].into_iter().chain(self.path.iter().map(String::as_str)).collect()
    }

    fn set(&self) -> Option<WrongSetting> {
        self.wrong()?;
        let value = match self.wanted {
            Value::Exactly(value) | Value::AtLeast(value) => value,
            Value::Not(_) => 0,
        };
        // What it is afterwards says whether this worked.
        let refused = std::fs::write(self.file(), format!("{value}\n")).err();
        let mut wrong = self.wrong()?;
        if let Some(error) = refused {
            wrong.found = format!("{} ({error})", wrong.found);
        }
        Some(wrong)
    }

    fn wrong(&self) -> Option<WrongSetting> {
        let found = std::fs::read_to_string(self.file());
        let number = found.as_ref().ok().and_then(|text| text.trim().parse::<u64>().ok());
        let (right, wanted) = match self.wanted {
            Value::Exactly(value) => (number == Some(value), value.to_string()),
            Value::AtLeast(value) => (number.is_some_and(|number| number >= value), format!("at least {value}")),
            Value::Not(value) => (number.is_some_and(|number| number != value), format!("not {value}")),
        };
        let found = match found {
            Ok(text) => text.trim().chars().take(64).collect(),
            Err(error) => error.to_string(),
        };
        let name = format!("net.{}", self.path.join("."));
        (!right).then_some(WrongSetting { name, wanted, found, severity: self.severity })
    }
}
