//! Policies assign entitlements by criteria; conditions are checked at time of use. Both are CEL expressions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::entitlement::{Entitlement, Logic};
use crate::form::{self, Count, Each, Form, Is};
use crate::id::{ConditionId, EntitlementId, PolicyId, RoleId, SiteId};
use crate::interaction::{Interaction, MAX_MESSAGE};
use crate::object::EntityBase;

/// Longest source of an expression, in bytes.
pub const MAX_EXPRESSION: usize = 8 * 1024;
/// Most interactions of one condition.
pub const MAX_INTERACTIONS: usize = 8;

/// Most entitlements, links, roles or settings of one policy.
pub const MAX_OF_A_POLICY: usize = 4_096;
/// Most schedules of one condition.
pub const MAX_SCHEDULES: usize = 32;
/// DNS servers of one setting.
pub const DNS_SERVERS: RangeInclusive<usize> = 1..=16;
/// The claim that holds the id of a Site.
pub const SITE_CLAIM: Form =
    Form::matching("^(claims\\.)?user\\.[A-Za-z_][A-Za-z0-9_]{0,63}$", 6, 76, "expected claims.user.<name>");
/// What a user reads whom a Stop policy ends.
pub const STOP_MESSAGE: Form = Form::text(MAX_MESSAGE, "has at most 2048 characters");
/// When a condition is looked at again.
pub const SCHEDULE: Form = Form::matching(
    "^(1m|5m|15m|1h|([01][0-9]|2[0-3]):[0-5][0-9])( exact)?$",
    2,
    11,
    "expected 1m, 5m, 15m, 1h or a time of day such as 13:32, perhaps with `exact` behind it",
);

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<PolicyId>,
    /// Disregarded if set.
    #[serde(default)]
    pub disabled: bool,
    /// Assignment criteria (CEL over `user`, `device`, `system`), true for those whom the policy concerns.
    #[schemars(transform = Is(form::CEL))]
    pub expression: String,
    /// What the policy may contain; enforced at save.
    #[serde(default, rename = "type")]
    pub kind: PolicyKind,
    /// Entitlements by id.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_OF_A_POLICY))]
    pub entitlements: Vec<EntitlementId>,
    /// Entitlements by tag.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_OF_A_POLICY), transform = Each(form::TAG))]
    pub entitlement_links: Vec<String>,
    /// All its entitlements are used at this Site instead of their own.
    #[serde(default)]
    pub override_site: Option<SiteId>,
    /// A claim (`user.office`) that holds the id of such a Site.
    #[serde(default)]
    #[schemars(transform = Is(SITE_CLAIM))]
    pub override_site_claim: Option<String>,
    /// Domains that the Client resolves with given servers.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_OF_A_POLICY))]
    pub dns_settings: Vec<DnsSetting>,
    /// Roles for administrators.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_OF_A_POLICY))]
    pub administrative_roles: Vec<RoleId>,
    /// Shown to the user when a Stop policy ends the evaluation.
    #[serde(default)]
    #[schemars(transform = Is(STOP_MESSAGE))]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PolicyKind {
    /// Entitlements.
    Access,
    /// Settings of the device. There are none yet: refused at save.
    #[schemars(skip)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsSetting {
    /// The domain, or `Default`.
    #[schemars(transform = Is(form::DOMAIN))]
    pub domain: String,
    /// Servers in order.
    #[schemars(transform = Count(DNS_SERVERS))]
    pub servers: Vec<IpAddr>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<ConditionId>,
    /// CEL over `user`, `device`, `system`; true where access is given.
    #[schemars(transform = Is(form::CEL))]
    pub expression: String,
    /// When to look again: times of day (`13:32`, UTC) and intervals (`1m`, `5m`, `15m`, `1h`), spread by session
    /// unless `exact` stands behind them.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_SCHEDULES), transform = Each(SCHEDULE))]
    pub repeat_schedules: Vec<String>,
    /// Whether all interactions are needed or one.
    #[serde(default)]
    pub remedy_logic: Logic,
    /// What a user can do about it, in order.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_INTERACTIONS))]
    pub remedy_methods: Vec<Interaction>,
}

/// A named criterion that policies can call: `scriptName()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CriteriaScript {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<crate::id::CriteriaScriptId>,
    /// CEL over `user`, `device`, `system`.
    #[schemars(transform = Is(form::CEL))]
    pub expression: String,
}
