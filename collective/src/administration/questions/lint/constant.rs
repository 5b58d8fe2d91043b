//! Expressions whose result is known before anybody signs in, and claims that nobody has.

use std::collections::BTreeSet;

use ringwall_protocol::policy::PolicyKind;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};
use crate::administration::questions::claim_names::claim_names;

/// Policies that concern nobody or everybody whatever the claims are.
pub(super) fn constant_criteria(view: &View<'_>, found: &mut Found) {
    for policy in view.state.policies().filter(|policy| !policy.disabled) {
        let Some(expression) = view.compile(&policy.expression) else {
            let message = "its criteria no longer compile (a script was renamed or removed): it matches nobody";
            found.add(Severity::Error, "broken-criteria", policy, "expression", message);
            continue;
        };
        let (severity, message) = match (expression.constant(), policy.kind) {
            (Some(false), _) => (Severity::Error, "its criteria can never be true: it concerns nobody"),
            (Some(true), PolicyKind::Stop) => {
                (Severity::Error, "its criteria are always true: nobody gets anything while it is enabled")
            }
            (Some(true), PolicyKind::Admin) => {
                (Severity::Warning, "its criteria are always true: every user of an admin provider administers")
            }
            // `true` written out is how one says "everybody".
            (Some(true), _) if policy.expression.trim() != "true" => {
                (Severity::Hint, "its criteria are always true; write `true` if everybody is meant")
            }
            _ => continue,
        };
        found.add(severity, "constant-criteria", policy, "expression", message);
    }
}

/// Conditions that always or never hold.
pub(super) fn constant_conditions(view: &View<'_>, found: &mut Found) {
    for condition in view.state.conditions() {
        let Some(expression) = view.compile(&condition.expression) else { continue };
        let (severity, message) = match expression.constant() {
            Some(false) => (Severity::Error, "it can never hold: entitlements that need it never open"),
            Some(true) => (Severity::Hint, "it always holds: entitlements are the same without it"),
            None => continue,
        };
        found.add(severity, "constant-condition", condition, "expression", message);
    }
}

/// Criteria that name a user claim which no provider gives: they fail for everybody, or hold by accident.
pub(super) fn unknown_claims(view: &View<'_>, found: &mut Found) {
    let names = claim_names(view.state);
    let user: BTreeSet<&str> = names.user().collect();
    let unknown = |source: &str| -> Option<String> {
        let paths = view.compile(source)?.claim_paths();
        let mut named = paths.iter().filter_map(|path| path.strip_prefix("user."));
        named.find(|path| !user.contains(path.split('.').next().unwrap_or(path))).map(str::to_owned)
    };
    let message = |claim: &str| {
        format!(
            "no identity provider tells or maps a user claim {claim:?}, and no local user has such a label: check the name"
        )
    };
    for policy in view.state.policies().filter(|policy| !policy.disabled) {
        if let Some(claim) = unknown(&policy.expression) {
            found.add(Severity::Warning, "unknown-claim", policy, "expression", message(&claim));
        }
    }
    for condition in view.state.conditions() {
        if let Some(claim) = unknown(&condition.expression) {
            found.add(Severity::Warning, "unknown-claim", condition, "expression", message(&claim));
        }
    }
}
