//! Rules of entitlements, conditions, criteria scripts and policies.

use std::collections::BTreeSet;

use ringwall_protocol::authorize::Schedule;
use ringwall_protocol::entitlement::{Action, ActionKind, Entitlement, Host, Logic, MAX_NAMES, ParsedAction};
use ringwall_protocol::expression::{Expression, FUNCTIONS, Scripts};
use ringwall_protocol::id::ProviderId;
use ringwall_protocol::interaction::{Interaction, InteractionKind, MAX_MESSAGE};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::policy::{Condition, CriteriaScript, MAX_INTERACTIONS, Policy, PolicyKind};
use ringwall_protocol::rules::compile::{ResolvedNames, compile};
use ringwall_raft::State;

use super::{Faults, duplicates, text};

/// Most actions of one entitlement.
const MAX_ACTIONS: usize = 256;
/// Most conditions of one entitlement.
const MAX_CONDITIONS: usize = 32;
/// Most entitlements, links or settings of one policy.
const MAX_OF_A_POLICY: usize = 4_096;
/// Most schedules of one condition.
const MAX_SCHEDULES: usize = 32;

pub(super) fn entitlement(entitlement: &Entitlement, faults: &mut Faults) {
    if entitlement.conditions.is_empty() && entitlement.condition_logic == Logic::Or {
        faults.add("conditions", "must not be empty with conditionLogic or: nothing could ever pass");
    }
    if entitlement.conditions.len() > MAX_CONDITIONS {
        faults.add("conditions", format!("are at most {MAX_CONDITIONS}"));
    }
    for at in duplicates(&entitlement.conditions) {
        faults.add(format!("conditions[{at}]"), "is listed twice");
    }
    if entitlement.actions.is_empty() || entitlement.actions.len() > MAX_ACTIONS {
        faults.add("actions", format!("are 1 to {MAX_ACTIONS}"));
    }
    actions(&entitlement.actions, faults);
    for (at, shortcut) in entitlement.app_shortcuts.iter().enumerate() {
        let field = |name: &str| format!("appShortcuts[{at}].{name}");
        let named = !shortcut.name.trim().is_empty() && text::is_line(&shortcut.name, 256);
        faults.unless(named, &field("name"), "has 1 to 256 bytes and no control characters");
        faults.unless(
            is_link(&shortcut.url),
            &field("url"),
            "expected a link such as https://host/path, at most 2048 bytes",
        );
    }
}

/// Something that an operating system opens: a scheme, and no script.
fn is_link(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| !scheme.is_empty() && !["javascript", "data", "vbscript"].contains(&scheme.as_str()))
        && text::is_line(url, 2_048)
        && !url.contains(' ')
}

fn actions(actions: &[Action], faults: &mut Faults) {
    let mut parsed = Vec::new();
    let mut all = true;
    for (at, action) in actions.iter().enumerate().take(MAX_ACTIONS) {
        match action.parse() {
            Ok(one) => {
                names(&one, at, faults);
                parsed.push(one);
            }
            Err(error) => {
                all = false;
                faults.add(format!("actions[{at}].{}", error.field), error.message);
            }
        }
    }
    let named: BTreeSet<&Host> = parsed.iter().flat_map(|one| &one.hosts).filter(|host| host.is_named()).collect();
    if named.len() > MAX_NAMES {
        faults.add("actions", format!("name at most {MAX_NAMES} hosts; use domains or prefixes"));
    }
    if all && compile(&parsed, &ResolvedNames::default()).is_err() {
        faults.add("actions", "come to more rules than one rule set may have");
    }
}

/// What stands for addresses only as long as a name server says so cannot be what keeps somebody out.
fn names(action: &ParsedAction, at: usize, faults: &mut Faults) {
    if !action.hosts.iter().any(Host::is_named) {
        return;
    }
    let why = match action.kind {
        ActionKind::Allow | ActionKind::Alert => return,
        ActionKind::Block => "cannot be names: a block must not depend on what a name server answers",
        ActionKind::Exclude => "cannot be names: a route is wanted before a name is asked for",
    };
    faults.add(format!("actions[{at}].hosts"), format!("{why}; use addresses or prefixes"));
}

pub(super) fn condition(condition: &Condition, state: &State, faults: &mut Faults) {
    if let Err(error) = Expression::compile(&condition.expression) {
        faults.add("expression", error.to_string());
    }
    if condition.repeat_schedules.len() > MAX_SCHEDULES {
        faults.add("repeatSchedules", format!("are at most {MAX_SCHEDULES}"));
    }
    for (at, schedule) in condition.repeat_schedules.iter().enumerate() {
        let known = Schedule::parse(schedule).is_some();
        faults.unless(
            known,
            &format!("repeatSchedules[{at}]"),
            "expected 1m, 5m, 15m, 1h or a time of day such as 13:32, perhaps with `exact` behind it",
        );
    }
    if condition.remedy_methods.len() > MAX_INTERACTIONS {
        faults.add("remedyMethods", format!("are at most {MAX_INTERACTIONS}"));
    }
    for (at, method) in condition.remedy_methods.iter().enumerate() {
        interaction(method, &format!("remedyMethods[{at}]"), state, faults);
    }
}

