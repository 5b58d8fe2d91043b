//! Objects that lead nowhere: Sites without Gateways, policies without content.

use std::collections::BTreeSet;

use ringwall_protocol::id::SiteId;
use ringwall_protocol::policy::PolicyKind;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

/// Entitlements behind a Site that nobody guards: Clients find no Gateway.
pub(super) fn sites_without_gateways(view: &View<'_>, found: &mut Found) {
    let joined: BTreeSet<SiteId> = view.state.living_gateways().map(|gateway| gateway.site).collect();
    let awaited = view.state.appliances().filter(|appliance| appliance.gateway.enabled);
    let awaited: BTreeSet<SiteId> = awaited.filter_map(|appliance| appliance.site).collect();
    for entitlement in view.state.entitlements().filter(|one| !one.disabled && !joined.contains(&one.site)) {
        let site = view.state.site(entitlement.site).map_or("", |site| &site.base.name);
        let message = if awaited.contains(&entitlement.site) {
            format!("no Gateway of the Site {site:?} has joined yet: nobody reaches this")
        } else {
            format!("the Site {site:?} has no Gateway: nobody reaches this")
        };
        found.add(Severity::Warning, "site-without-gateway", entitlement, "site", message);
    }
}

/// Policies that match and give nothing.
pub(super) fn policies_that_give_nothing(view: &View<'_>, found: &mut Found) {
    for policy in view.state.policies().filter(|policy| !policy.disabled) {
        let (field, empty) = match policy.kind {
            PolicyKind::Access => {
                ("entitlements", policy.entitlements.is_empty() && policy.entitlement_links.is_empty())
            }
            PolicyKind::Admin => ("administrativeRoles", policy.administrative_roles.is_empty()),
            PolicyKind::Dns => ("dnsSettings", policy.dns_settings.is_empty()),
            PolicyKind::Mixed => (
                "entitlements",
                policy.entitlements.is_empty()
                    && policy.entitlement_links.is_empty()
                    && policy.administrative_roles.is_empty()
                    && policy.dns_settings.is_empty(),
            ),
            PolicyKind::Stop | PolicyKind::Device => continue,
        };
        if empty {
            found.add(Severity::Warning, "empty-policy", policy, field, "it gives nothing to whom it concerns");
        }
    }
}
