//! Names of claims that expressions can use (`GET /claims/names`).

use std::collections::BTreeMap;

use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_raft::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::identity::directory::ldap;

/// Attributes that every local user has.
const USER: &[(&str, &str)] = &[
    ("username", "string"),
    ("firstName", "string"),
    ("lastName", "string"),
    ("email", "string"),
    ("phone", "string"),
    ("identityProvider", "string"),
    ("tags", "list"),
    ("labels", "dictionary"),
];
/// What Clients say of themselves.
const DEVICE: &[(&str, &str)] =
    &[("hostname", "string"), ("os", "dictionary"), ("clientVersion", "string"), ("addresses", "list")];
/// What Controllers and Gateways observe, and whether policies see it: those are decided before a Gateway is chosen.
const SYSTEM: &[(&str, &str, bool)] = &[
    ("deviceId", "string", true),
    ("distinguishedName", "string", true),
    ("signInTime", "number", true),
    ("clientSrcIP", "string", true),
    ("tunIPv4", "string", true),
    ("tunIPv6", "string", true),
    ("connectTime", "date", false),
    ("gatewayId", "string", false),
    ("siteId", "string", false),
];

/// Type of a claim that a script computes: what it is depends on the user.
const COMPUTED: &str = "string";

/// All names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimNames {
    user: Vec<ClaimName>,
    device: Vec<ClaimName>,
    system: Vec<ClaimName>,
    on_demand: Vec<ClaimName>,
}

impl ClaimNames {
    /// Names of user claims.
    pub(crate) fn user(&self) -> impl Iterator<Item = &str> {
        self.user.iter().map(|name| name.claim_name.as_str())
    }
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimName {
    claim_name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    available_for_policy: bool,
}

/// The names that exist in a state: fixed ones, users' labels, and what identity providers tell, map and compute.
#[must_use]
pub(crate) fn claim_names(state: &State) -> ClaimNames {
    let mut user: BTreeMap<String, &'static str> =
        USER.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    for label in state.local_users().flat_map(|user| user.labels.keys()) {
        user.entry(label.clone()).or_insert("string");
    }
    let mut on_demand = BTreeMap::new();
    for provider in state.identity_providers() {
        if matches!(provider.settings, ProviderSettings::Ldap(_) | ProviderSettings::LdapCertificate(_)) {
            user.extend(ldap::CLAIMS.map(|(name, _)| (name.to_owned(), "list")));
        }
        for mapping in &provider.claim_mappings {
            user.insert(mapping.claim_name.clone(), if mapping.list { "list" } else { "string" });
        }
        for script in &provider.claim_scripts {
            user.entry(script.claim_name.clone()).or_insert(COMPUTED);
        }
        for claim in &provider.on_demand_claim_mappings {
            on_demand.insert(claim.claim_name.clone(), kind_of(&claim.command));
        }
    }
    ClaimNames {
        user: named(user),
        device: DEVICE.iter().map(|(name, kind)| claim_name((*name).to_owned(), kind, true)).collect(),
        system: SYSTEM.iter().map(|(name, kind, early)| claim_name((*name).to_owned(), kind, *early)).collect(),
        on_demand: named(on_demand),
    }
}

/// Type of the answer to an on-demand command.
fn kind_of(command: &str) -> &'static str {
    match command {
        "fileSize" => "number",
        "fileSha512" => "string",
        "fileUpdated" => "date",
        _ => "boolean",
    }
}

fn named(names: BTreeMap<String, &'static str>) -> Vec<ClaimName> {
    names.into_iter().map(|(name, kind)| claim_name(name, kind, true)).collect()
}

const fn claim_name(claim_name: String, kind: &'static str, available_for_policy: bool) -> ClaimName {
    ClaimName { claim_name, kind, available_for_policy }
}