fn interaction(method: &Interaction, field: &str, state: &State, faults: &mut Faults) {
    let readable = !method.message.trim().is_empty() && method.message.len() <= MAX_MESSAGE;
    faults.unless(readable, &format!("{field}.message"), "has 1 to 2048 bytes");
    let suffix = format!("{field}.claimSuffix");
    match (&method.claim_suffix, method.kind) {
        (Some(_), InteractionKind::DisplayMessage) => {
            faults.add(suffix, "does not belong to a message: nothing is answered")
        }
        (None, InteractionKind::DisplayMessage) => {}
        (None, kind) => faults.add(suffix, format!("is wanted for {kind:?}: the answer is found under it")),
        (Some(text), _) => faults.unless(text::is_suffix(text), &suffix, "has 1 to 64 letters, digits, '-', '_', '.'"),
    }
    if method.blocking && method.kind != InteractionKind::DisplayMessage {
        faults.add(format!("{field}.blocking"), "belongs to DisplayMessage");
    }
    provider(method, &format!("{field}.providerId"), state, faults);
}

/// Kinds of providers at which a user can prove himself again: by a password, or in a browser.
fn proves_again(kind: IdentityProviderKind) -> bool {
    kind.takes_passwords() || kind == IdentityProviderKind::Oidc
}

/// An MFA provider for one-time passwords, an identity provider for passwords, none otherwise.
fn provider(method: &Interaction, field: &str, state: &State, faults: &mut Faults) {
    let Some(id) = method.provider_id else { return };
    match method.kind {
        // Which kinds there are is said where the reference is checked; every MFA provider verifies answers.
        InteractionKind::OtpAuthentication => {}
        InteractionKind::PasswordAuthentication => {
            let known = state.identity_provider(ProviderId::new(id));
            if known.is_some_and(|provider| !proves_again(provider.kind())) {
                faults.add(field, "is an identity provider of a kind that proves nobody again");
            }
        }
        InteractionKind::DisplayMessage | InteractionKind::Reason => {
            faults.add(field, format!("does not belong to {:?}", method.kind));
        }
    }
}

pub(super) fn script(script: &CriteriaScript, faults: &mut Faults) {
    let name = script.base.name.as_str();
    if !text::is_identifier(name) {
        faults.add("name", "has letters, digits and '_', no digit first: policies call it as a function");
    } else if FUNCTIONS.contains(&name) || Expression::compile(&format!("{name}()")).is_ok() {
        faults.add("name", "is the name of a function that exists already");
    }
    if let Err(error) = Expression::compile(&script.expression) {
        faults.add("expression", error.to_string());
    }
}

pub(super) fn policy(policy: &Policy, scripts: &Scripts, faults: &mut Faults) {
    if let Err(error) = Expression::compile_with(&policy.expression, scripts) {
        faults.add("expression", error.to_string());
    }
    contents(policy, faults);
    for at in duplicates(&policy.entitlements) {
        faults.add(format!("entitlements[{at}]"), "is listed twice");
    }
    for at in duplicates(&policy.administrative_roles) {
        faults.add(format!("administrativeRoles[{at}]"), "is listed twice");
    }
    let lists = [
        ("entitlements", policy.entitlements.len()),
        ("entitlementLinks", policy.entitlement_links.len()),
        ("dnsSettings", policy.dns_settings.len()),
        ("administrativeRoles", policy.administrative_roles.len()),
    ];
    for (field, count) in lists.into_iter().filter(|(_, count)| *count > MAX_OF_A_POLICY) {
        faults.add(field, format!("are at most {MAX_OF_A_POLICY}, got {count}"));
    }
    for (at, link) in policy.entitlement_links.iter().enumerate() {
        faults.unless(!link.trim().is_empty(), &format!("entitlementLinks[{at}]"), "is empty; expected a tag");
    }
    if policy.override_site.is_some() && policy.override_site_claim.is_some() {
        faults.add("overrideSiteClaim", "cannot stand beside overrideSite");
    }
    if let Some(path) = &policy.override_site_claim {
        let name = path.strip_prefix("claims.").unwrap_or(path).strip_prefix("user.");
        faults.unless(name.is_some_and(text::is_identifier), "overrideSiteClaim", "expected claims.user.<name>");
    }
    for (at, setting) in policy.dns_settings.iter().enumerate() {
        let domain = setting.domain == "Default" || text::is_domain(&setting.domain);
        faults.unless(domain, &format!("dnsSettings[{at}].domain"), "expected a DNS domain or Default");
        let servers = (1..=16).contains(&setting.servers.len());
        faults.unless(servers, &format!("dnsSettings[{at}].servers"), "are 1 to 16");
    }
    if policy.stop_message.as_ref().is_some_and(|text| text.len() > MAX_MESSAGE) {
        faults.add("stopMessage", format!("has at most {MAX_MESSAGE} bytes"));
    }
}

/// A policy holds what its type says (S38).
fn contents(policy: &Policy, faults: &mut Faults) {
    use PolicyKind::{Access, Admin, Device, Dns, Mixed, Stop};
    if policy.kind == Device {
        faults
            .add("type", "Device is not supported: there are no device settings that it could give; use another type");
    }
    let present: [(&str, bool, &[PolicyKind]); 7] = [
        ("entitlements", !policy.entitlements.is_empty(), &[Access, Mixed]),
        ("entitlementLinks", !policy.entitlement_links.is_empty(), &[Access, Mixed]),
        ("overrideSite", policy.override_site.is_some(), &[Access, Mixed]),
        ("overrideSiteClaim", policy.override_site_claim.is_some(), &[Access, Mixed]),
        ("dnsSettings", !policy.dns_settings.is_empty(), &[Dns, Mixed]),
        ("administrativeRoles", !policy.administrative_roles.is_empty(), &[Admin, Mixed]),
        ("stopMessage", policy.stop_message.is_some(), &[Stop]),
    ];
    for (field, there, kinds) in present {
        if there && !kinds.contains(&policy.kind) {
            faults.add(field, format!("does not belong into a policy of type {:?}", policy.kind));
        }
    }
}
