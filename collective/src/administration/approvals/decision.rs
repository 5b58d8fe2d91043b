//! What an order that needs two administrators comes to, and which orders do. Pure: from an administrator's authority and the
//! state in which it was checked.

use std::sync::Arc;

use ringwall_protocol::id::NodeId;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::Object;
use ringwall_protocol::object::role::{Privilege, PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::revocation::RevocationScope;
use ringwall_raft::Command;
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::object::batch::ApplyObjects;
use ringwall_raft::state::revocation::Revoke;

use crate::administration::access::authority::Administrator;
use crate::administration::access::granting::{self, Change};
use crate::administration::access::lasting;
use crate::administration::denial::Denial;
use crate::administration::members::admission::decide_admission;
use crate::administration::members::appliances::{decide_removal, decide_retirement};
use crate::administration::objects::{after, brings_secret as brings_secret_of, decide_again};

/// Privileges with which orders that need two are given and approved.
const APPROVING: [(PrivilegeType, PrivilegeTarget); 4] = [
    (PrivilegeType::Admit, PrivilegeTarget::ControllerAdmission),
    (PrivilegeType::Delete, PrivilegeTarget::Appliance),
    (PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice),
    (PrivilegeType::Edit, PrivilegeTarget::GlobalSetting),
];

/// What an order comes to in the caller's state; nothing but the code for [`ProtectedOrder::RenewBreakGlass`], which is made
/// when it is carried out.
///
/// # Errors
/// `Forbidden` without the privilege that the order wants; `NotFound`, `Conflict` where it does not fit what is there.
pub(super) fn decide(who: &Administrator, me: NodeId, order: &ProtectedOrder) -> Result<Vec<Command>, Denial> {
    match order {
        ProtectedOrder::AdmitController(admit) => {
            decide_admission(who, admit)?;
            Ok(vec![admit.clone().into()])
        }
        ProtectedOrder::RetireController(appliance) => Ok(vec![decide_retirement(who, *appliance)?.into()]),
        ProtectedOrder::RemoveController { appliance, expected } => {
            Ok(decide_removal(who, me, *appliance, *expected)?.into())
        }
        ProtectedOrder::RevokeTokens(revoke) => {
            who.authority.require(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice, None)?;
            Ok(vec![(**revoke).clone().into()])
        }
        ProtectedOrder::EndDualControl(change) => {
            who.authority.require(PrivilegeType::Edit, PrivilegeTarget::GlobalSetting, None)?;
            Ok(vec![(**change).clone().into()])
        }
        ProtectedOrder::RenewBreakGlass => {
            who.authority.require(PrivilegeType::All, PrivilegeTarget::All, None)?;
            Ok(Vec::new())
        }
        ProtectedOrder::HandOnAuthority(command) => {
            decide_again(who, command)?;
            lasting::check(who, command)?;
            Ok(match command {
                Command::Group(parts) => parts.clone(),
                single => vec![single.clone()],
            })
        }
    }
}

/// Whether whoever gives the order without approval records it himself.
pub(super) const fn is_recorded_by_caller(order: &ProtectedOrder) -> bool {
    matches!(
        order,
        ProtectedOrder::RevokeTokens(_) | ProtectedOrder::EndDualControl(_) | ProtectedOrder::HandOnAuthority(_)
    )
}

/// Whether a revocation concerns everybody, or all users of a provider.
#[must_use]
pub(in crate::administration) fn concerns_everybody(revoke: &Revoke) -> bool {
    matches!(revoke.scope, RevocationScope::Dn(DnScope::Everyone | DnScope::Provider(_)))
}

/// Whether writing these objects gives somebody a privilege to approve: under dual control nobody makes himself a second
/// administrator. The break-glass administrator may: he is there for when the others have lost theirs.
#[must_use]
pub(in crate::administration) fn hands_on_approval(who: &Administrator, order: &Command) -> bool {
    if who.state.settings().dual_control == DualControl::Off || who.session.is_break_glass() {
        return false;
    }
    match order {
        Command::ApplyObjects(batch) => batch_hands_on(who, &batch.parts),
        _ => parts_of(order).iter().any(|part| part_hands_on(who, part, brings_secret(order))),
    }
}

/// Parts of a batch give together what none gives alone: each is judged in the state that those before it lead to.
fn batch_hands_on(who: &Administrator, parts: &[Command]) -> bool {
    let mut who = who.clone();
    for part in parts {
        let secret = matches!(part, Command::PutObject(put) if brings_secret_of(parts, put.object.id()));
        if part_hands_on(&who, part, secret) {
            return true;
        }
        // What cannot be judged to its end is not passed by one administrator alone.
        let Ok(state) = after(&who, ApplyObjects { parts: vec![part.clone()] }) else { return true };
        who.state = Arc::new(state);
    }
    false
}

/// `secret`: the order brings a password or secret of the part's object.
fn part_hands_on(who: &Administrator, part: &Command, secret: bool) -> bool {
    let (before, after) = match part {
        Command::PutObject(put) => {
            let stored = who.state.object(put.object.kind(), put.object.id());
            (stored.map(|stored| &stored.object), Some(&put.object))
        }
        Command::DeleteObject(delete) => (who.state.object(delete.kind, delete.id).map(|stored| &stored.object), None),
        _ => return false,
    };
    let password = match (before, after) {
        // One's own password opens nothing to anybody else.
        (_, Some(Object::LocalUser(user))) if user.base.id == who.session.user_id => false,
        // Whoever knows the password of a user who is enabled again can be that user.
        (Some(Object::LocalUser(before)), Some(Object::LocalUser(after))) if before.disabled && !after.disabled => true,
        _ => secret,
    };
    let change = Change { before, after, password };
    granting::handed_on(&who.state, change, who.now).iter().any(approves)
}

fn approves(privilege: &Privilege) -> bool {
    APPROVING.iter().any(|(action, target)| {
        (privilege.action == PrivilegeType::All || privilege.action == *action)
            && (privilege.target == PrivilegeTarget::All || privilege.target == *target)
    })
}

/// The commands of a group or batch, or the one that stands alone.
pub(super) fn parts_of(command: &Command) -> &[Command] {
    match command {
        Command::Group(parts) => parts,
        Command::ApplyObjects(batch) => &batch.parts,
        single => std::slice::from_ref(single),
    }
}

pub(super) fn brings_secret(command: &Command) -> bool {
    parts_of(command).iter().any(|part| matches!(part, Command::SetLocalPassword(_) | Command::PutSecret(_)))
}
