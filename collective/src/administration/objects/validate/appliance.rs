//! Rules of appliances and client profiles.

use ringwall_protocol::form;
use ringwall_protocol::object::appliance::{GatewayWeight, MAX_ADDRESSES, WEIGHT};
use ringwall_protocol::object::profile::{MAX_FORMER_KEY_HOURS, MAX_FURTHER_HOSTNAMES};
use ringwall_protocol::object::{Appliance, ClientProfile, Object};

use super::{Faults, duplicates};

pub(super) fn appliance(appliance: &Appliance, before: Option<&Object>, faults: &mut Faults) {
    let (controller, gateway) = (appliance.controller.enabled, appliance.gateway.enabled);
    if controller == gateway {
        faults.contradict("gateway.enabled", "exactly one of controller.enabled and gateway.enabled must be true");
    }
    if gateway && appliance.site.is_none() {
        faults.contradict("site", "is wanted for a Gateway");
    }
    faults.unless(WEIGHT.contains(&appliance.gateway.vpn.weight), "gateway.vpn.weight", "is at most 10000");
    faults.unless_fits(&appliance.hostname, form::SHORT_LINE, "hostname");
    if gateway && appliance.client_interface.addresses.is_empty() {
        faults.contradict("clientInterface.addresses", "a Gateway wants at least one, host:port");
    }
    addresses(&appliance.client_interface.addresses, "clientInterface.addresses", faults);
    addresses(&appliance.peer_interface.addresses, "peerInterface.addresses", faults);
    faults.unless(
        appliance.peer_interface.override_spa_mode.is_none(),
        "peerInterface.overrideSpaMode",
        "is not supported: all ports of an appliance have one mode; set clientInterface.overrideSpaMode",
    );
    if !gateway {
        faults.contradict_unless(
            appliance.site.is_none(),
            "site",
            "belongs to a Gateway: Controllers serve the whole Collective; leave it out",
        );
        let weight = appliance.gateway.vpn.weight;
        faults.contradict_unless(
            weight == GatewayWeight::default().weight,
            "gateway.vpn.weight",
            "belongs to a Gateway: Clients choose among Gateways by weight; leave it out",
        );
    }
    if let Some(Object::Appliance(before)) = before
        && before.activated
    {
        let roles = (before.controller.enabled, before.gateway.enabled) == (controller, gateway);
        faults.contradict_unless(roles, "controller.enabled", "of an appliance that has joined cannot change");
        let stays = !gateway || before.site == appliance.site;
        faults.contradict_unless(
            stays,
            "site",
            "of a Gateway that has joined cannot change: remove it and add a new one",
        );
    }
}

fn addresses(addresses: &[String], field: &str, faults: &mut Faults) {
    if addresses.len() > MAX_ADDRESSES {
        faults.add(field, format!("are at most {MAX_ADDRESSES}"));
    }
    for (at, address) in addresses.iter().enumerate() {
        faults.unless_fits(address, form::HOST_AND_PORT, &format!("{field}[{at}]"));
    }
    for at in duplicates(addresses) {
        faults.contradict(format!("{field}[{at}]"), "is listed twice");
    }
}

pub(super) fn client_profile(profile: &ClientProfile, before: Option<&Object>, faults: &mut Faults) {
    faults.unless_fits(&profile.spa_key_name, form::SHORT_LINE, "spaKeyName");
    if let Some(hostname) = &profile.hostname {
        faults.unless_fits(hostname, form::HOST_AND_PORT, "hostname");
    }
    let further = &profile.further_hostnames;
    if further.len() > MAX_FURTHER_HOSTNAMES {
        faults.add("furtherHostnames", format!("are at most {MAX_FURTHER_HOSTNAMES}"));
    }
    for (at, hostname) in further.iter().enumerate() {
        faults.unless_fits(hostname, form::HOST_AND_PORT, &format!("furtherHostnames[{at}]"));
    }
    for at in duplicates(further) {
        faults.contradict(format!("furtherHostnames[{at}]"), "is listed twice");
    }
    faults.unless(profile.former_key_hours <= MAX_FORMER_KEY_HOURS, "formerKeyHours", "is at most a year, 8760");
    if let Some(Object::ClientProfile(before)) = before
        && profile.key_generation < before.key_generation
    {
        faults.contradict("keyGeneration", format!("is at {} and only grows", before.key_generation));
    }
}
