//! The daemon's status, as `ringwall status` prints it and `--json` gives it to programs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::entitlement::AppShortcut;
use ringwall_protocol::id::{SessionId, SiteId};
use ringwall_protocol::policy::DnsSetting;
use ringwall_protocol::time::{UnixMillis, rfc3339};
use serde::{Deserialize, Serialize};

pub use crate::core::blocked::{Blocked, DependsOn};
pub use crate::core::prompts::Question;

/// The daemon's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Process id of the daemon.
    pub pid: u32,
    /// Version of the Client.
    pub version: String,
    /// Name of the profile.
    pub profile: String,
    /// Host of the profile.
    pub host: String,
    /// State of the Client as a whole.
    pub state: ClientState,
    /// Distinguished Name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// When what expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiries: Option<Expiries>,
    /// The TUN device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceStatus>,
    /// Why there are no Sites, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_entitlements: Option<String>,
    /// Sites by name.
    pub sites: Vec<SiteStatus>,
    /// Open questions.
    pub prompts: Vec<Question>,
    /// What went wrong lately, newest last.
    pub troubles: Vec<Trouble>,
    /// Packets of all Sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// State of the Client as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientState {
    /// A sign-in is on its way.
    SigningIn,
    /// Only the user can go on: `ringwall sign-in`.
    SignInRequired,
    /// Signed in; at least one Site is not connected.
    Connecting,
    /// Every Site is connected.
    Connected,
    /// Signed in, and entitled to nothing.
    NoEntitlements,
    /// The daemon is stopping.
    Stopping,
}

/// When what expires. RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiries {
    /// The claims token.
    #[serde(with = "rfc3339")]
    pub claims: UnixMillis,
    /// The certificate.
    #[serde(with = "rfc3339")]
    pub certificate: UnixMillis,
    /// Credentials are asked for again.
    #[serde(with = "rfc3339")]
    pub sign_in: UnixMillis,
}

/// The TUN device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Its name.
    pub name: String,
    /// Tunnel addresses.
    pub addresses: Vec<IpAddr>,
    /// MTU in bytes.
    pub mtu: u16,
    /// True if other interfaces are kept from the tunnel addresses, and from carrying packets for the Sites.
    pub guarded: bool,
}

/// One Site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// Id of the Site.
    pub id: SiteId,
    /// Name of the Site.
    pub name: String,
    /// State of its link.
    pub state: SiteState,
    /// Name of the Gateway that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_address: Option<String>,
    /// The session there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Since when it is in this state.
    #[serde(with = "rfc3339")]
    pub since: UnixMillis,
    /// How often the tunnel was lost and came back.
    pub reconnects: u32,
    /// When the entitlement token expires.
    #[serde(with = "rfc3339")]
    pub expires: UnixMillis,
    /// What is routed into the tunnel.
    pub routes: Vec<String>,
    /// Resolvers by domain, and whether they are in force.
    pub dns: Vec<DnsSetting>,
    /// True if names of this Site, or domains of its DNS settings, are taken over on this machine.
    pub dns_applied: bool,
    /// What may be reached now.
    pub entitlements: Vec<EntitlementState>,
    /// Links of open entitlements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcuts: Vec<AppShortcut>,
    /// Packets of this Site.
    #[serde(default)]
    pub traffic: SiteTraffic,
    /// What may not be reached now, and what kind of thing it depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Blocked>,
}

/// Packets moved for one Site. Super-packets count once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteTraffic {
    /// Packets sent into its tunnels.
    pub packets_up: u64,
    /// Bytes of them.
    pub bytes_up: u64,
    /// Packets received from its tunnels.
    pub packets_down: u64,
    /// Bytes of them.
    pub bytes_down: u64,
}

/// State of a Site's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SiteState {
    /// A Gateway is being looked for.
    Connecting,
    /// The session is admitted, the tunnel not there yet.
    Attaching,
    /// Packets pass.
    Connected,
    /// The websocket is gone, packets still pass for up to 30 s.
    Reconnecting,
    /// No Gateway can be tried at the moment.
    Waiting,
    /// New tokens are needed first.
    Renewing,
    /// Over until the user does something.
    Ended,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// When, last.
    #[serde(with = "rfc3339")]
    pub at: UnixMillis,
    /// Where: a Site, `controllers`, `routes`, …
    pub subject: String,
    /// What was wrong.
    pub cause: String,
    /// What to do about it.
    pub next_step: String,
    /// How often in a row.
    pub times: u32,
}

/// Packets moved and dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Packets sent into tunnels; super-packets count once.
    pub packets_up: u64,
    /// Bytes of them.
    pub bytes_up: u64,
    /// Packets received from tunnels.
    pub packets_down: u64,
    /// Bytes of them.
    pub bytes_down: u64,
    /// Packets dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// The last few troubles; the same one again only counts up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Vec<Trouble>);

impl Troubles {
    /// Number that are remembered.
    const MOST: usize = 16;

    /// Notes one. Returns true if it is not the same as the last one about this subject.
    pub(crate) fn note(&mut self, at: UnixMillis, subject: &str, cause: String, next_step: &str) -> bool {
        if let Some(last) = self.0.iter_mut().rev().find(|trouble| trouble.subject == subject)
            && last.cause == cause
        {
            last.at = at;
            last.times = last.times.saturating_add(1);
            return false;
        }
        if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        let (subject, next_step) = (subject.to_owned(), next_step.to_owned());
        self.0.push(Trouble { at, subject, cause, next_step, times: 1 });
        true
    }

    /// Removes the troubles of a subject, which works again.
    pub(crate) fn resolve(&mut self, subject: &str) {
        self.0.retain(|trouble| trouble.subject != subject);
    }

    /// What is remembered, oldest first.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Trouble> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_again_only_counts_up() {
        let mut troubles = Troubles::default();
        assert!(troubles.note(UnixMillis(1), "office", "no".into(), "wait"));
        assert!(troubles.note(UnixMillis(2), "lab", "no".into(), "wait"));
        assert!(!troubles.note(UnixMillis(3), "office", "no".into(), "wait"));
        let list = troubles.list();
        assert_eq!((list.len(), list[0].times, list[0].at), (2, 2, UnixMillis(3)));
        troubles.resolve("office");
        assert_eq!(troubles.list().len(), 1);
    }

    #[test]
    fn only_the_last_few_are_remembered() {
        let mut troubles = Troubles::default();
        for n in 0..40 {
            troubles.note(UnixMillis(n), "office", format!("cause {n}"), "wait");
        }
        assert_eq!((troubles.list().len(), troubles.list()[15].at), (16, UnixMillis(39)));
    }
}
