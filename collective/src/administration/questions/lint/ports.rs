//! Appliances whose ports answer whoever comes.

use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

/// Ports that a scan finds.
pub(super) fn open_ports(view: &View<'_>, found: &mut Found) {
    for appliance in view.state.appliances().filter(|one| one.state != ApplianceState::Removed) {
        if view.state.spa_mode_of(appliance.base.id) != SpaMode::Open {
            continue;
        }
        let own = appliance.client_interface.override_spa_mode.is_some();
        let (field, place) = if own {
            ("clientInterface.overrideSpaMode", "this appliance's own mode")
        } else {
            ("clientInterface", "the global settings' spaMode")
        };
        let message = format!("its ports answer TLS to anybody: {place} is Open, weaker than UDP-TCP");
        found.add(Severity::Warning, "open-ports", appliance, field, message);
    }
}
