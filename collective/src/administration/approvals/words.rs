//! Orders that need two administrators in words: for the one who approves, and for the audit. Pure.

use ringwall_protocol::id::ApplianceId;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::revocation::Revoke;
use ringwall_raft::{Command, State};
use ringwall_trust::identity::Fingerprint;
use serde_json::{Value, json};

use super::decision::{brings_secret, parts_of};
use crate::administration::access::authority::Administrator;
use crate::administration::objects::present::present;
use crate::audit::event::Event;

/// Most characters of an object's name in a summary.
const NAME_SHOWN: usize = 64;
/// Most bytes of a summary that the names of objects take: with what stands after them it is kept
/// (`ringwall_raft::state::approval`).
const NAMES_LENGTH: usize = 400;

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
            let written = enumerated(written.collect());
            let secret = if brings_secret(command) { " with a new password or secret" } else { "" };
            format!("{written}{secret}: it gives somebody the authority to approve")
        }
    }
}

/// What the summary does not say: objects and settings as they will be written, without secrets.
pub(super) fn details(who: &Administrator, order: &ProtectedOrder) -> Option<Value> {
    match order {
        ProtectedOrder::EndDualControl(change) => serde_json::to_value(&change.settings).ok(),
        ProtectedOrder::RevokeTokens(revoke) => {
            (!revoke.reason.is_empty()).then(|| json!({ "revocationReason": revoke.reason }))
        }
        ProtectedOrder::HandOnAuthority(command) => {
            let written = parts_of(command).iter().filter_map(|part| match part {
                Command::PutObject(put) => Some(present(&put.object, &who.state, who.now)),
                _ => None,
            });
            let mut written: Vec<Value> = written.collect();
            if written.len() > 1 { Some(json!({ "objects": written })) } else { written.pop() }
        }
        ProtectedOrder::AdmitController(_)
        | ProtectedOrder::RetireController(_)
        | ProtectedOrder::RemoveController { .. }
        | ProtectedOrder::RenewBreakGlass => None,
    }
}

/// The audit events of an order that was carried out, by the one who asked for it: one, or one for each object.
pub(super) fn recorded(who: &Administrator, order: &ProtectedOrder) -> Vec<Event> {
    match order {
        ProtectedOrder::HandOnAuthority(command) => {
            parts_of(command).iter().filter_map(|part| recorded_part(who, part)).collect()
        }
        other => vec![recorded_order(who, other)],
    }
}

fn recorded_part(who: &Administrator, part: &Command) -> Option<Event> {
    let (kind, of, id) = match part {
        Command::PutObject(put) => ("entity_updated", put.object.kind(), put.object.id()),
        Command::DeleteObject(delete) => ("entity_deleted", delete.kind, delete.id),
        _ => return None,
    };
    Some(Event::by(who, kind).with("entity_type", of.collection()).with("entity_id", id.to_string()))
}

fn recorded_order(who: &Administrator, order: &ProtectedOrder) -> Event {
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
        ProtectedOrder::EndDualControl(_) => Event::by(who, "entity_updated")
            .with("entity_type", "global-settings")
            .with("entity_name", "global settings"),
        ProtectedOrder::RenewBreakGlass => Event::by(who, "break_glass_renewed"),
        ProtectedOrder::HandOnAuthority(_) => Event::by(who, "entity_updated"),
    }
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

/// What is written, as far as a summary has room; of the rest, how much it is.
fn enumerated(written: Vec<String>) -> String {
    let mut told = String::new();
    for (at, one) in written.iter().enumerate() {
        if at > 0 && told.len() + one.len() > NAMES_LENGTH {
            return format!("{told} and {} more", written.len() - at);
        }
        told.push_str(if at == 0 { "" } else { ", " });
        told.push_str(one);
    }
    told
}

fn shortened(name: &str) -> String {
    format!("{:?}", name.chars().take(NAME_SHOWN).collect::<String>())
}
