//! Rules of identity providers and MFA providers.

use ringwall_protocol::form;
use ringwall_protocol::name::ProviderName;
use ringwall_protocol::object::identity_provider::{
    COMMANDS, DEVICE_LIMIT, DeviceTakeover, IdentityProviderKind, LOCKOUT_MINUTES, LOCKOUT_THRESHOLD, MAX_MAPPINGS,
    MAX_SCRIPTS, OnDemandClaim, PARAMETER, PASSWORD_LENGTH, PLATFORMS, SIGN_IN_MESSAGE, SignInMfa,
};
use ringwall_protocol::object::{IdentityProvider, MfaProvider, Object};
use ringwall_raft::State;

use super::{Faults, duplicates, provider};
use crate::identity::directory::scripts::compile;

/// Claims that only the provider's own proof makes.
const FIXED_CLAIMS: [&str; 2] = ["username", "identityProvider"];
pub(super) fn identity_provider(
    provider: &IdentityProvider,
    before: Option<&Object>,
    state: &State,
    faults: &mut Faults,
) {
    if let Err(error) = ProviderName::parse(provider.base.name.as_str()) {
        faults.add("name", error.to_string());
    }
    match provider.kind() {
        IdentityProviderKind::LocalDatabase => {
            let another = state.local_provider().is_some_and(|local| local.base.id != provider.base.id);
            faults.contradict_unless(!another, "type", "LocalDatabase is taken: local users have one provider");
        }
        _ => provider::identity(provider, faults),
    }
    if let Some(Object::IdentityProvider(before)) = before {
        faults.contradict_unless(before.kind() == provider.kind(), "type", "cannot change");
        let same = before.base.name == provider.base.name;
        faults.contradict_unless(same, "name", "cannot change: it is part of distinguished names");
    }
    for (field, pool, six) in [("ipPoolV4", provider.ip_pool_v4, false), ("ipPoolV6", provider.ip_pool_v6, true)] {
        let family = pool.and_then(|pool| state.ip_pool(pool)).map(|pool| pool.ip_version6);
        faults.contradict_unless(family.is_none_or(|family| family == six), field, "is a pool of the other family");
    }
    numbers(provider, faults);
    let local = provider.kind() == IdentityProviderKind::LocalDatabase;
    faults.contradict_unless(
        local || provider.min_password_length == 0,
        "minPasswordLength",
        "belongs to LocalDatabase: passwords of other providers are set elsewhere; leave it at 0",
    );
    if let Some(mfa) = &provider.on_boarding_2fa {
        sign_in_mfa(mfa, faults);
    }
    if provider.admin_provider && !provider.kind().takes_passwords() {
        faults.contradict(
            "adminProvider",
            "wants a provider with passwords: the admin API takes no browser and no certificate",
        );
    }
    if provider.device_takeover == DeviceTakeover::ReplaceWithMfa && provider.on_boarding_2fa.is_none() {
        faults.contradict("deviceTakeover", "replaceWithMfa wants onBoarding2FA");
    }
    mappings(provider, faults);
    scripts(provider, faults);
}

/// Scripts are few and short: all of them run at every sign-in.
fn scripts(provider: &IdentityProvider, faults: &mut Faults) {
    faults.unless(provider.claim_scripts.len() <= MAX_SCRIPTS, "claimScripts", "are at most 16");
    for (at, script) in provider.claim_scripts.iter().enumerate() {
        let field = format!("claimScripts[{at}]");
        faults.unless_fits(&script.claim_name, form::IDENTIFIER, &format!("{field}.claimName"));
        if FIXED_CLAIMS.contains(&script.claim_name.as_str()) {
            faults.contradict(format!("{field}.claimName"), "says who somebody is: no script makes it");
        }
        if let Err(error) = compile(&script.expression) {
            faults.add(format!("{field}.expression"), error);
        }
    }
    for at in duplicates(provider.claim_scripts.iter().map(|script| &script.claim_name)) {
        faults.contradict(format!("claimScripts[{at}].claimName"), "is used twice");
    }
}

