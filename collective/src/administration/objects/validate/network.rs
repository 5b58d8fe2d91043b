//! Rules of Sites and pools of addresses.

use std::net::IpAddr;

use ringwall_protocol::form;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::ip_pool::IpRange;
use ringwall_protocol::object::ip_pool::{LEASE_DAYS, MAX_RANGES};
use ringwall_protocol::object::site::{
    DESCRIPTION, DnsResolver, GRACE_SECONDS, LEASE_SECONDS, MAX_RESOLVERS, MAX_SUBNETS, UPDATE_SECONDS, WITNESSES,
};
use ringwall_protocol::object::{IpPool, Object, Site};
use ringwall_raft::State;

use super::{Faults, duplicates};

pub(super) fn site(site: &Site, state: &State, faults: &mut Faults) {
    faults.unless(LEASE_SECONDS.contains(&site.lease_seconds), "leaseSeconds", "lies between 5 and 60");
    match site.grace_seconds {
        Some(grace) if !GRACE_SECONDS.contains(&grace) => {
            faults.add("graceSeconds", format!("lies between leaseSeconds and {}", GRACE_SECONDS.end()));
        }
        Some(grace) if grace < site.lease_seconds => faults.contradict("graceSeconds", "is not below leaseSeconds"),
        _ => {}
    }
    let active = state.controllers().filter(|one| one.state == ApplianceState::Active).count();
    faults.unless(WITNESSES.contains(&site.witnesses.into()), "witnesses", "is 1 or 2");
    if site.witnesses == 2 && active < 2 {
        faults.contradict("witnesses", "of 2 want a second active Controller: without it no lease could be confirmed");
    }
    unsupported(site, faults);
    faults.unless_fits(&site.description, DESCRIPTION, "description");
    if site.network_subnets.len() > MAX_SUBNETS {
        faults.add("networkSubnets", format!("are at most {MAX_SUBNETS}"));
    }
    for at in duplicates(site.network_subnets.iter().map(ipnet::IpNet::trunc)) {
        faults.contradict(format!("networkSubnets[{at}]"), "is listed twice");
    }
    let resolvers = &site.name_resolution.dns_resolvers;
    if resolvers.len() > MAX_RESOLVERS {
        faults.add("nameResolution.dnsResolvers", format!("are at most {MAX_RESOLVERS}"));
    }
    for (at, one) in resolvers.iter().enumerate() {
        resolver(one, &format!("nameResolution.dnsResolvers[{at}]"), faults);
    }
    for at in duplicates(resolvers.iter().map(|one| &one.name)) {
        faults.contradict(format!("nameResolution.dnsResolvers[{at}].name"), "is used twice");
    }
}

/// Fields that are kept for the API's sake and that nothing reads: whoever sets one counts on it, so it is refused.
fn unsupported(site: &Site, faults: &mut Faults) {
    faults.unless(
        site.fallback_site.is_none(),
        "fallbackSite",
        "is not supported: Clients choose among the Gateways of one Site; leave it out and add a Gateway to the Site",
    );
    faults.unless(
        !site.vpn.dtls.enabled,
        "vpn.dtls.enabled",
        "is not supported: tunnels run over TLS only; leave it false",
    );
    faults.unless(
        site.ip_pool_mappings.is_empty(),
        "ipPoolMappings",
        "are not supported: a device has the same tunnel addresses at every Site; leave them empty, and set snat where \
         hosts must see another address",
    );
}

fn resolver(one: &DnsResolver, field: &str, faults: &mut Faults) {
    faults.unless_fits(&one.name, form::OBJECT_NAME, &format!("{field}.name"));
    let interval = UPDATE_SECONDS.contains(&one.update_interval);
    faults.unless(interval, &format!("{field}.updateInterval"), "lies between 5 and 3600");
    faults.unless(one.servers.len() <= MAX_RESOLVERS, &format!("{field}.servers"), "are at most 64");
    faults.unless(one.match_domains.len() <= MAX_RESOLVERS, &format!("{field}.matchDomains"), "are at most 64");
    for (at, domain) in one.match_domains.iter().enumerate() {
        faults.unless_fits(domain, form::DOMAIN, &format!("{field}.matchDomains[{at}]"));
    }
}

pub(super) fn ip_pool(pool: &IpPool, before: Option<&Object>, state: &State, faults: &mut Faults) {
    if !LEASE_DAYS.contains(&pool.lease_time_days) {
        faults.add("leaseTimeDays", format!("lies between {} and {}", LEASE_DAYS.start(), LEASE_DAYS.end()));
    }
    if matches!(before, Some(Object::IpPool(before)) if before.ip_version6 != pool.ip_version6) {
        faults.contradict("ipVersion6", "cannot change");
    }
    faults.unless(!pool.ranges.is_empty(), "ranges", "must not be empty");
    let ranges = bounds(&pool.ranges, pool.ip_version6, "ranges", faults);
    bounds(&pool.excluded_ranges, pool.ip_version6, "excludedRanges", faults);
    for (nth, (at, one)) in ranges.iter().enumerate() {
        if ranges[..nth].iter().any(|(_, other)| overlap(one, other)) {
            faults.contradict(format!("ranges[{at}]"), "overlaps another range of the pool");
        }
        let other = state
            .ip_pools()
            .filter(|other| other.base.id != pool.base.id)
            .find(|other| other.ranges.iter().filter_map(IpRange::bounds).any(|theirs| overlap(one, &theirs)));
        if let Some(other) = other {
            faults.contradict(format!("ranges[{at}]"), format!("overlaps the pool {:?}", other.base.name));
        }
    }
}

type Bounds = (IpAddr, IpAddr);

/// Ranges that are well formed, with their positions.
fn bounds(ranges: &[IpRange], six: bool, field: &str, faults: &mut Faults) -> Vec<(usize, Bounds)> {
    if ranges.len() > MAX_RANGES {
        faults.add(field, format!("are at most {MAX_RANGES}"));
    }
    let mut good = Vec::new();
    for (at, range) in ranges.iter().enumerate() {
        match range.bounds() {
            Some(bounds) if bounds.0.is_ipv6() == six => good.push((at, bounds)),
            Some(_) => faults.contradict(format!("{field}[{at}]"), "is of the other family than the pool"),
            None => faults.contradict(
                format!("{field}[{at}]"),
                "is a cidr, or first and last of one family, first not above last",
            ),
        }
    }
    good
}

fn overlap(one: &Bounds, other: &Bounds) -> bool {
    one.0.is_ipv6() == other.0.is_ipv6() && one.0 <= other.1 && other.0 <= one.1
}
