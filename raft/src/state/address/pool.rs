//! Arithmetic of a pool: which addresses it has, and which one a device tries first.

use std::net::IpAddr;

use ipnet::IpNet;
use ringwall_protocol::id::DeviceId;
use ringwall_protocol::object::IpPool;
use ringwall_protocol::object::ip_pool::IpRange;

/// Most ranges of a pool, and most exclusions.
pub const MAX_RANGES: usize = ringwall_protocol::object::ip_pool::MAX_RANGES;

/// A run of addresses of one family, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    six: bool,
    first: u128,
    last: u128,
}

impl Span {
    fn new(first: IpAddr, last: IpAddr) -> Self {
        Self { six: first.is_ipv6(), first: number(first), last: number(last) }
    }

    pub(crate) fn bounds(&self) -> (IpAddr, IpAddr) {
        (address(self.six, self.first), address(self.six, self.last))
    }

    pub(crate) const fn overlaps(&self, other: &Self) -> bool {
        self.six == other.six && self.first <= other.last && other.first <= self.last
    }

    const fn holds(&self, at: u128) -> bool {
        self.first <= at && at <= self.last
    }
}

/// The ranges of a pool as spans, or what is wrong with them.
pub(crate) fn spans(pool: &IpPool) -> Result<Vec<Span>, String> {
    if pool.ranges.is_empty() || pool.ranges.len() > MAX_RANGES || pool.excluded_ranges.len() > MAX_RANGES {
        return Err(format!("are 1 to {MAX_RANGES}"));
    }
    let span = |range: &IpRange| match range.bounds() {
        Some((first, last)) if first.is_ipv6() == pool.ip_version6 => Ok(Span::new(first, last)),
        Some(_) => Err("are all of the pool's family".to_owned()),
        None => Err("are each a cidr, or first and last of one family".to_owned()),
    };
    for excluded in &pool.excluded_ranges {
        span(excluded)?;
    }
    let spans: Vec<Span> = pool.ranges.iter().map(span).collect::<Result<_, _>>()?;
    let overlap = |(at, one): (usize, &Span)| spans[at + 1..].iter().any(|other| one.overlaps(other));
    if spans.iter().enumerate().any(overlap) {
        return Err("must not overlap each other".to_owned());
    }
    Ok(spans)
}

/// The ranges of a pool as prefixes, for those who match packets.
pub(crate) fn prefixes(pool: &IpPool) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for range in &pool.ranges {
        match range.bounds() {
            Some((IpAddr::V4(first), IpAddr::V4(last))) => {
                nets.extend(ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::V4));
            }
            Some((IpAddr::V6(first), IpAddr::V6(last))) => {
                nets.extend(ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::V6));
            }
            _ => {}
        }
    }
    nets
}

/// What may be given out: the ranges without network, first and broadcast address, and without the exclusions.
fn usable(pool: &IpPool) -> Vec<Span> {
    let mut usable: Vec<Span> = spans(pool).unwrap_or_default().iter().zip(&pool.ranges).filter_map(inner).collect();
    for (first, last) in pool.excluded_ranges.iter().filter_map(IpRange::bounds) {
        let hole = Span::new(first, last);
        usable = usable.into_iter().flat_map(|span| without(span, hole)).collect();
    }
    usable.sort_unstable();
    usable
}

/// A prefix gives neither its network and broadcast address nor its first one, a range not its first.
fn inner((span, range): (&Span, &IpRange)) -> Option<Span> {
    let (front, back) = if range.cidr.is_some() { (2, 1) } else { (1, 0) };
    let first = span.first.checked_add(front)?;
    let last = span.last.checked_sub(back)?;
    (first <= last).then_some(Span { six: span.six, first, last })
}

fn without(span: Span, hole: Span) -> Vec<Span> {
    if !span.overlaps(&hole) {
        return vec![span];
    }
    let before = hole.first.checked_sub(1).filter(|last| span.first <= *last).map(|last| Span { last, ..span });
    let after = hole.last.checked_add(1).filter(|first| *first <= span.last).map(|first| Span { first, ..span });
    before.into_iter().chain(after).collect()
}

/// Whether the pool may give out the address.
pub(crate) fn permits(pool: &IpPool, address: IpAddr) -> bool {
    address.is_ipv6() == pool.ip_version6 && usable(pool).iter().any(|span| span.holds(number(address)))
}

/// The first free address from the one that the device's hash names, round the pool. `used` gives the addresses of a
/// span that are not free, in order.
pub(crate) fn first_free<'a>(
    pool: &IpPool,
    device: DeviceId,
    used: impl Fn(Span) -> Box<dyn Iterator<Item = IpAddr> + 'a>,
) -> Option<IpAddr> {
    let spans = usable(pool);
    let start = start(&spans, device)?;
    let split = spans.iter().position(|span| span.holds(start))?;
    let here = spans[split];
    let ahead = std::iter::once(Span { first: start, ..here }).chain(spans[split + 1..].iter().copied());
    let behind = spans[..split].iter().copied();
    let rest = start.checked_sub(1).filter(|last| here.first <= *last).map(|last| Span { last, ..here });
    ahead.chain(behind).chain(rest).find_map(|span| {
        let mut candidate = span.first;
        for taken in used(span).map(number) {
            if taken > candidate {
                break;
            }
            candidate = taken.checked_add(1)?;
        }
        (candidate <= span.last).then(|| address(span.six, candidate))
    })
}

