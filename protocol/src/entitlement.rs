//! Entitlements: what may be reached, by which actions, under which conditions.

mod doubt;
mod parse;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::form::{self, Count, Each, Is};
use crate::id::{ConditionId, EntitlementId, SiteId};
use crate::object::EntityBase;

pub use doubt::doubt;
pub use parse::{ActionError, Host, ParsedAction};

/// Most names in one entitlement.
pub const MAX_NAMES: usize = 256;

/// Most actions of one entitlement.
pub const MAX_ACTIONS: usize = 256;
/// Most conditions of one entitlement.
pub const MAX_CONDITIONS: usize = 32;
/// Most hosts of one action, and most ports: bounds the work of one rule set.
pub const MAX_ENTRIES: usize = 1_024;

/// An entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entitlement {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<EntitlementId>,
    /// Disregarded if set.
    #[serde(default)]
    pub disabled: bool,
    /// The Site behind which its hosts are.
    pub site: SiteId,
    /// How its conditions combine.
    #[serde(default)]
    pub condition_logic: Logic,
    /// Conditions; none with `and`: always; none with `or`: never (refused at save).
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_CONDITIONS))]
    pub conditions: Vec<ConditionId>,
    /// What is allowed, blocked, watched, excluded.
    #[schemars(transform = Count(1..=MAX_ACTIONS))]
    pub actions: Vec<Action>,
    /// Links that the Client shows.
    #[serde(default)]
    pub app_shortcuts: Vec<AppShortcut>,
}

/// All of them, or one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Logic {
    /// All must hold.
    #[default]
    And,
    /// One is enough.
    Or,
}

/// One action of an entitlement (S44).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// Protocol and direction; absent only for `exclude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<Subtype>,
    /// What happens.
    pub action: ActionKind,
    /// Addresses, prefixes, ranges (`10.0.0.1-10.0.0.9`), names (`dns://host`, `*.domain`).
    #[schemars(transform = Count(1..=MAX_ENTRIES), transform = Each(form::ACTION_HOST))]
    pub hosts: Vec<String>,
    /// Ports and ranges (`80`, `1024-65535`, `80,443`); TCP and UDP only; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = Count(0..=MAX_ENTRIES), transform = Each(form::PORTS))]
    pub ports: Vec<String>,
    /// ICMP types and ranges; ICMP only; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = Count(0..=MAX_ENTRIES), transform = Each(form::ICMP_TYPES))]
    pub types: Vec<String>,
}

impl std::fmt::Display for Action {
    /// `allow tcp_up 10.0.0.0/8, 10.20.0.1 ports 80, 443`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.action.word())?;
        if let Some(subtype) = self.subtype {
            write!(f, " {}", subtype.word())?;
        }
        write!(f, " {}", self.hosts.join(", "))?;
        for (word, list) in [("ports", &self.ports), ("types", &self.types)] {
            if !list.is_empty() {
                write!(f, " {word} {}", list.join(", "))?;
            }
        }
        Ok(())
    }
}

impl ActionKind {
    /// As it is written.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Alert => "alert",
            Self::Exclude => "exclude",
        }
    }
}

impl Subtype {
    /// As it is written.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::TcpUp => "tcp_up",
            Self::TcpDown => "tcp_down",
            Self::UdpUp => "udp_up",
            Self::UdpDown => "udp_down",
            Self::IcmpUp => "icmp_up",
            Self::IcmpDown => "icmp_down",
            Self::Icmpv6Up => "icmpv6_up",
            Self::Icmpv6Down => "icmpv6_down",
            Self::AhUp => "ah_up",
            Self::AhDown => "ah_down",
            Self::EspUp => "esp_up",
            Self::EspDown => "esp_down",
            Self::GreUp => "gre_up",
            Self::GreDown => "gre_down",
            Self::HttpUp => "http_up",
        }
    }
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// Let pass.
    Allow,
    /// Drop.
    Block,
    /// Let pass and log.
    Alert,
    /// Not through the tunnel: a Client route, no rule.
    Exclude,
}

/// Protocol and direction, with the vendor's names. `http_up` exists to be refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is protocol and direction as it says")]
pub enum Subtype {
    TcpUp,
    TcpDown,
    UdpUp,
    UdpDown,
    IcmpUp,
    IcmpDown,
    Icmpv6Up,
    Icmpv6Down,
    AhUp,
    AhDown,
    EspUp,
    EspDown,
    GreUp,
    GreDown,
    #[schemars(skip)]
    HttpUp,
}

/// A link that the Client shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppShortcut {
    /// Its text.
    #[schemars(transform = Is(form::OBJECT_NAME))]
    pub name: String,
    /// Where it leads.
    #[schemars(transform = Is(form::LINK))]
    pub url: String,
    /// More text.
    #[serde(default)]
    pub description: String,
}
