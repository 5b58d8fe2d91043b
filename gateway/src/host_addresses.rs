//! The addresses of this host and of the appliances that the Collective lists by name: no name of an entitlement leads
//! there (T79). The Controllers are told of this host's, so that the Site's other Gateways know them too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_actors::feed::FeedOutbox;
use ringwall_actors::registry::published::Published;

use crate::interfaces::Interfaces;
use crate::names::{Names, places};

/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How long the host's name servers have for the names of all appliances.
const RESOLVE: Duration = Duration::from_secs(5);
/// Appliances' host names that are looked up.
const MAX_HOST_NAMES: usize = 256;

/// Looks for ever, as long as this task is wanted.
pub(crate) async fn watch(interfaces: Interfaces, names: Names, published: Published, outbox: Arc<FeedOutbox>) {
    let mut own = vec![];
    loop {
        match own_addresses(&interfaces).await {
            Ok(addresses) => own = addresses,
            Err(error) => tracing::warn!(%error, "cannot list the addresses of this host; keeping the last list"),
        }
        outbox.interfaces(own.iter().copied().filter(|address| is_reached_from_elsewhere(*address)).collect());
        let appliances = appliances(&published).await;
        names.found(own.iter().copied().chain(appliances));
        tokio::time::sleep(LOOK).await;
    }
}

async fn own_addresses(interfaces: &Interfaces) -> anyhow::Result<Vec<IpAddr>> {
    let mut addresses = interfaces.own_addresses().await?;
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// What the host names of appliances stand for; those that cannot be resolved in time are left out.
async fn appliances(published: &Published) -> Vec<IpAddr> {
    let Some(snapshot) = published.snapshot() else { return vec![] };
    let by_name = places(&snapshot.view).filter(|place| place.parse::<std::net::SocketAddr>().is_err());
    let lookups = by_name.take(MAX_HOST_NAMES).map(|place| tokio::net::lookup_host(place.to_owned()));
    let found = tokio::time::timeout(RESOLVE, futures_util::future::join_all(lookups)).await.unwrap_or_default();
    found.into_iter().flatten().flatten().map(|address| address.ip()).collect()
}

fn is_reached_from_elsewhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}
