//! What stands in the kernel now, of what a tunnel needs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::IpVersion;

use super::{FAMILIES, Kernel, LAST_METRIC, METRIC, RouteError, named, source_of};
use crate::dial::SOCKET_MARK;
use crate::routes::plan::{PlannedRoute, Target};
use crate::routes::{RULE_PRIORITY, TABLE};

/// What the kernel has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::routes) struct Present {
    /// The device is up.
    pub(in crate::routes) up: bool,
    /// Addresses of the device.
    pub(in crate::routes) addresses: BTreeSet<IpAddr>,
    /// Families with the rule that leads to our table.
    pub(in crate::routes) rules: Vec<AddressFamily>,
    /// Our routes; what others put into our table is not among them.
    pub(in crate::routes) routes: BTreeSet<PlannedRoute>,
}

impl Kernel {
    /// Reads it all. A route into the tunnel counts only if it names the source that `sources` give its family: the kernel
    /// takes the source out of IPv6 routes when the address goes, and leaves the routes.
    ///
    /// # Errors
    /// [`RouteError::Refused`]; the device may be gone.
    pub(in crate::routes) async fn present(&self, sources: &[IpAddr]) -> Result<Present, RouteError> {
        let mut present = Present { up: self.is_up().await?, ..Present::default() };
        present.addresses = self.addresses().await?;
        for (family, version) in [(AddressFamily::Inet, IpVersion::V4), (AddressFamily::Inet6, IpVersion::V6)] {
            if self.has_rule(family, version).await? {
                present.rules.push(family);
            }
        }
        for family in FAMILIES {
            let listed = self.routes(family).await;
            let routes = listed.map_err(|cause| RouteError::Refused { what: "to list routes".into(), cause })?;
            present.routes.extend(routes.iter().filter_map(|route| self.planned(route, sources)));
        }
        Ok(present)
    }

    async fn is_up(&self) -> Result<bool, RouteError> {
        let links = self.handle.link().get().match_index(self.index).execute();
        let links: Result<Vec<LinkMessage>, _> = links.try_collect().await;
        let links = links.map_err(|cause| RouteError::Refused { what: "to show the tunnel device".into(), cause })?;
        Ok(links.iter().any(|link| link.header.flags.contains(LinkFlags::Up)))
    }

    async fn addresses(&self) -> Result<BTreeSet<IpAddr>, RouteError> {
        let listed = self.handle.address().get().set_link_index_filter(self.index).execute();
        let listed: Result<Vec<AddressMessage>, _> = listed.try_collect().await;
        let listed = listed.map_err(|cause| RouteError::Refused { what: "to list addresses".into(), cause })?;
        let own = |attribute: &AddressAttribute| match attribute {
            AddressAttribute::Local(address) | AddressAttribute::Address(address) => Some(*address),
            _ => None,
        };
        Ok(listed.iter().flat_map(|message| &message.attributes).filter_map(own).collect())
    }

    /// A kernel without the family has no rule of it.
    async fn has_rule(&self, family: AddressFamily, version: IpVersion) -> Result<bool, RouteError> {
        let listed: Result<Vec<RuleMessage>, _> = self.handle.rule().get(version).execute().try_collect().await;
        match listed {
            Ok(rules) => Ok(rules.iter().any(|rule| rule.header.family == family && is_ours(rule))),
            Err(_) if family == AddressFamily::Inet6 => Ok(false),
            Err(cause) => named("to list routing rules".into(), Err(cause)).map(|()| false),
        }
    }

    /// The route of ours that this is, in every part that matters.
    fn planned(&self, route: &RouteMessage, sources: &[IpAddr]) -> Option<PlannedRoute> {
        let (mut address, mut metric, mut device) = (unspecified(route.header.address_family)?, 0, 0);
        let mut source = None;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(v4)) => address = IpAddr::V4(*v4),
                RouteAttribute::Destination(RouteAddress::Inet6(v6)) => address = IpAddr::V6(*v6),
                RouteAttribute::PrefSource(RouteAddress::Inet(v4)) => source = Some(IpAddr::V4(*v4)),
                RouteAttribute::PrefSource(RouteAddress::Inet6(v6)) => source = Some(IpAddr::V6(*v6)),
                RouteAttribute::Priority(number) => metric = *number,
                RouteAttribute::Oif(index) => device = *index,
                _ => {}
            }
        }
        let prefix = IpNet::new(address, route.header.destination_prefix_length).ok()?;
        let target = match (route.header.kind, metric) {
            (RouteType::Unicast, METRIC) if device == self.index && source == source_of(prefix, sources) => {
                Target::Tunnel
            }
            (RouteType::BlackHole, LAST_METRIC) => Target::Blackhole,
            (RouteType::Throw, METRIC) => Target::Beside,
            _ => return None,
        };
        Some(PlannedRoute { prefix, target })
    }
}

fn is_ours(rule: &RuleMessage) -> bool {
    let wanted = [
        RuleAttribute::Table(TABLE),
        RuleAttribute::Priority(RULE_PRIORITY),
        RuleAttribute::FwMark(SOCKET_MARK),
        RuleAttribute::FwMask(u32::MAX),
    ];
    rule.header.action == RuleAction::ToTable
        && rule.header.flags.contains(RuleFlags::Invert)
        && wanted.iter().all(|attribute| rule.attributes.contains(attribute))
}

const fn unspecified(family: AddressFamily) -> Option<IpAddr> {
    match family {
        AddressFamily::Inet => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        AddressFamily::Inet6 => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        _ => None,
    }
}
