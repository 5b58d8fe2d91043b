//! Addresses, rules and routes by rtnetlink, in the network namespace of the calling thread.

use std::io;
use std::net::IpAddr;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::{Handle, IpVersion, LinkUnspec, RouteMessageBuilder};
use rustix::io::Errno;

use super::plan::{PlannedRoute, Target};
use super::{RULE_PRIORITY, TABLE, host};
use crate::dial::SOCKET_MARK;

mod present;

pub(super) use present::Present;

/// The families of rules and routes.
pub(super) const FAMILIES: [AddressFamily; 2] = [AddressFamily::Inet, AddressFamily::Inet6];

/// Metric of routes into the tunnel.
const METRIC: u32 = 10;
/// Metric of the blackholes behind them: the kernel's worst.
const LAST_METRIC: u32 = u32::MAX;

/// The kernel refused something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Socket(#[source] io::Error),
    /// A request failed.
    #[error("the kernel refuses {what}: {cause}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What it said.
        cause: rtnetlink::Error,
    },
    /// The guard cannot be changed; then nothing else was.
    #[error("the kernel refuses the guard of Sites' networks")]
    Guard(#[source] io::Error),
}

pub(super) struct Kernel {
    handle: Handle,
    index: u32,
    task: tokio::task::JoinHandle<()>,
}

impl Kernel {
    pub(super) fn open(index: u32) -> Result<Self, RouteError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(RouteError::Socket)?;
        Ok(Self { handle, index, task: tokio::spawn(connection) })
    }

    /// Takes the device up.
    pub(super) async fn set_up(&self) -> Result<(), RouteError> {
        let link = LinkUnspec::new_with_index(self.index).up().build();
        named("to take the tunnel device up".into(), self.handle.link().set(link).execute().await)
    }

    /// Gives the device an address. Returns false if this machine does without IPv6.
    pub(super) async fn add_address(&self, address: IpAddr) -> Result<bool, RouteError> {
        let prefix = host(address);
        let mut request = self.handle.address().add(self.index, address, prefix.prefix_len()).replace();
        if address.is_ipv6() {
            // Usable as the source of a route at once; a TUN device has no neighbours to ask for duplicates.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let result = request.execute().await;
        if address.is_ipv6() && without_ipv6(&result) {
            return Ok(false);
        }
        named(format!("address {address}"), result).map(|()| true)
    }

    pub(super) async fn remove_address(&self, address: IpAddr) -> Result<(), RouteError> {
        let prefix = host(address);
        let mut request = self.handle.address().add(self.index, address, prefix.prefix_len());
        let message: AddressMessage = request.message_mut().clone();
        named(
            format!("to take address {address} away"),
            gone_is_fine(self.handle.address().del(message).execute().await),
        )
    }

    /// Everything without our mark asks our table first. Returns false if the kernel has no such family.
    pub(super) async fn add_rule(&self, family: AddressFamily) -> Result<bool, RouteError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = rule(family);
        let result = request.execute().await;
        if family == AddressFamily::Inet6 && without_ipv6(&result) {
            return Ok(false);
        }
        if errno(&result) == Some(Errno::EXIST) {
            return Ok(true);
        }
        named(format!("a routing rule for {family:?}"), result).map(|()| true)
    }

    pub(super) async fn add_route(&self, route: &PlannedRoute, sources: &[IpAddr]) -> Result<(), RouteError> {
        let message = self.message(route, sources);
        let result = self.handle.route().add(message).replace().execute().await;
        if route.prefix.addr().is_ipv6() && without_ipv6(&result) {
            return Ok(());
        }
        named(format!("route {} ({:?})", route.prefix, route.target), result)
    }

    pub(super) async fn remove_route(&self, route: &PlannedRoute) -> Result<(), RouteError> {
        let message = self.message(route, &[]);
        let result = gone_is_fine(self.handle.route().del(message).execute().await);
        if route.prefix.addr().is_ipv6() && without_ipv6(&result) {
            return Ok(());
        }
        named(format!("to take route {} away", route.prefix), result)
    }

    /// Removes our rules, and all routes of our table, whoever made them.
    pub(super) async fn remove_leftovers(&self) -> Result<(), RouteError> {
        for version in [IpVersion::V4, IpVersion::V6] {
            let rules: Result<Vec<RuleMessage>, _> = self.handle.rule().get(version).execute().try_collect().await;
            for rule in rules.unwrap_or_default() {
                if rule.attributes.contains(&RuleAttribute::Table(TABLE)) {
                    named(
                        "to take a routing rule away".into(),
                        gone_is_fine(self.handle.rule().del(rule).execute().await),
                    )?;
                }
            }
        }
        for family in FAMILIES {
            for route in self.routes(family).await.unwrap_or_default() {
                named("to take a route away".into(), gone_is_fine(self.handle.route().del(route).execute().await))?;
            }
        }
        Ok(())
    }

    /// The routes of our table.
    async fn routes(&self, family: AddressFamily) -> Result<Vec<RouteMessage>, rtnetlink::Error> {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        let mut routes: Vec<RouteMessage> = self.handle.route().get(all).execute().try_collect().await?;
        // A kernel without this family lists another one's.
        routes.retain(|route| {
            route.header.address_family == family && route.attributes.contains(&RouteAttribute::Table(TABLE))
        });
        Ok(routes)
    }

    fn message(&self, route: &PlannedRoute, sources: &[IpAddr]) -> RouteMessage {
        let PlannedRoute { prefix, target } = *route;
        let mut builder = RouteMessageBuilder::<IpAddr>::new()
            .table_id(TABLE)
            .protocol(RouteProtocol::Static)
            .destination_prefix(prefix.addr(), prefix.prefix_len())
            .expect("a prefix fits its own address family");
        match target {
            Target::Tunnel => {
                builder = builder.output_interface(self.index).scope(RouteScope::Link).priority(METRIC);
                if let Some(source) = source_of(prefix, sources) {
                    builder = builder.pref_source(source).expect("families were compared");
                }
            }
            Target::Blackhole => builder = builder.kind(RouteType::BlackHole).priority(LAST_METRIC),
            Target::Beside => builder = builder.kind(RouteType::Throw).priority(METRIC),
        }
        builder.build()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn rule(family: AddressFamily) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = family;
    rule.header.action = RuleAction::ToTable;
    rule.header.flags = RuleFlags::Invert;
    rule.attributes = vec![
        RuleAttribute::Table(TABLE),
        RuleAttribute::Priority(RULE_PRIORITY),
        RuleAttribute::FwMark(SOCKET_MARK),
        RuleAttribute::FwMask(u32::MAX),
    ];
    rule
}

