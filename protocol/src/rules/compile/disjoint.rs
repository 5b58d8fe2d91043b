//! Boxes of addresses and ports that do not overlap, because the kernel refuses overlaps within a set. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::TooManyRules;
use crate::rules::{Element, MAX_RULES};

/// Most cuts of one box by another while the rules of a chain are made disjoint: some 50 ms. Ranges that cross each other
/// everywhere need more, and come to more than [`MAX_RULES`] soon.
const MAX_CUTS: usize = 1 << 20;

/// Adds what of `new` the run does not cover yet.
pub(super) fn add_disjoint(elements: &mut Vec<Element>, new: Element, cuts: &mut usize) -> Result<(), TooManyRules> {
    let mut pieces = vec![new];
    for known in elements.iter().filter(|known| overlap(&new, known)) {
        *cuts += pieces.len();
        pieces = pieces.into_iter().flat_map(|piece| without(piece, known)).collect();
        if pieces.is_empty() {
            return Ok(());
        }
        if pieces.len() > MAX_RULES || *cuts > MAX_CUTS {
            return Err(TooManyRules);
        }
    }
    elements.append(&mut pieces);
    if elements.len() > MAX_RULES { Err(TooManyRules) } else { Ok(()) }
}

/// Whether two boxes have anything in common.
pub(super) fn overlap(one: &Element, other: &Element) -> bool {
    one.protocol == other.protocol
        && one.first <= other.last
        && other.first <= one.last
        && one.first_port <= other.last_port
        && other.first_port <= one.last_port
}

/// `piece` less `hole`: at most four boxes.
fn without(piece: Element, hole: &Element) -> Vec<Element> {
    if !overlap(&piece, hole) {
        return vec![piece];
    }
    let mut rest = Vec::new();
    let (low, high) = (piece.first.max(hole.first), piece.last.min(hole.last));
    if piece.first < low {
        rest.push(Element { last: neighbour(low, false), ..piece });
    }
    if high < piece.last {
        rest.push(Element { first: neighbour(high, true), ..piece });
    }
    let middle = Element { first: low, last: high, ..piece };
    if middle.first_port < hole.first_port {
        rest.push(Element { last_port: hole.first_port - 1, ..middle });
    }
    if hole.last_port < middle.last_port {
        rest.push(Element { first_port: hole.last_port + 1, ..middle });
    }
    rest
}

/// The address after or before; the caller knows that there is one.
fn neighbour(address: IpAddr, after: bool) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(if after { v4.to_bits() + 1 } else { v4.to_bits() - 1 }).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(if after { v6.to_bits() + 1 } else { v6.to_bits() - 1 }).into(),
    }
}
