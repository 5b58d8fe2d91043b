//! What an administrator may do: the privileges of his roles, asked on every call (S59).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::id::RoleId;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::object::role::{Privilege, PrivilegeScope, PrivilegeTarget, PrivilegeType};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::admin_session::AdminSession;
use uuid::Uuid;

use crate::administration::denial::Denial;
use crate::audit::event::{Actor, collective};

/// Every kind of action but `All`.
pub const ACTIONS: [PrivilegeType; 14] = [
    PrivilegeType::View,
    PrivilegeType::Create,
    PrivilegeType::Edit,
    PrivilegeType::Tag,
    PrivilegeType::Delete,
    PrivilegeType::Revoke,
    PrivilegeType::Export,
    PrivilegeType::Test,
    PrivilegeType::GetUserAttributes,
    PrivilegeType::Backup,
    PrivilegeType::CheckStatus,
    PrivilegeType::Reevaluate,
    PrivilegeType::Admit,
    PrivilegeType::All,
];
/// Every target, `All` last.
pub const TARGETS: [PrivilegeTarget; 23] = [
    PrivilegeTarget::Appliance,
    PrivilegeTarget::Condition,
    PrivilegeTarget::CriteriaScript,
    PrivilegeTarget::Entitlement,
    PrivilegeTarget::AdministrativeRole,
    PrivilegeTarget::IdentityProvider,
    PrivilegeTarget::MfaProvider,
    PrivilegeTarget::IpPool,
    PrivilegeTarget::LocalUser,
    PrivilegeTarget::Policy,
    PrivilegeTarget::Site,
    PrivilegeTarget::OtpSeed,
    PrivilegeTarget::Blacklist,
    PrivilegeTarget::RegisteredDevice,
    PrivilegeTarget::AllocatedIp,
    PrivilegeTarget::SessionInfo,
    PrivilegeTarget::AuditLog,
    PrivilegeTarget::GlobalSetting,
    PrivilegeTarget::CaCertificate,
    PrivilegeTarget::ClientProfile,
    PrivilegeTarget::AdministratorSession,
    PrivilegeTarget::ControllerAdmission,
    PrivilegeTarget::All,
];

/// The target that stands for a kind of objects.
#[must_use]
pub(crate) const fn target_of(kind: ObjectKind) -> PrivilegeTarget {
    match kind {
        ObjectKind::Site => PrivilegeTarget::Site,
        ObjectKind::Appliance => PrivilegeTarget::Appliance,
        ObjectKind::Entitlement => PrivilegeTarget::Entitlement,
        ObjectKind::Condition => PrivilegeTarget::Condition,
        ObjectKind::CriteriaScript => PrivilegeTarget::CriteriaScript,
        ObjectKind::Policy => PrivilegeTarget::Policy,
        ObjectKind::IdentityProvider => PrivilegeTarget::IdentityProvider,
        ObjectKind::MfaProvider => PrivilegeTarget::MfaProvider,
        ObjectKind::LocalUser => PrivilegeTarget::LocalUser,
        ObjectKind::IpPool => PrivilegeTarget::IpPool,
        ObjectKind::ClientProfile => PrivilegeTarget::ClientProfile,
        ObjectKind::AdministrativeRole => PrivilegeTarget::AdministrativeRole,
    }
}

/// Whether an action exists for a target.
#[must_use]
pub fn applies(action: PrivilegeType, target: PrivilegeTarget) -> bool {
    use PrivilegeTarget as T;
    use PrivilegeType as A;
    let object = !matches!(
        target,
        T::OtpSeed
            | T::Blacklist
            | T::RegisteredDevice
            | T::AllocatedIp
            | T::SessionInfo
            | T::AuditLog
            | T::GlobalSetting
            | T::CaCertificate
            | T::AdministratorSession
            | T::ControllerAdmission
    );
    if target == T::All || action == A::All {
        return true;
    }
    match action {
        A::All | A::View => true,
        A::Create => object || matches!(target, T::OtpSeed | T::Blacklist),
        A::Edit => object || target == T::GlobalSetting,
        A::Tag => object,
        A::Delete => {
            object
                || matches!(
                    target,
                    T::OtpSeed | T::Blacklist | T::RegisteredDevice | T::AllocatedIp | T::AdministratorSession
                )
        }
        A::Revoke => target == T::RegisteredDevice,
        A::Reevaluate => matches!(target, T::RegisteredDevice | T::SessionInfo),
        A::Export => matches!(target, T::Appliance | T::ClientProfile | T::AuditLog | T::CaCertificate),
        A::Test => {
            matches!(target, T::Condition | T::CriteriaScript | T::Policy | T::IdentityProvider | T::MfaProvider)
        }
        A::GetUserAttributes => target == T::IdentityProvider,
        A::Backup => target == T::Appliance,
        A::CheckStatus => matches!(target, T::Appliance | T::Site),
        A::Admit => target == T::ControllerAdmission,
    }
}