/// The source address of packets that a route leads into the tunnel.
fn source_of(prefix: IpNet, sources: &[IpAddr]) -> Option<IpAddr> {
    sources.iter().copied().find(|source| source.is_ipv4() == prefix.addr().is_ipv4())
}

fn named(what: String, result: Result<(), rtnetlink::Error>) -> Result<(), RouteError> {
    result.map_err(|cause| RouteError::Refused { what, cause })
}

fn errno(result: &Result<(), rtnetlink::Error>) -> Option<Errno> {
    match result {
        Err(rtnetlink::Error::NetlinkError(error)) => Some(Errno::from_raw_os_error(error.raw_code().saturating_abs())),
        _ => None,
    }
}

fn gone_is_fine(result: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    let gone = [Errno::NOENT, Errno::SRCH, Errno::NODEV, Errno::ADDRNOTAVAIL];
    if errno(&result).is_some_and(|error| gone.contains(&error)) { Ok(()) } else { result }
}

/// Kernels can be without IPv6, and devices (`disable_ipv6`); then nothing of it can leak either. A missing privilege is
/// another error (`EPERM`).
fn without_ipv6(result: &Result<(), rtnetlink::Error>) -> bool {
    errno(result).is_some_and(|error| [Errno::AFNOSUPPORT, Errno::OPNOTSUPP, Errno::ACCESS].contains(&error))
}
