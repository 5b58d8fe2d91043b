//! What an order that needs two administrators comes to, and which orders do. Pure: from an administrator's authority and the
//! state in which it was checked.

use ringwall_protocol::id::{ApplianceId, NodeId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::Object;
use ringwall_protocol::object::role::{Privilege, PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::revocation::Revoke;
use ringwall_raft::{Command, State};
use ringwall_trust::identity::Fingerprint;

use crate::administration::access::authority::Administrator;
use crate::administration::access::granting::{self, Change};
use crate::administration::access::lasting;
use crate::administration::denial::Denial;
use crate::administration::members::admission::decide_admission;
use crate::administration::members::appliances::{decide_removal, decide_retirement};
use crate::administration::objects::decide_again;
use crate::audit::event::Event;

/// Privileges with which orders that need two are given and approved.
const APPROVING: [(PrivilegeType, PrivilegeTarget); 4] = [
    (PrivilegeType::Admit, PrivilegeTarget::ControllerAdmission),
    (PrivilegeType::Delete, PrivilegeTarget::Appliance),
    (PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice),
    (PrivilegeType::Edit, PrivilegeTarget::GlobalSetting),
];
/// Most characters of an object's name in a summary.
const NAME_SHOWN: usize = 64;

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
            Ok(parts_of(command).to_vec())
        }
    }
}

/// An order in words, for the one who approves it.
pub(super) fn summary(state: &State, order: &ProtectedOrder) -> String {
    let name = |id: &ApplianceId| state.appliance(*id).map_or_else(|| id.to_string(), |one| shortened(&one.base.name));
    match order {
        ProtectedOrder::AdmitController(admit) => {
            format!("admit the Controller {} with the key {}", name(&admit.appliance), Fingerprint(admit.key.0))
        }
        ProtectedOrder::RetireController(appliance) => format!("retire the Controller {}", name(appliance)),
        ProtectedOrder::RemoveController { appliance, .. } => format!("remove the Controller {}", name(appliance)),
        ProtectedOrder::RevokeTokens(revoke) => revocation_summary(revoke),
        ProtectedOrder::EndDualControl(_) => "end dual control, and set the other settings as asked".to_owned(),
        ProtectedOrder::RenewBreakGlass => "make a new break-glass code; whoever approves reads it".to_owned(),
        ProtectedOrder::HandOnAuthority(command) => {
            let written = parts_of(command).iter().filter_map(|part| match part {
                Command::PutObject(put) => {
                    Some(format!("write the {} {}", put.object.kind(), shortened(put.object.name())))
                }
                Command::DeleteObject(delete) => {
                    let name = state.object(delete.kind, delete.id).map(|stored| shortened(stored.object.name()));
                    Some(format!("delete the {} {}", delete.kind, name.unwrap_or_else(|| delete.id.to_string())))
                }
                _ => None,
            });
            let written = written.collect::<Vec<_>>().join(", ");
            let secret = if brings_secret(command) { " with a new password or secret" } else { "" };
            format!("{written}{secret}: it gives somebody the authority to approve")
        }
    }
}

/// The audit event of an order that was carried out, by the one who asked for it.
pub(super) fn recorded(who: &Administrator, order: &ProtectedOrder) -> Event {
    let state = &who.state;
    let named = |kind, id: &ApplianceId| {
        let name = state.appliance(*id).map(|one| one.base.name.clone()).unwrap_or_default();
        Event::by(who, kind).with("entity_name", name).with("appliance_id", id.to_string())
    };
    match order {
        ProtectedOrder::AdmitController(admit) => {
            named("controller_admitted", &admit.appliance).with("fingerprint", Fingerprint(admit.key.0).to_string())
        }
        ProtectedOrder::RetireController(appliance) => named("member_retired", appliance),
        ProtectedOrder::RemoveController { appliance, .. } => named("member_removed", appliance),
        ProtectedOrder::RevokeTokens(revoke) => {
            let scope = match &revoke.scope {
                RevocationScope::Dn(scope) => scope.to_string(),
                RevocationScope::Token(_) => String::new(),
            };
            Event::by(who, "revocation_added")
                .with("distinguished_name_filter", scope)
                .with("reason", revoke.reason.as_str())
        }
        ProtectedOrder::EndDualControl(_) => {
            Event::by(who, "entity_updated").with("entity_type", "global-settings").with("entity_name", "global settings")
        }
        ProtectedOrder::RenewBreakGlass => Event::by(who, "break_glass_renewed"),
        ProtectedOrder::HandOnAuthority(command) => {
            let object = parts_of(command).iter().find_map(|part| match part {
                Command::PutObject(put) => Some(("entity_updated", put.object.kind(), put.object.id())),
                Command::DeleteObject(delete) => Some(("entity_deleted", delete.kind, delete.id)),
                _ => None,
            });
            let Some((kind, of, id)) = object else { return Event::by(who, "entity_updated") };
            Event::by(who, kind).with("entity_type", of.collection()).with("entity_id", id.to_string())
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
    let secret = brings_secret(order);
    parts_of(order).iter().any(|part| {
        let (before, after) = match part {
            Command::PutObject(put) => {
                let stored = who.state.object(put.object.kind(), put.object.id());
                (stored.map(|stored| &stored.object), Some(&put.object))
            }
            Command::DeleteObject(delete) => {
                (who.state.object(delete.kind, delete.id).map(|stored| &stored.object), None)
            }
            _ => return false,
        };
        let password = match (before, after) {
            // One's own password opens nothing to anybody else.
            (_, Some(Object::LocalUser(user))) if user.base.id == who.session.user_id => false,
            // Whoever knows the password of a user who is enabled again can be that user.
            (Some(Object::LocalUser(before)), Some(Object::LocalUser(after))) if before.disabled && !after.disabled => {
                true
            }
            _ => secret,
        };
        let change = Change { before, after, password };
        granting::handed_on(&who.state, change, who.now).iter().any(approves)
    })
}

fn approves(privilege: &Privilege) -> bool {
    APPROVING.iter().any(|(action, target)| {
        (privilege.action == PrivilegeType::All || privilege.action == *action)
            && (privilege.target == PrivilegeTarget::All || privilege.target == *target)
    })
}

/// The commands of a group, or the one that stands alone.
fn parts_of(command: &Command) -> &[Command] {
    match command {
        Command::Group(parts) => parts,
        single => std::slice::from_ref(single),
    }
}

fn brings_secret(command: &Command) -> bool {
    parts_of(command).iter().any(|part| matches!(part, Command::SetLocalPassword(_) | Command::PutSecret(_)))
}

fn revocation_summary(revoke: &Revoke) -> String {
    let whose = match &revoke.scope {
        RevocationScope::Dn(DnScope::Provider(provider)) => {
            format!("all users of the provider {}", shortened(provider.as_str()))
        }
        _ => "everybody".to_owned(),
    };
    let kinds: Vec<String> = revoke.kinds.iter().map(|kind| format!("{kind:?}")).collect();
    let mode = match revoke.mode {
        RevocationMode::Cut => "at once",
        RevocationMode::RenewNow | RevocationMode::RenewWindow { .. } => "with time to renew",
    };
    let site = revoke.site.map_or_else(String::new, |site| format!(" for the Site {site}"));
    format!("revoke the {} tokens of {whose}{site} {mode}", kinds.join(", "))
}

fn shortened(name: &str) -> String {
    format!("{:?}", name.chars().take(NAME_SHOWN).collect::<String>())
}
