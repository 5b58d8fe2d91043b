//! Rules of appliances and client profiles.

use ringwall_protocol::object::appliance::GatewayWeight;
use ringwall_protocol::object::profile::{MAX_FORMER_KEY_HOURS, MAX_FURTHER_HOSTNAMES};
use ringwall_protocol::object::{Appliance, ClientProfile, Object};

use super::{Faults, duplicates, text};
use crate::setup::config::is_host_and_port;

/// Most addresses of one listener (as the replicated state has it).
const MAX_ADDRESSES: usize = 16;

pub(super) fn appliance(appliance: &Appliance, before: Option<&Object>, faults: &mut Faults) {
    let (controller, gateway) = (appliance.controller.enabled, appliance.gateway.enabled);
    if controller == gateway {
        faults.add("gateway.enabled", "exactly one of controller.enabled and gateway.enabled must be true");
    }
    if gateway && appliance.site.is_none() {
        faults.add("site", "is wanted for a Gateway");
    }
    faults.unless(appliance.gateway.vpn.weight <= 10_000, "gateway.vpn.weight", "is at most 10000");
    faults.unless(text::is_line(&appliance.hostname, 256), "hostname", "has at most 256 bytes, no control characters");
    if gateway && appliance.client_interface.addresses.is_empty() {
        faults.add("clientInterface.addresses", "a Gateway wants at least one, host:port");
    }
    addresses(&appliance.client_interface.addresses, "clientInterface.addresses", faults);
    addresses(&appliance.peer_interface.addresses, "peerInterface.addresses", faults);
    faults.unless(
        appliance.peer_interface.override_spa_mode.is_none(),
        "peerInterface.overrideSpaMode",
        "is not supported: all ports of an appliance have one mode; set clientInterface.overrideSpaMode",
    );
    if !gateway {
        faults.unless(
            appliance.site.is_none(),
            "site",
            "belongs to a Gateway: Controllers serve the whole Collective; leave it out",
        );
        let weight = appliance.gateway.vpn.weight;
        faults.unless(
            weight == GatewayWeight::default().weight,
            "gateway.vpn.weight",
            "belongs to a Gateway: Clients choose among Gateways by weight; leave it out",
        );
    }
    if let Some(Object::Appliance(before)) = before
        && before.activated
    {
        let roles = (before.controller.enabled, before.gateway.enabled) == (controller, gateway);
        faults.unless(roles, "controller.enabled", "of an appliance that has joined cannot change");
        let stays = !gateway || before.site == appliance.site;
        faults.unless(stays, "site", "of a Gateway that has joined cannot change: remove it and add a new one");
    }
}

fn addresses(addresses: &[String], field: &str, faults: &mut Faults) {
    if addresses.len() > MAX_ADDRESSES {
        faults.add(field, format!("are at most {MAX_ADDRESSES}"));
    }
    for (at, address) in addresses.iter().enumerate() {
        faults.unless(is_host_and_port(address), &format!("{field}[{at}]"), "expected host:port or [v6]:port");
    }
    for at in duplicates(addresses) {
        faults.add(format!("{field}[{at}]"), "is listed twice");
    }
}

pub(super) fn client_profile(profile: &ClientProfile, before: Option<&Object>, faults: &mut Faults) {
    faults.unless(
        text::is_line(&profile.spa_key_name, 256),
        "spaKeyName",
        "has at most 256 bytes, no control characters",
    );
    if let Some(hostname) = &profile.hostname {
        faults.unless(is_host_and_port(hostname), "hostname", "expected host:port");
    }
    let further = &profile.further_hostnames;
    if further.len() > MAX_FURTHER_HOSTNAMES {
        faults.add("furtherHostnames", format!("are at most {MAX_FURTHER_HOSTNAMES}"));
    }
    for (at, hostname) in further.iter().enumerate() {
        faults.unless(
            is_host_and_port(hostname),
            &format!("furtherHostnames[{at}]"),
            "expected host:port or [v6]:port",
        );
    }
    for at in duplicates(further) {
        faults.add(format!("furtherHostnames[{at}]"), "is listed twice");
    }
    faults.unless(profile.former_key_hours <= MAX_FORMER_KEY_HOURS, "formerKeyHours", "is at most a year, 8760");
    if let Some(Object::ClientProfile(before)) = before
        && profile.key_generation < before.key_generation
    {
        faults.add("keyGeneration", format!("is at {} and only grows", before.key_generation));
    }
}
