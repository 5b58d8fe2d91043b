//! Objects that nothing uses, and links that lead to nothing.

use std::collections::BTreeSet;

use ringwall_protocol::policy::Policy;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

fn enabled<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a Policy> {
    view.state.policies().filter(|policy| !policy.disabled)
}

pub(super) fn unused_conditions(view: &View<'_>, found: &mut Found) {
    let used: BTreeSet<_> = view.state.entitlements().flat_map(|one| one.conditions.iter().copied()).collect();
    for condition in view.state.conditions().filter(|condition| !used.contains(&condition.base.id)) {
        found.add(Severity::Hint, "unused-condition", condition, "", "no entitlement uses it");
    }
}

pub(super) fn unused_entitlements(view: &View<'_>, found: &mut Found) {
    let unused =
        view.state.entitlements().filter(|one| !one.disabled && !enabled(view).any(|policy| policy.gives(one)));
    for entitlement in unused {
        let message = "no enabled policy gives it, by id or by tag: nobody has it";
        found.add(Severity::Warning, "unused-entitlement", entitlement, "", message);
    }
}

pub(super) fn unused_scripts(view: &View<'_>, found: &mut Found) {
    let called: BTreeSet<String> = view
        .state
        .policies()
        .filter_map(|policy| view.compile(&policy.expression))
        .flat_map(|it| it.functions())
        .collect();
    for script in view.state.criteria_scripts().filter(|script| !called.contains(&script.base.name)) {
        found.add(Severity::Hint, "unused-script", script, "", "no policy calls it");
    }
}

pub(super) fn unused_roles(view: &View<'_>, found: &mut Found) {
    let given: BTreeSet<_> = enabled(view).flat_map(|policy| policy.administrative_roles.iter().copied()).collect();
    for role in view.state.administrative_roles().filter(|role| !given.contains(&role.base.id)) {
        found.add(Severity::Hint, "unused-role", role, "", "no enabled policy gives it");
    }
}

/// Tags in policies that no entitlement carries.
pub(super) fn dangling_links(view: &View<'_>, found: &mut Found) {
    for policy in enabled(view) {
        for (at, tag) in policy.entitlement_links.iter().enumerate() {
            if !view.state.entitlements().any(|entitlement| entitlement.base.tags.contains(tag)) {
                let message = format!("no entitlement carries the tag {tag:?}");
                found.add(Severity::Warning, "dangling-link", policy, format!("entitlementLinks[{at}]"), message);
            }
        }
    }
}
