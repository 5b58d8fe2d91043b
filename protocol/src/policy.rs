//! Policies assign entitlements by criteria; conditions are checked at time of use. Both are CEL expressions.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use crate::entitlement::{Entitlement, Logic};
use crate::id::{ConditionId, EntitlementId, PolicyId, RoleId, SiteId};
use crate::interaction::Interaction;
use crate::object::EntityBase;

/// Longest source of an expression, in bytes.
pub const MAX_EXPRESSION: usize = 8 * 1024;
/// Most interactions of one condition.
pub const MAX_INTERACTIONS: usize = 8;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<PolicyId>,
    /// Disregarded if set.
    #[serde(default)]
    pub disabled: bool,
    /// Assignment criteria (CEL over `user`, `device`, `system`), true for those whom the policy concerns.
    pub expression: String,
    /// What the policy may contain; enforced at save.
    #[serde(default, rename = "type")]
    pub kind: PolicyKind,
    /// Entitlements by id.
    #[serde(default)]
    pub entitlements: Vec<EntitlementId>,
    /// Entitlements by tag.
    #[serde(default)]
    pub entitlement_links: Vec<String>,
    /// All its entitlements are used at this Site instead of their own.
    #[serde(default)]
    pub override_site: Option<SiteId>,
    /// A claim (`user.office`) that holds the id of such a Site.
    #[serde(default)]
    pub override_site_claim: Option<String>,
    /// Domains that the Client resolves with given servers.
    #[serde(default)]
    pub dns_settings: Vec<DnsSetting>,
    /// Roles for administrators.
    #[serde(default)]
    pub administrative_roles: Vec<RoleId>,
    /// Shown to the user when a Stop policy ends the evaluation.
    #[serde(default)]
    pub stop_message: Option<String>,
}

impl Policy {
    /// Whether it names the entitlement, by id or by tag.
    #[must_use]
    pub fn gives(&self, entitlement: &Entitlement) -> bool {
        self.entitlements.contains(&entitlement.base.id)
            || self.entitlement_links.iter().any(|tag| entitlement.base.tags.contains(tag))
    }
}

/// Kinds of policies (S38).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Entitlements.
    Access,
    /// Settings of the device. There are none yet: refused at save.
    Device,
    /// DNS settings.
    Dns,
    /// Administrative roles.
    Admin,
    /// Anything but stopping.
    #[default]
    Mixed,
    /// Ends the evaluation: who matches gets nothing.
    Stop,
}

/// DNS servers for a domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsSetting {
    /// The domain, or `Default`.
    pub domain: String,
    /// Servers in order.
    pub servers: Vec<IpAddr>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<ConditionId>,
    /// CEL over `user`, `device`, `system`; true where access is given.
    pub expression: String,
    /// When to look again: times of day (`13:32`, UTC) and intervals (`1m`, `5m`, `15m`, `1h`), spread by session
    /// unless `exact` stands behind them.
    #[serde(default)]
    pub repeat_schedules: Vec<String>,
    /// Whether all interactions are needed or one.
    #[serde(default)]
    pub remedy_logic: Logic,
    /// What a user can do about it, in order.
    #[serde(default)]
    pub remedy_methods: Vec<Interaction>,
}

/// A named criterion that policies can call: `scriptName()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CriteriaScript {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<crate::id::CriteriaScriptId>,
    /// CEL over `user`, `device`, `system`.
    pub expression: String,
}
