//! That somebody can administer afterwards (T61): a change after which no local user holds everything any more is refused; under
//! dual control (T65), one after which fewer than two do.
//!
//! Only users that the state itself knows count, and only what they are given wherever and whenever they are; what users of
//! other providers would be given is not known before they sign in. The change is tried on a copy of the state.

use std::collections::BTreeMap;

use ringwall_protocol::assign::PolicySet;
use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::id::{CommandId, LogIndex, NodeId};
use ringwall_protocol::name::{ProviderName, UserDn, UserName};
use ringwall_protocol::object::identity_provider::MfaProviderKind;
use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::object::{GlobalSettings, IdentityProvider, LocalUser, ObjectKind};
use ringwall_protocol::policy::{Policy, PolicyKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::state::apply;
use ringwall_raft::{Command, CommandEnvelope, State};
use uuid::Uuid;

use super::authority::{Administrator, Authority};
use crate::administration::denial::Denial;
use crate::identity::directory::claims_of_local_user;

/// What is wanted of an administrator who counts.
const ABLE: &str = "hold every privilege (All on All) whatever the time and place, not be blocked, and have the other factor \
                    that the provider wants";

/// Whether a change of an object of this kind can take an administrator's authority away.
#[must_use]
pub(crate) const fn concerns(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Policy
            | ObjectKind::CriteriaScript
            | ObjectKind::AdministrativeRole
            | ObjectKind::LocalUser
            | ObjectKind::IdentityProvider
            | ObjectKind::MfaProvider
    )
}

/// Refuses an order after which nobody could administer the Collective, if somebody can now.
///
/// # Errors
/// [`Denial::Conflict`] with the reason.
pub(crate) fn check(who: &Administrator, order: &Command) -> Result<(), Denial> {
    let before = &who.state;
    let index = LogIndex(before.index().0 + 1);
    let envelope = CommandEnvelope::new(CommandId::new(Uuid::new_v4()), NodeId(0), who.now, order.clone());
    let after = apply(before, index, &envelope).state;
    let wanted = wanted(after.settings());
    if Judge::new(&after, who.now).administrators(wanted) == wanted
        || Judge::new(before, who.now).administrators(wanted) < wanted
    {
        return Ok(());
    }
    let (left, least) = match wanted {
        1 => ("nobody able to administer the Collective", "at least one local user"),
        _ => ("fewer than two able to approve each other's orders (dualControl)", "at least two local users"),
    };
    Err(Denial::Conflict(format!("this would leave {left}: {least} must {ABLE}")))
}

/// Refuses to turn dual control on where fewer than two could approve each other's orders.
///
/// # Errors
/// [`Denial::Contradiction`] for `dualControl`.
pub(crate) fn check_two(who: &Administrator) -> Result<(), Denial> {
    if Judge::new(&who.state, who.now).administrators(2) == 2 {
        return Ok(());
    }
    let message =
        format!("cannot be Required where fewer than two could approve: at least two local users must {ABLE}");
    Err(Denial::contradiction("dualControl", message))
}

/// How many local users must hold everything.
fn wanted(settings: &GlobalSettings) -> usize {
    match settings.dual_control {
        DualControl::Off => 1,
        DualControl::Required => 2,
    }
}

/// Looks at the local users of a state.
struct Judge<'a> {
    state: &'a State,
    now: UnixMillis,
    policies: PolicySet,
}

impl<'a> Judge<'a> {
    fn new(state: &'a State, now: UnixMillis) -> Self {
        // What gives roles, and what keeps people from them.
        let matters = |policy: &&Policy| !policy.administrative_roles.is_empty() || policy.kind == PolicyKind::Stop;
        let policies: Vec<Policy> = state.policies().filter(matters).cloned().collect();
        Self { state, now, policies: PolicySet::new(&policies, state.criteria_scripts()) }
    }

    /// How many local users administer, counted up to `most`.
    fn administrators(&self, most: usize) -> usize {
        let provider = self.state.local_provider().filter(|provider| provider.admin_provider);
        provider.map_or(0, |provider| {
            self.state.local_users().filter(|user| self.administers(provider, user)).take(most).count()
        })
    }

    fn administers(&self, provider: &IdentityProvider, user: &LocalUser) -> bool {
        self.can_sign_in(provider, user) && self.holds_everything(provider, user)
    }

