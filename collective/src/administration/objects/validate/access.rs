//! Rules of entitlements, conditions, criteria scripts and policies.

use std::collections::BTreeSet;

use ringwall_protocol::entitlement::{
    Action, ActionKind, Entitlement, Host, Logic, MAX_ACTIONS, MAX_CONDITIONS, MAX_NAMES, ParsedAction, doubt,
};
use ringwall_protocol::expression::{Expression, FUNCTIONS, Scripts};
use ringwall_protocol::form;
use ringwall_protocol::id::ProviderId;
use ringwall_protocol::interaction::{Interaction, InteractionKind, MESSAGE};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::policy::{
    Condition, CriteriaScript, DNS_SERVERS, MAX_INTERACTIONS, MAX_OF_A_POLICY, MAX_SCHEDULES, Policy, PolicyKind,
    SCHEDULE, SITE_CLAIM, STOP_MESSAGE,
};
use ringwall_protocol::rules::compile::{ResolvedNames, compile};
use ringwall_raft::State;

use super::{Faults, duplicates};

pub(super) fn entitlement(entitlement: &Entitlement, faults: &mut Faults) {
    if entitlement.conditions.is_empty() && entitlement.condition_logic == Logic::Or {
        faults.contradict("conditions", "must not be empty with conditionLogic or: nothing could ever pass");
    }
    if entitlement.conditions.len() > MAX_CONDITIONS {
        faults.add("conditions", format!("are at most {MAX_CONDITIONS}"));
    }
    for at in duplicates(&entitlement.conditions) {
        faults.contradict(format!("conditions[{at}]"), "is listed twice");
    }
    if entitlement.actions.is_empty() || entitlement.actions.len() > MAX_ACTIONS {
        faults.add("actions", format!("are 1 to {MAX_ACTIONS}"));
    }
    actions(&entitlement.actions, faults);
    for (at, shortcut) in entitlement.app_shortcuts.iter().enumerate() {
        let field = |name: &str| format!("appShortcuts[{at}].{name}");
        faults.unless_fits(&shortcut.name, form::OBJECT_NAME, &field("name"));
        faults.unless_fits(&shortcut.url, form::LINK, &field("url"));
    }
}

fn actions(actions: &[Action], faults: &mut Faults) {
    let mut parsed = Vec::new();
    let mut all = true;
    for (at, action) in actions.iter().enumerate().take(MAX_ACTIONS) {
        if doubts_hosts(action, at, faults) {
            all = false;
            continue;
        }
        match action.parse() {
            Ok(one) => {
                names(&one, at, faults);
                parsed.push(one);
            }
            Err(error) => {
                all = false;
                let field = format!("actions[{at}].{}", error.field);
                if error.contradiction {
                    faults.contradict(field, error.message);
                } else {
                    faults.add(field, error.message);
                }
            }
        }
    }
    let named: BTreeSet<&Host> = parsed.iter().flat_map(|one| &one.hosts).filter(|host| host.is_named()).collect();
    if named.len() > MAX_NAMES {
        faults.contradict("actions", format!("name at most {MAX_NAMES} hosts; use domains or prefixes"));
    }
    if all && compile(&parsed, &ResolvedNames::default()).is_err() {
        faults.contradict("actions", "come to more rules than one rule set may have");
    }
}

/// Names the hosts that would be enforced otherwise than they were probably meant; whether there are any.
fn doubts_hosts(action: &Action, at: usize, faults: &mut Faults) -> bool {
    let doubtful = action.hosts.iter().enumerate().filter_map(|(nth, host)| Some((nth, doubt(host)?)));
    let doubtful: Vec<_> = doubtful.collect();
    let any = !doubtful.is_empty();
    for (nth, why) in doubtful {
        faults.contradict(format!("actions[{at}].hosts[{nth}]"), why);
    }
    any
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
    faults.contradict(format!("actions[{at}].hosts"), format!("{why}; use addresses or prefixes"));
}

pub(super) fn condition(condition: &Condition, state: &State, faults: &mut Faults) {
    if let Err(error) = Expression::compile(&condition.expression) {
        faults.add("expression", error.to_string());
    }
    if condition.repeat_schedules.len() > MAX_SCHEDULES {
        faults.add("repeatSchedules", format!("are at most {MAX_SCHEDULES}"));
    }
    for (at, schedule) in condition.repeat_schedules.iter().enumerate() {
        faults.unless_fits(schedule, SCHEDULE, &format!("repeatSchedules[{at}]"));
    }
    if condition.remedy_methods.len() > MAX_INTERACTIONS {
        faults.add("remedyMethods", format!("are at most {MAX_INTERACTIONS}"));
    }
    for (at, method) in condition.remedy_methods.iter().enumerate() {
        interaction(method, &format!("remedyMethods[{at}]"), state, faults);
    }
}

fn interaction(method: &Interaction, field: &str, state: &State, faults: &mut Faults) {
    faults.unless_fits(&method.message, MESSAGE, &format!("{field}.message"));
    let suffix = format!("{field}.claimSuffix");
    match (&method.claim_suffix, method.kind) {
        (Some(_), InteractionKind::DisplayMessage) => {
            faults.contradict(suffix, "does not belong to a message: nothing is answered")
        }
        (None, InteractionKind::DisplayMessage) => {}
        (None, kind) => faults.contradict(suffix, format!("is wanted for {kind:?}: the answer is found under it")),
        (Some(text), _) => faults.unless_fits(text, form::SUFFIX, &suffix),
    }
    if method.blocking && method.kind != InteractionKind::DisplayMessage {
        faults.contradict(format!("{field}.blocking"), "belongs to DisplayMessage");
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
                faults.contradict(field, "is an identity provider of a kind that proves nobody again");
            }
        }
        InteractionKind::DisplayMessage | InteractionKind::Reason => {
            faults.contradict(field, format!("does not belong to {:?}", method.kind));
        }
    }
}

pub(super) fn script(script: &CriteriaScript, faults: &mut Faults) {
    let name = script.base.name.as_str();
    if !form::IDENTIFIER.fits(name) {
        faults.add("name", "has letters, digits and '_', no digit first: policies call it as a function");
    } else if FUNCTIONS.contains(&name) || Expression::compile(&format!("{name}()")).is_ok() {
        faults.contradict("name", "is the name of a function that exists already");
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
        faults.contradict(format!("entitlements[{at}]"), "is listed twice");
    }
    for at in duplicates(&policy.administrative_roles) {
        faults.contradict(format!("administrativeRoles[{at}]"), "is listed twice");
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
        faults.unless_fits(link, form::TAG, &format!("entitlementLinks[{at}]"));
    }
    if policy.override_site.is_some() && policy.override_site_claim.is_some() {
        faults.contradict("overrideSiteClaim", "cannot stand beside overrideSite");
    }
    if let Some(path) = &policy.override_site_claim {
        faults.unless_fits(path, SITE_CLAIM, "overrideSiteClaim");
    }
    for (at, setting) in policy.dns_settings.iter().enumerate() {
        faults.unless_fits(&setting.domain, form::DOMAIN, &format!("dnsSettings[{at}].domain"));
        let servers = DNS_SERVERS.contains(&setting.servers.len());
        faults.unless(servers, &format!("dnsSettings[{at}].servers"), "are 1 to 16");
    }
    if let Some(message) = &policy.stop_message {
        faults.unless_fits(message, STOP_MESSAGE, "stopMessage");
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
            faults.contradict(field, format!("does not belong into a policy of type {:?}", policy.kind));
        }
    }
}