fn numbers(provider: &IdentityProvider, faults: &mut Faults) {
    let limits = [
        ("deviceLimitPerUser", provider.device_limit_per_user, DEVICE_LIMIT),
        ("userLockoutThreshold", provider.user_lockout_threshold, LOCKOUT_THRESHOLD),
        ("userLockoutDurationMinutes", provider.user_lockout_duration_minutes, LOCKOUT_MINUTES),
        ("minPasswordLength", provider.min_password_length, PASSWORD_LENGTH),
    ];
    for (field, value, bounds) in limits {
        if !bounds.contains(&value) {
            faults.add(field, format!("lies between {} and {}", bounds.start(), bounds.end()));
        }
    }
}

fn sign_in_mfa(mfa: &SignInMfa, faults: &mut Faults) {
    faults.unless_fits(&mfa.claim_suffix, form::SUFFIX, "onBoarding2FA.claimSuffix");
    faults.unless_fits(&mfa.message, SIGN_IN_MESSAGE, "onBoarding2FA.message");
}

fn mappings(provider: &IdentityProvider, faults: &mut Faults) {
    faults.unless(provider.claim_mappings.len() <= MAX_MAPPINGS, "claimMappings", "are at most 256");
    for (at, mapping) in provider.claim_mappings.iter().enumerate() {
        faults.unless_fits(&mapping.attribute_name, form::OBJECT_NAME, &format!("claimMappings[{at}].attributeName"));
        faults.unless_fits(&mapping.claim_name, form::IDENTIFIER, &format!("claimMappings[{at}].claimName"));
    }
    for at in duplicates(provider.claim_mappings.iter().map(|mapping| &mapping.claim_name)) {
        faults.contradict(format!("claimMappings[{at}].claimName"), "is used twice");
    }
    faults.unless(provider.on_demand_claim_mappings.len() <= MAX_MAPPINGS, "onDemandClaimMappings", "are at most 256");
    for (at, claim) in provider.on_demand_claim_mappings.iter().enumerate() {
        on_demand(claim, &format!("onDemandClaimMappings[{at}]"), faults);
    }
}

fn on_demand(claim: &OnDemandClaim, field: &str, faults: &mut Faults) {
    faults.unless_fits(&claim.claim_name, form::IDENTIFIER, &format!("{field}.claimName"));
    if !PLATFORMS.contains(&claim.platform.as_str()) {
        faults.add(format!("{field}.platform"), format!("expected one of {}", PLATFORMS.join(", ")));
    }
    let Some((_, takes_path)) = COMMANDS.iter().find(|(command, _)| *command == claim.command) else {
        let known: Vec<_> = COMMANDS.iter().map(|(command, _)| *command).collect();
        return faults.add(format!("{field}.command"), format!("expected one of {}", known.join(", ")));
    };
    let parameters = (("path", &claim.parameters.path), ("name", &claim.parameters.name));
    let ((wanted, given), (other, unread)) = if *takes_path { parameters } else { (parameters.1, parameters.0) };
    let there = given.as_ref().is_some_and(|text| !text.is_empty());
    faults.contradict_unless(there, &format!("{field}.parameters.{wanted}"), PARAMETER.rule);
    for (name, text) in [(wanted, given), (other, unread)] {
        if let Some(text) = text {
            faults.unless_fits(text, PARAMETER, &format!("{field}.parameters.{name}"));
        }
    }
    let idle = unread.as_ref().is_none_or(String::is_empty);
    let message = "is not read by this command; leave it out";
    faults.contradict_unless(idle, &format!("{field}.parameters.{other}"), message);
}

pub(super) fn mfa_provider(provider: &MfaProvider, before: Option<&Object>, faults: &mut Faults) {
    provider::factor(provider, faults);
    if let Some(Object::MfaProvider(before)) = before {
        faults.contradict_unless(before.kind() == provider.kind(), "type", "cannot change");
    }
}
