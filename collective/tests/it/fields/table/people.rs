//! Local users, administrative roles, client profiles.

use serde_json::{Value, json};

use super::{Entry, base, name, refused, seen, tested};
use crate::fields::look::Look::{Clerk, Link, Tokens};
use crate::fields::merged;

pub(in crate::fields) fn entries() -> Vec<Entry> {
    [users(), roles(), profiles()].concat()
}

fn users() -> Vec<Entry> {
    let at = "alice";
    let stays = refused("LocalUser.name", "alice", "name", json!({"name": "sought"}));
    let mut entries = base!("LocalUser", "alice", stays).to_vec();
    entries.extend([
        seen("LocalUser.firstName", at, Tokens, json!({"firstName": "Alicia"})),
        seen("LocalUser.lastName", at, Tokens, json!({"lastName": "Archer"})),
        seen("LocalUser.email", at, Tokens, json!({"email": "alice@corp.example"})),
        seen("LocalUser.phone", at, Tokens, json!({"phone": "+49 30 1234"})),
        seen("LocalUser.disabled", at, Tokens, json!({"disabled": true})),
        seen("LocalUser.labels", at, Tokens, json!({"labels": {"team": "sales"}})),
        seen("LocalUser.password", at, Tokens, json!({"password": "another wall with 1 door"})),
    ]);
    entries
}

/// The role's second privilege with some field changed; the first is for everything that is a condition.
fn privilege(change: Value) -> Value {
    let all =
        json!({"type": "All", "target": "Condition", "scope": {"all": true, "ids": [], "tags": []}, "defaultTags": []});
    let create = json!({"type": "Create", "target": "Condition", "scope": {"all": true, "ids": [], "tags": []},
        "defaultTags": ["made"]});
    json!({"privileges": [all, merged(&create, &change)]})
}

/// A role with one privilege.
fn only(scope: Value) -> Value {
    json!({"privileges": [{"type": "View", "target": "Site", "scope": scope, "defaultTags": []}]})
}

fn roles() -> Vec<Entry> {
    let at = "role";
    let nothing = || only(json!({"all": false, "ids": [{"$id": "other site"}], "tags": ["nowhere"]}));
    let mut entries = base!("AdministrativeRole", "role", name("AdministrativeRole.name", "role")).to_vec();
    entries.extend([
        seen(
            "AdministrativeRole.privileges[].type",
            at,
            Clerk,
            json!({"privileges": [{"type": "View", "target": "Condition",
            "scope": {"all": true, "ids": [], "tags": []}, "defaultTags": []}]}),
        ),
        seen(
            "AdministrativeRole.privileges[].target",
            at,
            Clerk,
            json!({"privileges": [{"type": "All", "target": "Site",
            "scope": {"all": true, "ids": [], "tags": []}, "defaultTags": []}]}),
        ),
        seen(
            "AdministrativeRole.privileges[].scope.all",
            at,
            Clerk,
            only(json!({"all": true, "ids": [{"$id": "other site"}],
            "tags": ["nowhere"]})),
        )
        .given(at, nothing()),
        seen(
            "AdministrativeRole.privileges[].scope.ids[]",
            at,
            Clerk,
            only(json!({"all": false, "ids": [{"$id": "site"}],
            "tags": ["nowhere"]})),
        )
        .given(at, nothing()),
        seen(
            "AdministrativeRole.privileges[].scope.tags[]",
            at,
            Clerk,
            only(json!({"all": false,
            "ids": [{"$id": "other site"}], "tags": ["here"]})),
        )
        .given(at, nothing())
        .given("site", json!({"tags": ["here"]})),
        seen(
            "AdministrativeRole.privileges[].defaultTags[]",
            at,
            Clerk,
            privilege(json!({"defaultTags": ["by the clerk"]})),
        ),
    ]);
    entries
}

fn profiles() -> Vec<Entry> {
    let at = "profile";
    let knocks = || json!({"spaMode": "TCP"});
    let mut entries = base!("ClientProfile", "profile", name("ClientProfile.name", "profile")).to_vec();
    entries.extend([
        seen("ClientProfile.spaKeyName", at, Link, json!({"spaKeyName": "another key"})).given("settings", knocks()),
        seen("ClientProfile.identityProvider", at, Link, json!({"identityProvider": {"$id": "ldap"}})),
        seen("ClientProfile.hostname", at, Link, json!({"hostname": "sdp.example:443"})),
        seen("ClientProfile.furtherHostnames[]", at, Link, json!({"furtherHostnames": ["far.example:443"]})),
        tested("ClientProfile.enrolment", "closed_enrolment_locks_newcomers_out_and_registered_devices_stay"),
        tested("ClientProfile.formerKeyHours", "a_rotated_key_ends_at_once_or_after_its_time"),
        // It only grows, also by changes of the name before: what is changed stays changed.
        seen("ClientProfile.keyGeneration", at, Link, json!({"keyGeneration": 9}))
            .given("settings", knocks())
            .for_good(),
    ]);
    entries
}
