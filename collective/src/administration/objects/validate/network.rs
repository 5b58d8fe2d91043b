//! Rules of Sites and pools of addresses.

use std::net::IpAddr;

use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::ip_pool::IpRange;
use ringwall_protocol::object::site::{DnsResolver, MAX_GRACE_SECONDS};
use ringwall_protocol::object::{IpPool, Object, Site};
use ringwall_raft::State;

use super::{Faults, duplicates, text};

/// Most networks of a Site: as many as a Client's routes.
const MAX_SUBNETS: usize = 4_096;
/// Most resolvers of a Site, and most servers and domains of one.
const MAX_RESOLVERS: usize = 64;
/// Most ranges of a pool, and most exclusions (as the replicated state has it).
const MAX_RANGES: usize = ringwall_raft::state::address::pool::MAX_RANGES;
/// Shortest lease of an address: above every token's life.
const MIN_LEASE_DAYS: u32 = 8;
/// Longest lease of an address: ten years.
const MAX_LEASE_DAYS: u32 = 3_660;

pub(super) fn site(site: &Site, state: &State, faults: &mut Faults) {
    faults.unless((5..=60).contains(&site.lease_seconds), "leaseSeconds", "lies between 5 and 60");
    if site.grace_seconds.is_some_and(|grace| grace < site.lease_seconds || grace > MAX_GRACE_SECONDS) {
        faults.add("graceSeconds", format!("lies between leaseSeconds and {MAX_GRACE_SECONDS}"));
    }
    let active = state.controllers().filter(|one| one.state == ApplianceState::Active).count();
    faults.unless((1..=2).contains(&site.witnesses), "witnesses", "is 1 or 2");
    if site.witnesses == 2 && active < 2 {
        faults.add("witnesses", "of 2 want a second active Controller: without it no lease could be confirmed");
    }
    unsupported(site, faults);
    faults.unless(site.description.len() <= 2_048, "description", "has at most 2048 bytes");
    if site.network_subnets.len() > MAX_SUBNETS {
        faults.add("networkSubnets", format!("are at most {MAX_SUBNETS}"));
    }
    for at in duplicates(site.network_subnets.iter().map(ipnet::IpNet::trunc)) {
        faults.add(format!("networkSubnets[{at}]"), "is listed twice");
    }
    let resolvers = &site.name_resolution.dns_resolvers;
    if resolvers.len() > MAX_RESOLVERS {
        faults.add("nameResolution.dnsResolvers", format!("are at most {MAX_RESOLVERS}"));
    }
    for (at, one) in resolvers.iter().enumerate() {
        resolver(one, &format!("nameResolution.dnsResolvers[{at}]"), faults);
    }
    for at in duplicates(resolvers.iter().map(|one| &one.name)) {
        faults.add(format!("nameResolution.dnsResolvers[{at}].name"), "is used twice");
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
    let named = !one.name.trim().is_empty() && text::is_line(&one.name, 256);
    faults.unless(named, &format!("{field}.name"), "has 1 to 256 bytes and no control characters");
    let interval = (5..=3_600).contains(&one.update_interval);
    faults.unless(interval, &format!("{field}.updateInterval"), "lies between 5 and 3600");
    faults.unless(one.servers.len() <= MAX_RESOLVERS, &format!("{field}.servers"), "are at most 64");
    faults.unless(one.match_domains.len() <= MAX_RESOLVERS, &format!("{field}.matchDomains"), "are at most 64");
    for (at, domain) in one.match_domains.iter().enumerate() {
        faults.unless(text::is_domain(domain), &format!("{field}.matchDomains[{at}]"), "is no DNS domain");
    }
}

pub(super) fn ip_pool(pool: &IpPool, before: Option<&Object>, state: &State, faults: &mut Faults) {
    if !(MIN_LEASE_DAYS..=MAX_LEASE_DAYS).contains(&pool.lease_time_days) {
        faults.add("leaseTimeDays", format!("lies between {MIN_LEASE_DAYS} and {MAX_LEASE_DAYS}"));
    }
    if matches!(before, Some(Object::IpPool(before)) if before.ip_version6 != pool.ip_version6) {
        faults.add("ipVersion6", "cannot change");
    }
    faults.unless(!pool.ranges.is_empty(), "ranges", "must not be empty");
    let ranges = bounds(&pool.ranges, pool.ip_version6, "ranges", faults);
    bounds(&pool.excluded_ranges, pool.ip_version6, "excludedRanges", faults);
    for (nth, (at, one)) in ranges.iter().enumerate() {
        if ranges[..nth].iter().any(|(_, other)| overlap(one, other)) {
            faults.add(format!("ranges[{at}]"), "overlaps another range of the pool");
        }
        let other = state
            .ip_pools()
            .filter(|other| other.base.id != pool.base.id)
            .find(|other| other.ranges.iter().filter_map(IpRange::bounds).any(|theirs| overlap(one, &theirs)));
        if let Some(other) = other {
            faults.add(format!("ranges[{at}]"), format!("overlaps the pool {:?}", other.base.name));
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
            Some(_) => faults.add(format!("{field}[{at}]"), "is of the other family than the pool"),
            None => {
                faults.add(format!("{field}[{at}]"), "is a cidr, or first and last of one family, first not above last")
            }
        }
    }
    good
}

fn overlap(one: &Bounds, other: &Bounds) -> bool {
    one.0.is_ipv6() == other.0.is_ipv6() && one.0 <= other.1 && other.0 <= one.1
}
