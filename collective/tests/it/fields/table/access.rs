//! Entitlements, conditions, criteria scripts, policies.

use serde_json::{Value, json};

use super::{Entry, base, name, refused, seen};
use crate::fields::look::Look::{Clerk, Tokens};
use crate::fields::merged;

pub(in crate::fields) fn entries() -> Vec<Entry> {
    [entitlements(), conditions(), scripts(), policies()].concat()
}

/// The entitlement's actions with one field of one of them changed.
fn action(at: usize, change: Value) -> Value {
    let mut actions = [
        json!({"subtype": "tcp_up", "action": "allow", "hosts": ["10.20.0.10"], "ports": ["80"]}),
        json!({"subtype": "icmp_up", "action": "allow", "hosts": ["10.20.0.10"], "types": ["8"]}),
    ];
    actions[at] = merged(&actions[at], &change);
    json!({"actions": actions})
}

fn shortcut(change: Value) -> Value {
    let base = json!({"name": "Web", "url": "https://web.corp.example/", "description": "The web"});
    json!({"appShortcuts": [merged(&base, &change)]})
}

fn entitlements() -> Vec<Entry> {
    let at = "entitlement";
    let both = json!({"conditions": [{"$id": "condition"}, {"$id": "other condition"}]});
    let mut entries = base!("Entitlement", "entitlement", name("Entitlement.name", "entitlement")).to_vec();
    entries.extend([
        seen("Entitlement.disabled", at, Tokens, json!({"disabled": true})),
        seen("Entitlement.site", at, Tokens, json!({"site": {"$id": "other site"}})),
        seen("Entitlement.conditionLogic", at, Tokens, json!({"conditionLogic": "or"})).given(at, both.clone()),
        seen("Entitlement.conditions[]", at, Tokens, both),
        seen("Entitlement.actions[].subtype", at, Tokens, action(0, json!({"subtype": "udp_up"}))),
        seen("Entitlement.actions[].action", at, Tokens, action(0, json!({"action": "block"}))),
        seen("Entitlement.actions[].hosts[]", at, Tokens, action(0, json!({"hosts": ["10.20.0.99"]}))),
        seen("Entitlement.actions[].ports[]", at, Tokens, action(0, json!({"ports": ["8080"]}))),
        seen("Entitlement.actions[].types[]", at, Tokens, action(1, json!({"types": ["0-8"]}))),
        seen("Entitlement.appShortcuts[].name", at, Tokens, shortcut(json!({"name": "Page"}))),
        seen("Entitlement.appShortcuts[].url", at, Tokens, shortcut(json!({"url": "https://page.corp.example/"}))),
        seen("Entitlement.appShortcuts[].description", at, Tokens, shortcut(json!({"description": "A page"}))),
    ]);
    entries
}

/// The condition's interactions with one field of one of them changed.
fn method(at: usize, change: Value) -> Value {
    let mut methods = [
        json!({"type": "OtpAuthentication", "message": "A code, please.", "claimSuffix": "why", "providerId": {"$id": "codes"}}),
        json!({"type": "DisplayMessage", "message": "Look here.", "blocking": true}),
    ];
    methods[at] = merged(&methods[at], &change);
    for method in &mut methods {
        method.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    }
    json!({"remedyMethods": methods})
}

fn conditions() -> Vec<Entry> {
    let at = "condition";
    let reason = json!({"type": "Reason", "providerId": null});
    let mut entries = base!("Condition", "condition", name("Condition.name", "condition")).to_vec();
    entries.extend([
        seen("Condition.expression", at, Tokens, json!({"expression": "hasMfa(\"why\", 10)"})),
        seen("Condition.repeatSchedules[]", at, Tokens, json!({"repeatSchedules": ["1h"]})),
        seen("Condition.remedyLogic", at, Tokens, json!({"remedyLogic": "or"})),
        seen("Condition.remedyMethods[].type", at, Tokens, method(0, reason)),
        seen("Condition.remedyMethods[].message", at, Tokens, method(0, json!({"message": "Your code."}))),
        seen("Condition.remedyMethods[].claimSuffix", at, Tokens, method(0, json!({"claimSuffix": "because"}))),
        seen("Condition.remedyMethods[].providerId", at, Tokens, method(0, json!({"providerId": {"$id": "factor"}}))),
        seen("Condition.remedyMethods[].blocking", at, Tokens, method(1, json!({"blocking": false}))),
        refused(
            "Condition.remedyMethods[].claimSuffix",
            at,
            "remedyMethods[1].claimSuffix",
            method(1, json!({"claimSuffix": "x"})),
        ),
        refused(
            "Condition.remedyMethods[].providerId",
            at,
            "remedyMethods[1].providerId",
            method(1, json!({"providerId": {"$id": "codes"}})),
        ),
    ]);
    entries
}

fn scripts() -> Vec<Entry> {
    let mut entries = base!("CriteriaScript", "idle script", name("CriteriaScript.name", "idle script")).to_vec();
    entries.push(seen(
        "CriteriaScript.expression",
        "script",
        Tokens,
        json!({"expression": "user.username == \"bob\""}),
    ));
    entries
}

fn policies() -> Vec<Entry> {
    let at = "policy";
    let setting = |domain: &str, server: &str| json!({"dnsSettings": [{"domain": domain, "servers": [server]}]});
    let mut entries = base!("Policy", "policy", name("Policy.name", "policy")).to_vec();
    entries.extend([
        seen("Policy.disabled", at, Tokens, json!({"disabled": true})),
        seen("Policy.expression", at, Tokens, json!({"expression": "user.username == \"bob\""})),
        seen("Policy.type", at, Tokens, json!({"type": "Stop"}))
            .given(at, json!({"entitlements": [], "dnsSettings": []})),
        refused("Policy.type", at, "type", json!({"type": "Device"}))
            .given(at, json!({"entitlements": [], "dnsSettings": []})),
        seen("Policy.entitlements[]", at, Tokens, json!({"entitlements": [{"$id": "entitlement"}, {"$id": "more"}]})),
        seen("Policy.entitlementLinks[]", at, Tokens, json!({"entitlementLinks": ["more"]})),
        seen("Policy.overrideSite", at, Tokens, json!({"overrideSite": {"$id": "other site"}})),
        seen("Policy.overrideSiteClaim", at, Tokens, json!({"overrideSiteClaim": "claims.user.office"}))
            .given("alice", json!({"labels": {"office": {"$id": "other site"}}})),
        seen("Policy.dnsSettings[].domain", at, Tokens, setting("lab.example", "10.20.0.53")),
        seen("Policy.dnsSettings[].servers[]", at, Tokens, setting("corp.example", "10.20.0.54")),
        seen("Policy.administrativeRoles[]", "clerks", Clerk, json!({"administrativeRoles": [{"$id": "other role"}]})),
        seen("Policy.stopMessage", "stop", Tokens, json!({"stopMessage": "Not on Sundays."}))
            .given("stop", json!({"disabled": false})),
        refused("Policy.stopMessage", at, "stopMessage", json!({"stopMessage": "No."})),
    ]);
    entries
}
