//! Rules of identity providers and MFA providers.

use ringwall_protocol::name::ProviderName;
use ringwall_protocol::object::identity_provider::{DeviceTakeover, IdentityProviderKind, OnDemandClaim, SignInMfa};
use ringwall_protocol::object::{IdentityProvider, MfaProvider, Object};
use ringwall_raft::State;
use ringwall_trust::password::MAX_PASSWORD;

use super::{Faults, duplicates, provider, text};
use crate::identity::directory::scripts::compile;

/// Most mappings of one provider.
const MAX_MAPPINGS: usize = 256;
/// Most scripts of one provider.
const MAX_SCRIPTS: usize = 16;
/// Claims that only the provider's own proof makes.
const FIXED_CLAIMS: [&str; 2] = ["username", "identityProvider"];
/// Most devices that a limit can allow.
const MAX_DEVICES: u32 = 10_000;
/// Commands of Clients, and whether they take a path (otherwise a name).
const COMMANDS: [(&str, bool); 6] = [
    ("fileExists", true),
    ("fileSize", true),
    ("fileSha512", true),
    ("fileUpdated", true),
    ("processRunning", false),
    ("serviceRunning", false),
];
/// Platforms of on-demand claims.
const PLATFORMS: [&str; 8] = [
    "all",
    "desktop.all",
    "desktop.linux.all",
    "desktop.macos.all",
    "desktop.windows.all",
    "mobile.all",
    "mobile.android.all",
    "mobile.ios.all",
];

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
            faults.unless(!another, "type", "LocalDatabase is taken: local users have one provider");
        }
        _ => provider::identity(provider, faults),
    }
    if let Some(Object::IdentityProvider(before)) = before {
        faults.unless(before.kind() == provider.kind(), "type", "cannot change");
        let same = before.base.name == provider.base.name;
        faults.unless(same, "name", "cannot change: it is part of distinguished names");
    }
    for (field, pool, six) in [("ipPoolV4", provider.ip_pool_v4, false), ("ipPoolV6", provider.ip_pool_v6, true)] {
        let family = pool.and_then(|pool| state.ip_pool(pool)).map(|pool| pool.ip_version6);
        faults.unless(family.is_none_or(|family| family == six), field, "is a pool of the other family");
    }
    numbers(provider, faults);
    let local = provider.kind() == IdentityProviderKind::LocalDatabase;
    faults.unless(
        local || provider.min_password_length == 0,
        "minPasswordLength",
        "belongs to LocalDatabase: passwords of other providers are set elsewhere; leave it at 0",
    );
    if let Some(mfa) = &provider.on_boarding_2fa {
        sign_in_mfa(mfa, faults);
    }
    if provider.admin_provider && !provider.kind().takes_passwords() {
        faults
            .add("adminProvider", "wants a provider with passwords: the admin API takes no browser and no certificate");
    }
    if provider.device_takeover == DeviceTakeover::ReplaceWithMfa && provider.on_boarding_2fa.is_none() {
        faults.add("deviceTakeover", "replaceWithMfa wants onBoarding2FA");
    }
    mappings(provider, faults);
    scripts(provider, faults);
}

/// Scripts are few and short: all of them run at every sign-in.
fn scripts(provider: &IdentityProvider, faults: &mut Faults) {
    faults.unless(provider.claim_scripts.len() <= MAX_SCRIPTS, "claimScripts", "are at most 16");
    for (at, script) in provider.claim_scripts.iter().enumerate() {
        let field = format!("claimScripts[{at}]");
        let claim = text::is_identifier(&script.claim_name);
        faults.unless(claim, &format!("{field}.claimName"), "has letters, digits and '_', no digit first");
        if FIXED_CLAIMS.contains(&script.claim_name.as_str()) {
            faults.add(format!("{field}.claimName"), "says who somebody is: no script makes it");
        }
        if let Err(error) = compile(&script.expression) {
            faults.add(format!("{field}.expression"), error);
        }
    }
    for at in duplicates(provider.claim_scripts.iter().map(|script| &script.claim_name)) {
        faults.add(format!("claimScripts[{at}].claimName"), "is used twice");
    }
}

