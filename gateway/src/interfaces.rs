//! Interfaces of the host, over rtnetlink: routes of the pools into the TUN device, the protected side's addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::AddressAttribute;
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::firewall::InterfaceName;

/// A connection to the kernel's routing, in the network namespace of the calling thread.
pub(crate) struct Interfaces(Handle);

impl Interfaces {
    /// Opens it; its task ends with this.
    ///
    /// # Errors
    /// If the socket cannot be had.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().context("open a netlink socket")?;
        actix_rt::spawn(connection);
        Ok(Self(handle))
    }

    /// Routes the pools into the device with this index, and nowhere else.
    ///
    /// # Errors
    /// If the kernel refuses a route.
    pub(crate) async fn route(&self, pools: &[IpNet], device: u32) -> anyhow::Result<()> {
        for pool in pools {
            let message = match pool.trunc() {
                IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
                    .destination_prefix(net.addr(), net.prefix_len())
                    .output_interface(device)
                    .build(),
                IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
                    .destination_prefix(net.addr(), net.prefix_len())
                    .output_interface(device)
                    .build(),
            };
            let added = self.0.route().add(message).replace().execute().await;
            added.with_context(|| format!("route {pool} into the tunnels"))?;
        }
        Ok(())
    }

    /// Every address of this host.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub(crate) async fn own_addresses(&self) -> anyhow::Result<Vec<IpAddr>> {
        let mut found = vec![];
        let mut addresses = Box::pin(self.0.address().get().execute());
        while let Some(message) = addresses.try_next().await.context("list the host's addresses")? {
            found.extend(message.attributes.iter().filter_map(|attribute| match attribute {
                AddressAttribute::Address(address) | AddressAttribute::Local(address) => Some(*address),
                _ => None,
            }));
        }
        Ok(found)
    }

    /// The first IPv4 and the first global IPv6 address of an interface.
    ///
    /// # Errors
    /// If there is no such interface.
    pub(crate) async fn addresses(&self, name: &InterfaceName) -> anyhow::Result<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
        let mut links = Box::pin(self.0.link().get().match_name(name.as_str()).execute());
        let link = links.try_next().await.with_context(|| format!("find the interface {name}"))?;
        let index = link.with_context(|| format!("there is no interface {name}"))?.header.index;
        let mut found = (None, None);
        let mut addresses = Box::pin(self.0.address().get().set_link_index_filter(index).execute());
        while let Some(message) = addresses.try_next().await? {
            for attribute in &message.attributes {
                match attribute {
                    AddressAttribute::Address(IpAddr::V4(v4)) => found.0 = found.0.or(Some(*v4)),
                    AddressAttribute::Address(IpAddr::V6(v6)) if !v6.is_unicast_link_local() => {
                        found.1 = found.1.or(Some(*v6));
                    }
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}
