//! Sites, pools of addresses, appliances.

use serde_json::{Value, json};

use super::{Entry, base, name, refused, seen, system, tested};
use crate::fields::look::Look;

pub(in crate::fields) fn entries() -> Vec<Entry> {
    [sites(), pools(), appliances()].concat()
}

/// The Site's only resolver with one field changed.
fn resolver(change: Value) -> Value {
    let base = json!({"name": "names", "servers": ["10.20.0.53"], "matchDomains": ["corp.example"], "updateInterval": 60,
        "queryAAAA": false});
    json!({"nameResolution": {"dnsResolvers": [crate::fields::merged(&base, &change)]}})
}

fn sites() -> Vec<Entry> {
    use Look::{Feed, Listed, Tokens};
    let at = "site";
    let mut entries = base!("Site", "site", name("Site.name", "site")).to_vec();
    entries.extend([
        seen("Site.description", at, Listed, json!({"description": "sought"})),
        seen("Site.networkSubnets[]", at, Tokens, json!({"networkSubnets": ["10.21.0.0/16"]})),
        seen("Site.entitlementBasedRouting", at, Tokens, json!({"entitlementBasedRouting": true})),
        refused("Site.fallbackSite", at, "fallbackSite", json!({"fallbackSite": {"$id": "other site"}})),
        seen("Site.vpn.snat", at, Feed, json!({"vpn": {"snat": false}})),
        refused("Site.vpn.dtls.enabled", at, "vpn.dtls.enabled", json!({"vpn": {"dtls": {"enabled": true}}})),
        // Names of resolvers are for operators: no two are alike, and lists are searched by them.
        seen("Site.nameResolution.dnsResolvers[].name", at, Listed, resolver(json!({"name": "sought"}))),
        seen("Site.nameResolution.dnsResolvers[].updateInterval", at, Feed, resolver(json!({"updateInterval": 30}))),
        seen("Site.nameResolution.dnsResolvers[].queryAAAA", at, Feed, resolver(json!({"queryAAAA": true}))),
        seen("Site.nameResolution.dnsResolvers[].servers[]", at, Feed, resolver(json!({"servers": ["10.20.0.54"]}))),
        seen("Site.nameResolution.dnsResolvers[].matchDomains[]", at, Feed, resolver(json!({"matchDomains": []}))),
        refused("Site.ipPoolMappings[].from", at, "ipPoolMappings", mapping()),
        refused("Site.ipPoolMappings[].to", at, "ipPoolMappings", mapping()),
        seen("Site.leaseSeconds", at, Feed, json!({"leaseSeconds": 30})),
        seen("Site.graceSeconds", at, Feed, json!({"graceSeconds": 60})),
        tested("Site.witnesses", "a_lease_that_wants_two_witnesses_counts_from_the_older_confirmation"),
    ]);
    entries
}

fn mapping() -> Value {
    json!({"ipPoolMappings": [{"from": {"$id": "pool"}, "to": {"$id": "pool6"}}]})
}

fn pools() -> Vec<Entry> {
    let given = "network_broadcast_first_and_excluded_addresses_are_never_given";
    let mut entries = base!("IpPool", "pool", name("IpPool.name", "pool")).to_vec();
    entries.extend([
        refused("IpPool.ipVersion6", "pool", "ipVersion6", json!({"ipVersion6": true})),
        seen("IpPool.ranges[].cidr", "pool", Look::Tokens, json!({"ranges": [{"cidr": "100.65.0.0/16"}]})),
        seen("IpPool.ranges[].first", "pool", Look::Tokens, addresses()),
        seen("IpPool.ranges[].last", "pool", Look::Tokens, addresses()),
        tested("IpPool.excludedRanges[].cidr", given),
        tested("IpPool.excludedRanges[].first", given),
        tested("IpPool.excludedRanges[].last", given),
        tested("IpPool.leaseTimeDays", "unused_addresses_are_swept_after_the_lease_time_of_the_pool"),
    ]);
    entries
}

/// Other addresses than those of the pool before.
fn addresses() -> Value {
    json!({"ranges": [{"first": "100.65.0.1", "last": "100.65.0.99"}]})
}

fn appliances() -> Vec<Entry> {
    use Look::{Listed, Seed, Tokens};
    let mut entries = base!("Appliance", "gateway", name("Appliance.name", "gateway")).to_vec();
    entries.extend([
        // "For people": lists are searched by it.
        seen("Appliance.hostname", "gateway", Listed, json!({"hostname": "sought.example"})),
        seen("Appliance.site", "spare", Seed, json!({"site": {"$id": "other site"}})),
        refused("Appliance.site", "gateway", "site", json!({"site": {"$id": "other site"}})),
        refused("Appliance.site", "controller", "site", json!({"site": {"$id": "site"}})),
        seen("Appliance.controller.enabled", "spare", Seed, becomes_a_controller()),
        seen("Appliance.gateway.enabled", "spare", Seed, becomes_a_controller()),
        refused("Appliance.gateway.enabled", "gateway", "controller.enabled", becomes_a_controller()),
        seen("Appliance.gateway.vpn.weight", "gateway", Tokens, json!({"gateway": {"vpn": {"weight": 7}}})),
        refused(
            "Appliance.gateway.vpn.weight",
            "controller",
            "gateway.vpn.weight",
            json!({"gateway": {"vpn": {"weight": 7}}}),
        ),
        seen(
            "Appliance.clientInterface.addresses[]",
            "gateway",
            Tokens,
            json!({"clientInterface": {"addresses": ["192.0.2.8:443"]}}),
        ),
        seen(
            "Appliance.clientInterface.overrideSpaMode",
            "gateway",
            Tokens,
            json!({"clientInterface": {"overrideSpaMode": "TCP"}}),
        ),
        tested("Appliance.peerInterface.addresses[]", "an_address_of_an_appliance_is_given_to_no_tunnel"),
        refused(
            "Appliance.peerInterface.overrideSpaMode",
            "controller",
            "peerInterface.overrideSpaMode",
            json!({"peerInterface": {"overrideSpaMode": "TCP"}}),
        ),
        system("Appliance.activated", "spare", json!({"activated": true})),
        system("Appliance.state", "spare", json!({"state": "active"})),
    ]);
    entries
}

fn becomes_a_controller() -> Value {
    json!({"controller": {"enabled": true}, "gateway": {"enabled": false}, "site": null})
}