/// An administrator whose order is being carried out.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    /// The session behind his token.
    pub(crate) session: AdminSession,
    /// User and device.
    pub(crate) dn: SessionDn,
    /// When the token ends.
    pub(crate) expires: UnixMillis,
    /// Where the request came from.
    pub(crate) address: IpAddr,
    /// What he may do.
    pub(crate) authority: Authority,
    /// The state in which all of this was checked, as new as the request.
    pub(crate) state: Arc<State>,
    /// When it was checked.
    pub(crate) now: UnixMillis,
}

impl<'a> From<&'a Administrator> for Actor<'a> {
    fn from(administrator: &'a Administrator) -> Self {
        let Administrator { dn, address, state, .. } = administrator;
        Self { collective: collective(state), dn, address: *address }
    }
}

/// Privileges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Authority {
    privileges: Vec<Privilege>,
}

/// Id and tags of an object, as scopes look at them.
pub(crate) type Scoped<'a> = (Uuid, &'a BTreeSet<String>);

impl Authority {
    /// With these privileges.
    #[cfg(test)]
    pub(crate) const fn new(privileges: Vec<Privilege>) -> Self {
        Self { privileges }
    }

    /// All privileges there are.
    #[must_use]
    pub(crate) fn everything() -> Self {
        let (action, target) = (PrivilegeType::All, PrivilegeTarget::All);
        let scope = PrivilegeScope::default();
        Self { privileges: vec![Privilege { action, target, scope, default_tags: BTreeSet::new() }] }
    }

    /// What roles give now. A role that is gone gives nothing.
    #[must_use]
    pub(crate) fn of<'a>(state: &State, roles: impl IntoIterator<Item = &'a RoleId>) -> Self {
        let roles = roles.into_iter().filter_map(|role| state.administrative_role(*role));
        Self { privileges: roles.flat_map(|role| role.privileges.iter().cloned()).collect() }
    }

    /// All of them.
    #[must_use]
    pub(crate) fn privileges(&self) -> &[Privilege] {
        &self.privileges
    }

    /// Whether `action` is permitted on `target`, on one object or, without one, on all of them.
    #[must_use]
    pub(crate) fn permits(&self, action: PrivilegeType, target: PrivilegeTarget, object: Option<Scoped<'_>>) -> bool {
        self.privileges.iter().any(|privilege| privilege.permits(action, target, object))
    }

    /// Whether `action` is permitted on some objects of `target`.
    #[must_use]
    pub(crate) fn permits_some(&self, action: PrivilegeType, target: PrivilegeTarget) -> bool {
        let anywhere = PrivilegeScope::default();
        self.privileges
            .iter()
            .map(|privilege| Privilege { scope: anywhere.clone(), ..privilege.clone() })
            .any(|privilege| privilege.permits(action, target, None))
    }

    /// The same, as a condition of an order.
    ///
    /// # Errors
    /// [`Denial::Forbidden`] that names the missing privilege.
    pub(crate) fn require(
        &self,
        action: PrivilegeType,
        target: PrivilegeTarget,
        object: Option<Scoped<'_>>,
    ) -> Result<(), Denial> {
        if self.permits(action, target, object) { Ok(()) } else { Err(missing(action, target)) }
    }

    /// At least some objects, as a condition of a list.
    ///
    /// # Errors
    /// [`Denial::Forbidden`].
    pub(crate) fn require_some(&self, action: PrivilegeType, target: PrivilegeTarget) -> Result<(), Denial> {
        if self.permits_some(action, target) { Ok(()) } else { Err(missing(action, target)) }
    }

    /// Tags that objects get which are created by these privileges.
    #[must_use]
    pub(crate) fn default_tags(&self, target: PrivilegeTarget) -> BTreeSet<String> {
        let creates = |privilege: &&Privilege| {
            privilege.action == PrivilegeType::Create
                && (privilege.target == PrivilegeTarget::All || privilege.target == target)
        };
        self.privileges.iter().filter(creates).flat_map(|privilege| privilege.default_tags.iter().cloned()).collect()
    }

    /// Whether everything that `privilege` permits is permitted here: what nobody may hand on without.
    #[must_use]
    pub(crate) fn covers(&self, privilege: &Privilege) -> bool {
        atoms(privilege).all(|atom| self.privileges.iter().any(|held| holds(held, &atom)))
    }
}

