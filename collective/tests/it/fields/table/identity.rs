//! What identity providers of all types have, and the two kinds of providers without settings of their own.

use serde_json::{Value, json};

use super::{Entry, base, name, refused, seen, tested};
use crate::fields::look::Look::{ShortPassword, SignIn, Tokens};
use crate::fields::merged;

pub(in crate::fields) fn entries() -> Vec<Entry> {
    let at = "provider";
    let stays = refused("IdentityProvider.name", "provider", "name", json!({"name": "sought"}));
    let mut entries = base!("IdentityProvider", "provider", stays).to_vec();
    entries.extend([
        refused("IdentityProvider.type", at, "type", json!({"type": "Saml"})),
        seen("IdentityProvider.ipPoolV4", at, Tokens, json!({"ipPoolV4": null})),
        seen("IdentityProvider.ipPoolV6", at, Tokens, json!({"ipPoolV6": null})),
        tested("IdentityProvider.deviceLimitPerUser", "a_user_registers_no_more_devices_than_the_provider_permits"),
        factor("IdentityProvider.onBoarding2FA.mfaProviderId", json!({"mfaProviderId": {"$id": "factor"}})),
        factor("IdentityProvider.onBoarding2FA.message", json!({"message": "The code on your paper."})),
        factor("IdentityProvider.onBoarding2FA.claimSuffix", json!({"claimSuffix": "first"})),
        factor("IdentityProvider.onBoarding2FA.alwaysRequired", json!({"alwaysRequired": true})),
        tested("IdentityProvider.adminProvider", "a_small_role_cannot_lock_the_last_administrator_out"),
        refused("IdentityProvider.adminProvider", "cards", "adminProvider", json!({"adminProvider": true})),
        tested(
            "IdentityProvider.userLockoutThreshold",
            "the_threshold_of_the_provider_decides_when_a_lock_out_is_proposed",
        ),
        tested("IdentityProvider.userLockoutDurationMinutes", "lock_outs_double_up_to_an_hour_and_are_forgiven"),
        seen("IdentityProvider.minPasswordLength", at, ShortPassword, json!({"minPasswordLength": 12})),
        refused("IdentityProvider.minPasswordLength", "radius", "minPasswordLength", json!({"minPasswordLength": 12})),
        mapping("IdentityProvider.claimMappings[].attributeName", json!({"attributeName": "username"})),
        mapping("IdentityProvider.claimMappings[].claimName", json!({"claimName": "called"})),
        mapping("IdentityProvider.claimMappings[].list", json!({"list": true})),
        script("IdentityProvider.claimScripts[].claimName", json!({"claimName": "junior"})),
        script("IdentityProvider.claimScripts[].expression", json!({"expression": "user.username == \"alice\""})),
        asked("IdentityProvider.onDemandClaimMappings[].command", json!({"command": "fileSize"})),
        asked("IdentityProvider.onDemandClaimMappings[].claimName", json!({"claimName": "guard"})),
        asked("IdentityProvider.onDemandClaimMappings[].platform", json!({"platform": "all"})),
        asked(
            "IdentityProvider.onDemandClaimMappings[].parameters.path",
            json!({"parameters": {"path": "/etc/guard"}}),
        ),
        seen("IdentityProvider.onDemandClaimMappings[].parameters.name", at, SignIn, running("guard"))
            .given(at, running("agent")),
        refused(
            "IdentityProvider.onDemandClaimMappings[].parameters.name",
            at,
            "onDemandClaimMappings[0].parameters.name",
            on_demand(json!({"parameters": {"path": "/etc/agent", "name": "agent"}})),
        ),
        tested(
            "IdentityProvider.deviceTakeover",
            "with_takeover_another_factor_replaces_the_device_and_cuts_the_old_one",
        ),
        refused("IdentityProvider.deviceTakeover", at, "deviceTakeover", json!({"deviceTakeover": "replaceWithMfa"})),
    ]);
    entries.extend(base!("MfaProvider", "codes", name("MfaProvider.name", "codes")));
    entries.push(refused("MfaProvider.type", "codes", "type", json!({"type": "Fido2"})));
    entries
}

/// A factor at the first sign-in, with one field changed.
fn factor(field: &'static str, change: Value) -> Entry {
    let base = json!({"mfaProviderId": {"$id": "codes"}, "message": "A code, please.", "claimSuffix": "onBoarding",
        "alwaysRequired": false});
    let changed = merged(&base, &change);
    seen(field, "provider", SignIn, json!({"onBoarding2FA": changed})).given("provider", json!({"onBoarding2FA": base}))
}

fn mapping(field: &'static str, change: Value) -> Entry {
    let base = json!({"attributeName": "firstName", "claimName": "first", "list": false});
    let of = |one: &Value| json!({"claimMappings": [one]});
    seen(field, "provider", Tokens, of(&merged(&base, &change))).given("provider", of(&base))
}

fn script(field: &'static str, change: Value) -> Entry {
    let base = json!({"claimName": "senior", "expression": "user.username == \"bob\""});
    let of = |one: &Value| json!({"claimScripts": [one]});
    seen(field, "provider", Tokens, of(&merged(&base, &change))).given("provider", of(&base))
}

fn on_demand(change: Value) -> Value {
    let base = json!({"command": "fileExists", "claimName": "agent", "platform": "desktop.linux.all",
        "parameters": {"path": "/etc/agent", "name": null}});
    json!({"onDemandClaimMappings": [merged(&base, &change)]})
}

fn asked(field: &'static str, change: Value) -> Entry {
    seen(field, "provider", SignIn, on_demand(change)).given("provider", on_demand(json!({})))
}

fn running(name: &str) -> Value {
    on_demand(json!({"command": "processRunning", "parameters": {"path": null, "name": name}}))
}
