//! Administrative roles: privileges of type × target × scope, given to administrators by Admin policies.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::EntityBase;
use crate::form::Count;
use crate::id::RoleId;

/// Most privileges of a role.
pub const MAX_PRIVILEGES: usize = 256;

/// An administrative role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdministrativeRole {
    /// Id, name, notes, tags, times.
    #[serde(flatten)]
    pub base: EntityBase<RoleId>,
    /// What it permits.
    #[schemars(transform = Count(0..=MAX_PRIVILEGES))]
    pub privileges: Vec<Privilege>,
}

/// One privilege.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Privilege {
    /// What may be done.
    #[serde(rename = "type")]
    pub action: PrivilegeType,
    /// To what.
    pub target: PrivilegeTarget,
    /// To which of them.
    #[serde(default)]
    pub scope: PrivilegeScope,
    /// Tags that objects get which are created by it.
    #[serde(default)]
    pub default_tags: BTreeSet<String>,
}

/// Kinds of privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PrivilegeType {
    /// Every one of them.
    All,
    /// Read.
    View,
    /// Make.
    Create,
    /// Change.
    Edit,
    /// Change tags.
    Tag,
    /// Delete.
    Delete,
    /// Revoke tokens.
    Revoke,
    /// Read secrets, seed files, profile links.
    Export,
    /// Run tests of expressions and providers.
    Test,
    /// Read a user's attributes from a provider.
    GetUserAttributes,
    /// Make backups.
    Backup,
    /// See health.
    CheckStatus,
    /// Re-evaluate sessions.
    Reevaluate,
    /// Admit Controllers that ask to join.
    Admit,
}

/// Targets of privileges: those that exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PrivilegeTarget {
    /// Every one of them.
    All,
    /// Appliances.
    Appliance,
    /// Conditions.
    Condition,
    /// Criteria scripts.
    CriteriaScript,
    /// Entitlements.
    Entitlement,
    /// Roles.
    AdministrativeRole,
    /// Identity providers.
    IdentityProvider,
    /// MFA providers.
    MfaProvider,
    /// IP pools.
    IpPool,
    /// Local users.
    LocalUser,
    /// Policies.
    Policy,
    /// Sites.
    Site,
    /// OTP seeds.
    OtpSeed,
    /// The blocklist.
    Blacklist,
    /// Registered devices.
    RegisteredDevice,
    /// Allocated addresses.
    AllocatedIp,
    /// Live sessions.
    SessionInfo,
    /// The audit log.
    AuditLog,
    /// Global settings.
    GlobalSetting,
    /// The CA.
    CaCertificate,
    /// Client profiles.
    ClientProfile,
    /// Sessions of administrators.
    AdministratorSession,
    /// Controllers that ask to join: their admission gives them everything that the Collective keeps secret (T58).
    ControllerAdmission,
}

/// Which objects a privilege covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PrivilegeScope {
    /// All of them.
    #[serde(default)]
    pub all: bool,
    /// These.
    #[serde(default)]
    pub ids: BTreeSet<Uuid>,
    /// Those with one of these tags.
    #[serde(default)]
    pub tags: BTreeSet<String>,
}

impl Default for PrivilegeScope {
    fn default() -> Self {
        Self { all: true, ids: BTreeSet::new(), tags: BTreeSet::new() }
    }
}

impl Privilege {
    /// Whether it permits `action` on `target`, for the object with `id` and `tags` if there is one.
    #[must_use]
    pub fn permits(
        &self,
        action: PrivilegeType,
        target: PrivilegeTarget,
        object: Option<(Uuid, &BTreeSet<String>)>,
    ) -> bool {
        let acts = self.action == PrivilegeType::All || self.action == action;
        let aims = self.target == PrivilegeTarget::All || self.target == target;
        let covers = self.scope.all
            || object.is_some_and(|(id, tags)| self.scope.ids.contains(&id) || !self.scope.tags.is_disjoint(tags));
        acts && aims && covers
    }
}