    fn can_sign_in(&self, provider: &IdentityProvider, user: &LocalUser) -> bool {
        let (Ok(name), Ok(of)) =
            (UserName::parse(user.base.name.as_str()), ProviderName::parse(provider.base.name.as_str()))
        else {
            return false;
        };
        let blocked = self.state.blocked(&UserDn { user: name, provider: of }).is_some();
        let factor = provider.on_boarding_2fa.as_ref().map(|factor| self.state.mfa_provider(factor.mfa_provider_id));
        let has_factor = match factor {
            None => true,
            Some(None) => false,
            Some(Some(factor)) => match factor.kind() {
                MfaProviderKind::DefaultTimeBased => self.state.totp_seed(user.base.id).is_some(),
                // Who has one of these is known to the server alone.
                MfaProviderKind::Radius => true,
                // The admin API has no page on which a key could be touched.
                MfaProviderKind::Fido2 => false,
            },
        };
        !user.disabled && !blocked && has_factor && self.state.local_password(user.base.id).is_some()
    }

    fn holds_everything(&self, provider: &IdentityProvider, user: &LocalUser) -> bool {
        let (claims, nowhere) = (claims_of_local_user(user, provider), ClaimMap::default());
        let (step_ups, reasons) = (BTreeMap::new(), BTreeMap::new());
        let facts = Facts {
            user: &claims,
            device: None,
            system: &nowhere,
            step_ups: &step_ups,
            reasons: &reasons,
            now: self.now,
        };
        let assignment = self.policies.assign(&facts, std::iter::empty());
        let held = Authority::of(self.state, &assignment.roles);
        Authority::everything().privileges().iter().all(|privilege| held.covers(privilege))
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::{PolicyId, UserId};
    use ringwall_protocol::object::Object;
    use ringwall_protocol::object::role::PrivilegeTarget;
    use ringwall_raft::state::blocklist::BlockUser;
    use ringwall_raft::state::local_password::{PasswordHash, SetLocalPassword};
    use ringwall_raft::state::object::{DeleteObject, Expected, PutObject};

    use super::*;
    use crate::administration::fixture::{Fixture, NOW, administrator, local_user, policy};

    fn put(object: impl Into<Object>) -> Command {
        PutObject::new(object).into()
    }

    fn refused(fixture: &Fixture, order: impl Into<Command>) -> bool {
        match check(&administrator(fixture), &order.into()) {
            Ok(()) => false,
            Err(Denial::Conflict(why)) => why.contains("nobody able to administer"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_would_leave_nobody_able_to_administer_is_refused_however_it_is_done() {
        let mut fixture = Fixture::founded();
        let state = &fixture.state;
        let root = state.local_users().next().expect("the founder").clone();
        let provider = state.local_provider().expect("a provider").clone();
        let admins = state.policies().next().expect("a policy").clone();
        let role = state.administrative_roles().next().expect("a role").clone();
        let mfa = state.mfa_providers().next().expect("a provider").base.id;
        let mut disabled = root;
        disabled.disabled = true;
        let mut closed = provider.clone();
        closed.admin_provider = false;
        let mut weaker = role.clone();
        weaker.privileges[0].target = PrivilegeTarget::Site;
        let mut elsewhere = admins.clone();
        elsewhere.expression = "system.clientSrcIP == \"192.0.2.1\"".to_owned();
        let mut stop = policy(PolicyId::from_random([7; 16]), "stop", "true");
        stop.kind = PolicyKind::Stop;
        let mut guarded = provider;
        guarded.on_boarding_2fa = Some(ringwall_protocol::object::identity_provider::SignInMfa {
            mfa_provider_id: mfa,
            message: String::new(),
            claim_suffix: "once".to_owned(),
            always_required: true,
        });
        let delete = DeleteObject { kind: ObjectKind::Policy, id: admins.base.id.uuid(), expected: Expected::Present };
        let block = BlockUser { user: "CN=root,OU=local".parse().expect("a DN"), reason: String::new() };
        let orders: Vec<(&str, Command)> = vec![
            ("the user disabled", put(disabled)),
            ("adminProvider off", put(closed)),
            ("a privilege taken", put(weaker)),
            ("roles by place", put(elsewhere)),
            ("a Stop policy for all", put(stop)),
            ("a factor that nobody has", put(guarded)),
            ("the policy deleted", delete.into()),
            ("the user blocked", block.into()),
        ];
        for (what, order) in &orders {
            assert!(refused(&fixture, order.clone()), "{what}");
        }
        // With a second one who holds everything, the first may go; what concerns both may not.
        let second = UserId::from_random([9; 16]);
        fixture.put(local_user(second, "second"));
        let hash = PasswordHash::new("$argon2id$for-tests");
        fixture.apply(SetLocalPassword { user: second, hash, must_change: false });
        let mut more = policy(PolicyId::from_random([8; 16]), "second", "user.username == \"second\"");
        more.administrative_roles = vec![role.base.id];
        fixture.put(more);
        let still: Vec<&str> =
            orders.iter().filter(|(_, order)| refused(&fixture, order.clone())).map(|(what, _)| *what).collect();
        assert_eq!(
            still,
            ["adminProvider off", "a privilege taken", "a Stop policy for all", "a factor that nobody has"]
        );
        assert_eq!(administrator(&fixture).now, NOW);
    }
}