/// BLAKE3(device) mod size, counted through the spans.
fn start(spans: &[Span], device: DeviceId) -> Option<u128> {
    let size = spans.iter().fold(0u128, |sum, span| sum.saturating_add(span.last - span.first).saturating_add(1));
    let hash = blake3::hash(device.uuid().as_bytes());
    let mut head = [0; 16];
    head.copy_from_slice(&hash.as_bytes()[..16]);
    let mut offset = u128::from_be_bytes(head).checked_rem(size)?;
    for span in spans {
        let length = (span.last - span.first).saturating_add(1);
        if offset < length {
            return Some(span.first + offset);
        }
        offset -= length;
    }
    None
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(six: bool, number: u128) -> IpAddr {
    if six {
        IpAddr::V6(number.into())
    } else {
        IpAddr::V4(u32::try_from(number).expect("a span of IPv4 addresses holds 32-bit numbers").into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ringwall_protocol::id::IpPoolId;
    use ringwall_protocol::object::EntityBase;

    use super::*;

    fn pool(ranges: &[&str], excluded: &[&str]) -> IpPool {
        let range = |text: &&str| match text.split_once('-') {
            Some((first, last)) => IpRange {
                cidr: None,
                first: Some(first.parse().expect("an address")),
                last: Some(last.parse().expect("an address")),
            },
            None => IpRange { cidr: Some(text.parse().expect("a prefix")), first: None, last: None },
        };
        let id = IpPoolId::from_random([1; 16]);
        let ranges: Vec<IpRange> = ranges.iter().map(range).collect();
        IpPool {
            base: EntityBase::new(id, "pool"),
            ip_version6: ranges[0].bounds().is_some_and(|(first, _)| first.is_ipv6()),
            ranges,
            excluded_ranges: excluded.iter().map(range).collect(),
            lease_time_days: 30,
        }
    }

    fn all(pool: &IpPool) -> BTreeSet<IpAddr> {
        let mut used = BTreeSet::new();
        for device in 0..100u8 {
            let device = DeviceId::from_random([device; 16]);
            let taken = used.clone();
            let Some(address) = first_free(pool, device, |span| {
                let (first, last) = span.bounds();
                Box::new(taken.range(first..=last).copied().collect::<Vec<_>>().into_iter())
            }) else {
                return used;
            };
            assert!(used.insert(address), "{address} was given twice");
            assert!(permits(pool, address));
        }
        used
    }

    #[test]
    fn network_broadcast_first_and_excluded_addresses_are_never_given() {
        let expected: BTreeSet<IpAddr> =
            ["10.0.0.2", "10.0.0.3", "10.0.0.6"].iter().map(|text| text.parse().expect("an address")).collect();
        for excluded in ["10.0.0.4-10.0.0.5", "10.0.0.4/31"] {
            assert_eq!(all(&pool(&["10.0.0.0/29"], &[excluded])), expected, "without {excluded}");
        }
    }

    #[test]
    fn a_pool_of_several_ranges_is_used_up_to_the_last_address() {
        assert_eq!(all(&pool(&["10.0.0.0/30", "10.1.0.10-10.1.0.13"], &[])).len(), 1 + 3);
        assert_eq!(all(&pool(&["fd00::/126"], &[])).len(), 1);
        assert_eq!(all(&pool(&["10.0.0.1/32"], &[])).len(), 0);
    }

    #[test]
    fn devices_are_spread_over_the_pool() {
        let pool = pool(&["fd00::/64"], &[]);
        let first = |n: u8| first_free(&pool, DeviceId::from_random([n; 16]), |_| Box::new(std::iter::empty()));
        let starts: BTreeSet<_> = (0..32).map(first).collect();
        assert_eq!(starts.len(), 32);
        let numbers: Vec<u128> = starts.iter().map(|one| number(one.expect("an address"))).collect();
        assert!(numbers.windows(2).any(|pair| pair[1] - pair[0] > 1 << 40), "addresses are neighbours: {starts:?}");
    }

    #[test]
    fn malformed_and_overlapping_ranges_are_refused() {
        assert!(spans(&pool(&["10.0.0.0/24", "10.0.0.128-10.0.1.5"], &[])).is_err());
        assert!(spans(&pool(&["10.0.0.9-10.0.0.1"], &[])).is_err());
        assert!(spans(&pool(&["10.0.0.0/24", "fd00::/64"], &[])).is_err());
    }
}