fn missing(action: PrivilegeType, target: PrivilegeTarget) -> Denial {
    Denial::Forbidden(format!("the privilege {action:?} on {target:?} is missing"))
}

/// One action on one target in the smallest scope that privileges can name.
struct Atom<'a> {
    action: PrivilegeType,
    target: PrivilegeTarget,
    scope: AtomScope<'a>,
}

#[derive(Clone, Copy)]
enum AtomScope<'a> {
    All,
    Id(Uuid),
    Tag(&'a String),
}

/// A privilege in its smallest parts. `All` stays a part of its own: it will also mean what is added later.
fn atoms(privilege: &Privilege) -> impl Iterator<Item = Atom<'_>> {
    let scopes: Vec<AtomScope<'_>> = if privilege.scope.all {
        vec![AtomScope::All]
    } else {
        let ids = privilege.scope.ids.iter().map(|id| AtomScope::Id(*id));
        ids.chain(privilege.scope.tags.iter().map(AtomScope::Tag)).collect()
    };
    let (action, target) = (privilege.action, privilege.target);
    scopes.into_iter().map(move |scope| Atom { action, target, scope })
}

fn holds(held: &Privilege, atom: &Atom<'_>) -> bool {
    let acts = held.action == PrivilegeType::All || held.action == atom.action;
    let aims = held.target == PrivilegeTarget::All || held.target == atom.target;
    let reaches = held.scope.all
        || match atom.scope {
            AtomScope::All => false,
            AtomScope::Id(id) => held.scope.ids.contains(&id),
            AtomScope::Tag(tag) => held.scope.tags.contains(tag),
        };
    acts && aims && reaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privilege(action: PrivilegeType, target: PrivilegeTarget, scope: PrivilegeScope) -> Privilege {
        Privilege { action, target, scope, default_tags: BTreeSet::new() }
    }

    fn tagged(tags: &[&str]) -> PrivilegeScope {
        PrivilegeScope { all: false, ids: BTreeSet::new(), tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
    }

    #[test]
    fn a_scope_limits_what_is_seen_and_what_can_be_handed_on() {
        let here = Authority::new(vec![privilege(PrivilegeType::Edit, PrivilegeTarget::Site, tagged(&["eu", "us"]))]);
        let (eu, asia): (BTreeSet<_>, BTreeSet<_>) = (["eu".to_owned()].into(), ["asia".to_owned()].into());
        assert!(here.permits(PrivilegeType::Edit, PrivilegeTarget::Site, Some((Uuid::nil(), &eu))));
        assert!(!here.permits(PrivilegeType::Edit, PrivilegeTarget::Site, Some((Uuid::nil(), &asia))));
        assert!(!here.permits(PrivilegeType::Edit, PrivilegeTarget::Site, None));
        assert!(here.permits_some(PrivilegeType::Edit, PrivilegeTarget::Site));
        assert!(!here.permits_some(PrivilegeType::Edit, PrivilegeTarget::Policy));
        assert!(here.covers(&privilege(PrivilegeType::Edit, PrivilegeTarget::Site, tagged(&["eu"]))));
        assert!(!here.covers(&privilege(PrivilegeType::Edit, PrivilegeTarget::Site, tagged(&["eu", "asia"]))));
        assert!(!here.covers(&privilege(PrivilegeType::Edit, PrivilegeTarget::Site, PrivilegeScope::default())));
        assert!(!here.covers(&privilege(PrivilegeType::All, PrivilegeTarget::Site, tagged(&["eu"]))));
    }

    #[test]
    fn whoever_holds_everything_covers_everything_and_the_sum_of_all_parts_does_not() {
        let everything = privilege(PrivilegeType::All, PrivilegeTarget::All, PrivilegeScope::default());
        let root = Authority::new(vec![everything.clone()]);
        for action in ACTIONS {
            for target in TARGETS {
                assert!(root.covers(&privilege(action, target, PrivilegeScope::default())));
            }
        }
        let parts = ACTIONS.into_iter().filter(|action| *action != PrivilegeType::All);
        let parts = parts.map(|action| privilege(action, PrivilegeTarget::All, PrivilegeScope::default())).collect();
        assert!(!Authority::new(parts).covers(&everything), "`All` also means what later versions add");
    }
}