fn numbers(provider: &IdentityProvider, faults: &mut Faults) {
    let limits = [
        ("deviceLimitPerUser", provider.device_limit_per_user, 0, MAX_DEVICES),
        ("userLockoutThreshold", provider.user_lockout_threshold, 1, 100),
        ("userLockoutDurationMinutes", provider.user_lockout_duration_minutes, 1, 60),
        ("minPasswordLength", provider.min_password_length, 0, MAX_PASSWORD as u32),
    ];
    for (field, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            faults.add(field, format!("lies between {least} and {most}"));
        }
    }
}

fn sign_in_mfa(mfa: &SignInMfa, faults: &mut Faults) {
    let suffix = text::is_suffix(&mfa.claim_suffix);
    faults.unless(suffix, "onBoarding2FA.claimSuffix", "has 1 to 64 letters, digits, '-', '_', '.'");
    let readable = mfa.message.len() <= ringwall_protocol::interaction::MAX_MESSAGE;
    faults.unless(readable, "onBoarding2FA.message", "has at most 2048 bytes");
}

fn mappings(provider: &IdentityProvider, faults: &mut Faults) {
    faults.unless(provider.claim_mappings.len() <= MAX_MAPPINGS, "claimMappings", "are at most 256");
    for (at, mapping) in provider.claim_mappings.iter().enumerate() {
        let attribute = !mapping.attribute_name.trim().is_empty() && text::is_line(&mapping.attribute_name, 256);
        faults.unless(attribute, &format!("claimMappings[{at}].attributeName"), "has 1 to 256 bytes");
        let claim = text::is_identifier(&mapping.claim_name);
        faults.unless(claim, &format!("claimMappings[{at}].claimName"), "has letters, digits and '_', no digit first");
    }
    for at in duplicates(provider.claim_mappings.iter().map(|mapping| &mapping.claim_name)) {
        faults.add(format!("claimMappings[{at}].claimName"), "is used twice");
    }
    faults.unless(provider.on_demand_claim_mappings.len() <= MAX_MAPPINGS, "onDemandClaimMappings", "are at most 256");
    for (at, claim) in provider.on_demand_claim_mappings.iter().enumerate() {
        on_demand(claim, &format!("onDemandClaimMappings[{at}]"), faults);
    }
}

fn on_demand(claim: &OnDemandClaim, field: &str, faults: &mut Faults) {
    let name = text::is_identifier(&claim.claim_name);
    faults.unless(name, &format!("{field}.claimName"), "has letters, digits and '_', no digit first");
    if !PLATFORMS.contains(&claim.platform.as_str()) {
        faults.add(format!("{field}.platform"), format!("expected one of {}", PLATFORMS.join(", ")));
    }
    let Some((_, takes_path)) = COMMANDS.iter().find(|(command, _)| *command == claim.command) else {
        let known: Vec<_> = COMMANDS.iter().map(|(command, _)| *command).collect();
        return faults.add(format!("{field}.command"), format!("expected one of {}", known.join(", ")));
    };
    let parameters = (("path", &claim.parameters.path), ("name", &claim.parameters.name));
    let ((wanted, given), (other, unread)) = if *takes_path { parameters } else { (parameters.1, parameters.0) };
    let good = given.as_ref().is_some_and(|text| !text.is_empty() && text::is_line(text, 1_024));
    faults.unless(good, &format!("{field}.parameters.{wanted}"), "is wanted for this command, at most 1024 bytes");
    let idle = unread.as_ref().is_none_or(String::is_empty);
    faults.unless(idle, &format!("{field}.parameters.{other}"), "is not read by this command; leave it out");
}

pub(super) fn mfa_provider(provider: &MfaProvider, before: Option<&Object>, faults: &mut Faults) {
    provider::factor(provider, faults);
    if let Some(Object::MfaProvider(before)) = before {
        faults.unless(before.kind() == provider.kind(), "type", "cannot change");
    }
}
