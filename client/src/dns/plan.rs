//! Which questions go where: names of the Sites' entitlements to the Sites, domains of DNS policies to their servers,
//! everything else to whom it went before. Pure.
//!
//! What decides comes from signed tokens only; a Gateway cannot draw further names to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringwall_protocol::entitlement::{Action, ActionKind, Host};
use ringwall_protocol::id::SiteId;
use ringwall_protocol::policy::DnsSetting;
use ringwall_protocol::token::EntitlementToken;

/// The name with which a setting means every domain.
const EVERY_DOMAIN: &str = "Default";

/// Where questions go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    names: BTreeMap<String, SiteId>,
    domains: BTreeMap<String, SiteId>,
    servers: BTreeMap<String, Vec<IpAddr>>,
    every: Option<Vec<IpAddr>>,
    /// Names by which the Collective itself is found: whatever is captured, they are not.
    kept: BTreeSet<String>,
}

/// Where one question goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueryTarget {
    /// To a Gateway of this Site, on the session's websocket.
    Site(SiteId),
    /// To these servers, in order.
    Servers(Vec<IpAddr>),
    /// To whom it went before.
    SystemResolvers,
}

impl Plan {
    /// The plan of these Sites' tokens. Of two Sites that name the same host the first by id has it. The host of the
    /// profile and those of Gateways are found as before, or the tunnel would be needed to get to the tunnel.
    #[must_use]
    pub(crate) fn of<'a>(profile: &str, tokens: impl IntoIterator<Item = (SiteId, &'a EntitlementToken)>) -> Self {
        let mut plan = Self { kept: domain(profile).into_iter().collect(), ..Self::default() };
        for (site, token) in tokens {
            let gateways = token.gateways.iter().flat_map(|gateway| &gateway.addresses);
            plan.kept.extend(gateways.filter_map(|address| domain(address.rsplit_once(':')?.0)));
            for host in token.entitlements.iter().flat_map(|granted| &granted.actions).flat_map(named_hosts) {
                match host {
                    Host::Name(name) => plan.names.entry(name).or_insert(site),
                    Host::Domain(domain) => plan.domains.entry(domain).or_insert(site),
                    Host::Range(..) => continue,
                };
            }
            token.dns.iter().for_each(|setting| plan.add_setting(setting));
        }
        plan
    }

    fn add_setting(&mut self, setting: &DnsSetting) {
        if setting.domain == EVERY_DOMAIN {
            self.every.get_or_insert_with(|| setting.servers.clone());
        } else if let Some(domain) = domain(&setting.domain) {
            self.servers.entry(domain).or_insert_with(|| setting.servers.clone());
        }
    }

    /// Nothing is to be asked elsewhere than before.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.domains.is_empty() && self.servers.is_empty() && self.every.is_none()
    }

    /// Where a question for this name (lower case, no dot at its end) goes: the longest domain wins; of a Site's and a
    /// policy's the Site's, since only there the answer opens the way.
    #[must_use]
    pub(crate) fn target_of(&self, name: &str) -> QueryTarget {
        if self.kept.contains(name) {
            return QueryTarget::SystemResolvers;
        }
        if let Some(site) = self.names.get(name) {
            return QueryTarget::Site(*site);
        }
        let mut rest = name;
        loop {
            // A Site's domain means what lies below it, a policy's means itself as well.
            if let Some(site) = self.domains.get(rest).filter(|_| rest.len() < name.len()) {
                return QueryTarget::Site(*site);
            }
            if let Some(servers) = self.servers.get(rest) {
                return QueryTarget::Servers(servers.clone());
            }
            match rest.split_once('.') {
                Some((_, above)) => rest = above,
                None => break,
            }
        }
        self.every.clone().map_or(QueryTarget::SystemResolvers, QueryTarget::Servers)
    }

    /// Everything that must not go its former way, for resolvers that choose by domain.
    #[must_use]
    pub(crate) fn matched(&self) -> BTreeSet<String> {
        let named = self.names.keys().chain(self.domains.keys()).chain(self.servers.keys()).cloned();
        named.chain(self.every.is_some().then(|| ".".to_owned())).collect()
    }
}

/// Names and domains of an action that lets pass.
fn named_hosts(action: &Action) -> Vec<Host> {
    if !matches!(action.action, ActionKind::Allow | ActionKind::Alert) {
        return vec![];
    }
    // An action that this version cannot read leads nowhere.
    action.parse().map(|parsed| parsed.hosts).unwrap_or_default()
}

/// A domain in lower case, without the dot at its end; `None` if it is none.
fn domain(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    };
    let domain = text.trim_end_matches('.').to_ascii_lowercase();
    (domain.len() <= 253 && domain.split('.').all(label)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(n: u8) -> SiteId {
        SiteId::new(uuid::Uuid::from_bytes([n; 16]))
    }

    fn plan() -> Plan {
        let mut plan = Plan {
            names: [("wiki.example.org".to_owned(), site(1))].into(),
            domains: [("corp.example".to_owned(), site(1)), ("lab.corp.example".to_owned(), site(2))].into(),
            ..Plan::default()
        };
        plan.add_setting(&DnsSetting { domain: "Intern.Example.".into(), servers: vec![[10, 1, 0, 53].into()] });
        plan
    }

    #[test]
    fn questions_go_by_the_longest_domain_and_others_as_before() {
        let plan = plan();
        let servers = QueryTarget::Servers(vec![[10, 1, 0, 53].into()]);
        for (name, target) in [
            ("wiki.example.org", QueryTarget::Site(site(1))),
            ("x.wiki.example.org", QueryTarget::SystemResolvers),
            ("www.corp.example", QueryTarget::Site(site(1))),
            ("a.b.corp.example", QueryTarget::Site(site(1))),
            ("a.lab.corp.example", QueryTarget::Site(site(2))),
            ("lab.corp.example", QueryTarget::Site(site(1))),
            ("corp.example", QueryTarget::SystemResolvers),
            ("xcorp.example", QueryTarget::SystemResolvers),
            ("intern.example", servers.clone()),
            ("a.intern.example", servers),
            ("example.org", QueryTarget::SystemResolvers),
            ("", QueryTarget::SystemResolvers),
        ] {
            assert_eq!(plan.target_of(name), target, "{name}");
        }
    }

    #[test]
    fn a_default_setting_takes_what_nothing_else_does() {
        let mut plan = plan();
        plan.add_setting(&DnsSetting { domain: "Default".into(), servers: vec![[10, 1, 0, 9].into()] });
        assert_eq!(plan.target_of("example.net"), QueryTarget::Servers(vec![[10, 1, 0, 9].into()]));
        assert_eq!(plan.target_of("www.corp.example"), QueryTarget::Site(site(1)));
        assert!(plan.matched().contains("."));
    }

    #[test]
    fn the_collective_itself_is_found_as_before() {
        let mut plan = plan();
        plan.kept.insert("controller.corp.example".to_owned());
        assert_eq!(plan.target_of("controller.corp.example"), QueryTarget::SystemResolvers);
        assert_eq!(plan.target_of("other.corp.example"), QueryTarget::Site(site(1)));
    }

    #[test]
    fn what_is_no_domain_never_gets_into_the_plan() {
        for bad in ["--help", "a b", "x;reboot", "", "..", "-a.example", "$(id)", "a\nnameserver 1.2.3.4"] {
            let mut plan = Plan::default();
            plan.add_setting(&DnsSetting { domain: bad.into(), servers: vec![] });
            assert!(plan.is_empty(), "{bad}");
        }
    }
}
