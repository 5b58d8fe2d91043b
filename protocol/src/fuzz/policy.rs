//! What policies are written in beside expressions: actions, names, times.

use std::net::IpAddr;
use std::time::Duration;

use crate::authorize::Schedule;
use crate::entitlement::{Action, Host, ParsedAction};
use crate::id::{DeviceId, Thumbprint};
use crate::name::{DnScope, ProviderName, SessionDn, UserDn, UserName};
use crate::rules::compile::{ResolvedNames, compile};
use crate::rules::matching::Flow;
use crate::rules::{Element, MAX_RULES, RuleSet, Run};
use crate::time::{UnixMillis, rfc3339};

/// A list of actions as JSON: read, and compiled to a rule set.
#[must_use]
pub fn actions(bytes: &[u8]) -> bool {
    let Ok(actions) = serde_json::from_slice::<Vec<Action>>(bytes) else { return false };
    let parsed: Vec<ParsedAction> = actions.iter().filter_map(|action| action.parse().ok()).collect();
    parsed.iter().flat_map(|action| &action.hosts).for_each(is_read_as_printed);
    let Ok(rules) = compile(&parsed, &ResolvedNames::default()) else { return false };
    assert!(rules.len() <= MAX_RULES, "{} rules", rules.len());
    chains(&rules).for_each(is_disjoint);
    let backwards = compile(parsed.iter().rev(), &ResolvedNames::default()).map(|rules| rules.hash());
    assert_eq!(backwards, Ok(rules.hash()), "the order of actions counts");
    for element in chains(&rules).flat_map(|run| &run.elements) {
        let flows = [(element.first, element.first_port), (element.last, element.last_port)];
        flows.into_iter().for_each(|(remote, port)| agrees_with_actions(&rules, &parsed, element, remote, port));
    }
    !rules.is_empty()
}

/// What lets a flow pass is an action that names it.
fn agrees_with_actions(rules: &RuleSet, actions: &[ParsedAction], element: &Element, remote: IpAddr, port: u16) {
    let names = |action: &ParsedAction, flow: &Flow| {
        let host = |host: &Host| {
            matches!(host, Host::Range(first, last) if (*first..=*last).contains(&flow.remote)
            && first.is_ipv4() == flow.remote.is_ipv4())
        };
        action.flow == Some((flow.protocol, flow.direction))
            && action.hosts.iter().any(host)
            && action.ports.iter().any(|(first, last)| (*first..=*last).contains(&flow.port))
    };
    for direction in [crate::rules::Direction::Up, crate::rules::Direction::Down] {
        let flow = Flow { direction, protocol: element.protocol, remote, port };
        let named = actions.iter().any(|action| names(action, &flow));
        assert!(named || !rules.passes(&flow), "{flow:?} passes, and no action names it");
    }
}

fn chains(rules: &RuleSet) -> impl Iterator<Item = &Run> {
    [&rules.up4, &rules.up6, &rules.down4, &rules.down6].into_iter().flatten()
}

/// No two elements of a run overlap, for the kernel refuses a set in which some do.
fn is_disjoint(run: &Run) {
    for (at, one) in run.elements.iter().enumerate() {
        assert!(one.first <= one.last && one.first_port <= one.last_port, "{one:?}");
        let overlaps = |other: &&Element| {
            one.protocol == other.protocol
                && one.first <= other.last
                && other.first <= one.last
                && one.first_port <= other.last_port
                && other.first_port <= one.last_port
        };
        if let Some(other) = run.elements[at + 1..].iter().find(overlaps) {
            panic!("{one:?} and {other:?} overlap");
        }
    }
}

fn is_read_as_printed(host: &Host) {
    let action = Action {
        subtype: None,
        action: crate::entitlement::ActionKind::Exclude,
        hosts: vec![host.to_string()],
        ports: vec![],
        types: vec![],
    };
    let again = action.parse().map(|parsed| parsed.hosts);
    assert_eq!(again.as_deref(), Ok(std::slice::from_ref(host)), "{host}");
}

/// Distinguished Names, their parts, and identifiers: what is read is printed in one way, which is read as the same.
#[must_use]
pub fn names(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    for name in [UserName::parse(text).map(String::from), ProviderName::parse(text).map(String::from)] {
        assert!(name.is_err() || name.as_deref() == Ok(text), "a name changed");
    }
    if let (Ok(user), Ok(provider)) = (UserName::parse(text), ProviderName::parse(text)) {
        let dn = UserDn { user, provider };
        assert_eq!(dn.to_string().parse(), Ok(dn.clone()), "a name with the syntax of names in it");
        let dn = SessionDn { device: DeviceId::from_random([7; 16]), user: dn };
        assert_eq!(dn.to_string().parse(), Ok(dn));
    }
    if let Ok(thumbprint) = text.parse::<Thumbprint>() {
        assert_eq!(thumbprint.to_string(), text, "a key has one name");
    }
    if let Ok(device) = text.parse::<DeviceId>() {
        assert_eq!(device.to_string().parse(), Ok(device));
    }
    let Ok(scope) = text.parse::<DnScope>() else { return false };
    assert_eq!(scope.to_string().parse(), Ok(scope.clone()), "{text:?}");
    if let DnScope::Device(dn) = &scope {
        assert!(scope.matches(dn) && DnScope::User(dn.user.clone()).matches(dn));
        assert_eq!(text.parse().as_ref(), Ok(dn));
    }
    true
}

/// A moment in the first eight bytes, and a schedule or a time as text behind them.
#[must_use]
pub fn times(bytes: &[u8]) -> bool {
    let Some((now, text)) = bytes.split_first_chunk::<8>() else { return false };
    let now = UnixMillis(u64::from_be_bytes(*now));
    let printed = serde_json::Value::String(now.to_string());
    let read = rfc3339::deserialize(&printed).unwrap_or_else(|error| panic!("{now} is not read: {error}"));
    assert!(read == now || read == UnixMillis::LAST_PRINTED && now > read, "{now} is read as another time");
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let read = rfc3339::deserialize(&serde_json::Value::String(text.to_owned()));
    let Some(schedule) = Schedule::parse(text) else { return read.is_ok() };
    let dn: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
    let next = schedule.next(&dn, now);
    // There is nothing after the last moment that a number can say.
    assert!(
        (next > now || next.0 == u64::MAX) && now.until(next) <= Duration::from_hours(25),
        "after {} comes {}",
        now.0,
        next.0
    );
    true
}
