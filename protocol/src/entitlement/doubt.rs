//! Hosts that can be read and hardly mean what they say: a host address with the mask of its network, and what looks like
//! several addresses and is read as a DNS name. Pure.
//!
//! They are refused when an entitlement is written. What was written before is enforced as it is read.

use std::net::IpAddr;

use crate::form::network;

/// What a host of an action would be taken for, and what to write for what was probably meant; absent if it says what it
/// means. A name behind `dns://` is a name.
#[must_use]
pub fn doubt(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(net) = network(text) {
        let (address, whole) = (net.addr(), net.trunc());
        return (address != net.network()).then(|| {
            format!(
                "{text} has bits beside its mask and would stand for all of {whole}: write {address} for the host, or \
                 {whole} for the network"
            )
        });
    }
    let is_address = |text: &str| text.trim().parse::<IpAddr>().is_ok();
    if text.split_once('-').is_some_and(|(first, last)| is_address(first) && is_address(last)) {
        return None;
    }
    let parts: Vec<Part> = text.split('.').map(Part::of).collect::<Option<_>>()?;
    let plain = parts.iter().all(|part| matches!(part, Part::Number(_)));
    if plain || parts.len() < 2 {
        return None;
    }
    let meant = match meaning(&parts) {
        Some(meant) => format!("write {meant}"),
        None => "write addresses, prefixes as 10.0.0.0/24, or ranges as 10.0.0.1-10.0.0.9".to_owned(),
    };
    Some(format!("{text} would be taken for a DNS name: {meant}"))
}

/// One of the parts between the dots of what looks like addresses. No name of a host on the Internet ends in the last two
/// (RFC 3696 section 2: a top-level domain is not all-numeric, and none has one letter).
#[derive(Clone, Copy)]
enum Part {
    Number(u8),
    Span(u8, u8),
    Any,
}

impl Part {
    fn of(text: &str) -> Option<Self> {
        if matches!(text, "x" | "X" | "*") {
            return Some(Self::Any);
        }
        match text.split_once('-') {
            Some((first, last)) => Some(Self::Span(first.parse().ok()?, last.parse().ok()?)),
            None => text.parse().ok().map(Self::Number),
        }
    }
}

/// What four parts probably mean: a range within the last, or a prefix.
fn meaning(parts: &[Part]) -> Option<String> {
    let [a, b, c, d] = parts else { return None };
    match (*a, *b, *c, *d) {
        (Part::Number(a), Part::Number(b), Part::Number(c), Part::Span(first, last)) if first <= last => {
            Some(format!("{a}.{b}.{c}.{first}-{a}.{b}.{c}.{last}"))
        }
        (Part::Number(a), Part::Number(b), Part::Number(c), Part::Any) => Some(format!("{a}.{b}.{c}.0/24")),
        (Part::Number(a), Part::Number(b), Part::Any, Part::Any) => Some(format!("{a}.{b}.0.0/16")),
        (Part::Number(a), Part::Any, Part::Any, Part::Any) => Some(format!("{a}.0.0.0/8")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_hardly_mean_what_they_say_are_told_with_what_was_meant() {
        for (text, meant) in [
            ("10.20.0.5/24", "write 10.20.0.5 for the host, or 10.20.0.0/24 for the network"),
            ("2001:db8::1/64", "write 2001:db8::1 for the host, or 2001:db8::/64 for the network"),
            ("10.20.0.1-10", "write 10.20.0.1-10.20.0.10"),
            (" 10.20.0.x ", "write 10.20.0.0/24"),
            ("10.20.x.x", "write 10.20.0.0/16"),
            ("10.*.*.*", "write 10.0.0.0/8"),
            ("10.20.0-3.1", "write addresses, prefixes as 10.0.0.0/24"),
            ("10.20.0.1-10.20.0", "write addresses, prefixes as 10.0.0.0/24"),
        ] {
            let why = doubt(text).unwrap_or_else(|| panic!("{text} is in doubt"));
            assert!(why.contains(meant), "{text}: {why}");
        }
    }

    #[test]
    fn what_says_what_it_means_is_left_alone() {
        for text in [
            "10.20.0.5",
            "10.20.0.5/32",
            "10.20.0.0/24",
            "10.20.0.1-10.20.0.10",
            "2001:db8::/32",
            "2001:db8::1-2001:db8::9",
            "web.example",
            "1.pool.ntp.example",
            "x",
            "x.example",
            "*.corp.example",
            "domain://corp.example",
            "dns://10.20.0.x",
            "10.20.0.999",
            "",
        ] {
            assert_eq!(doubt(text), None, "{text}");
        }
    }
}
