//! Tunnel addresses: one per pool for each user on a device, sticky, and never the same for two (T18).
//!
//! `Held → Quarantined → free`. An address is quarantined when its device goes or has not used it for the pool's
//! lease time, and stays so until nothing can carry it any more: no claims token, no Gateway's lease.

pub mod pool;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ringwall_protocol::id::{DeviceId, IpPoolId, ProviderId, UserId};
use ringwall_protocol::object::IpPool;
use ringwall_protocol::object::settings::MAX_CLAIMS_MINUTES;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Added to every quarantine (T18): time for Gateways to clean their connection tracking.
pub(crate) const QUARANTINE_MARGIN: Duration = Duration::from_secs(60);
/// Most addresses that one sweep frees or quarantines.
const SWEPT: usize = 1_000;

/// The tunnel addresses of a user on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// IPv4, if the provider has a pool.
    pub v4: Option<Ipv4Addr>,
    /// IPv6, if the provider has a pool.
    pub v6: Option<Ipv6Addr>,
}

/// An address in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The address.
    pub(crate) address: IpAddr,
    /// Since when.
    pub(crate) since: UnixMillis,
    /// When a token was last minted with it.
    pub(crate) last_used: UnixMillis,
}

/// Why an address is not free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Taken {
    /// In use.
    Held(UserId, DeviceId),
    /// Waiting until then.
    Quarantined(UnixMillis),
}

/// All addresses that are not free.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressTable {
    held: Map<(UserId, DeviceId, IpPoolId), Held>,
    taken: Map<IpAddr, Taken>,
}

/// Gives a user's device its addresses: those that it has, or free ones of its provider's pools. Propose it for every
/// claims token, so that `lastUsed` is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocateAddresses {
    /// The user.
    pub user_id: UserId,
    /// The user's provider: its pools.
    pub provider_id: ProviderId,
    /// The device; must be registered.
    pub device_id: DeviceId,
}

/// Takes a device's addresses away; its next claims token gets others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseAddress {
    /// The user.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
}

/// Quarantines what was not used for long, and frees what was quarantined long enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepAddresses {}

impl AddressTable {
    /// All addresses in use.
    pub fn held(&self) -> impl DoubleEndedIterator<Item = (UserId, DeviceId, IpPoolId, &Held)> {
        self.held.iter().map(|((user, device, pool), held)| (*user, *device, *pool, held))
    }

    /// Why an address is not free.
    #[must_use]
    pub fn taken(&self, address: IpAddr) -> Option<&Taken> {
        self.taken.find(&address)
    }

    pub(crate) fn any_held_of(&self, pool: IpPoolId) -> bool {
        self.held().any(|(_, _, of, _)| of == pool)
    }

    fn of_device(&self, user: UserId, device: DeviceId) -> impl Iterator<Item = (IpPoolId, &Held)> {
        let (first, last) = (IpPoolId::new(Uuid::nil()), IpPoolId::new(Uuid::max()));
        self.held.range((user, device, first)..=(user, device, last)).map(|((_, _, pool), held)| (*pool, held))
    }

    fn quarantine(&mut self, key: (UserId, DeviceId, IpPoolId), until: UnixMillis) {
        if let Some(held) = self.held.remove(&key) {
            self.taken.insert(held.address, Taken::Quarantined(until));
        }
    }
}

impl AllocateAddresses {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let Some(provider) = step.state.identity_provider(self.provider_id) else {
            return Err(Rejection::not_found("identity provider", self.provider_id));
        };
        if step.state.device(self.user_id, self.device_id).is_none() {
            return Err(Rejection::not_found("device", self.device_id));
        }
        let pools = [provider.ip_pool_v4, provider.ip_pool_v6];
        let mut addresses = Addresses::default();
        for pool in pools.into_iter().flatten() {
            match step.allocate(self.user_id, self.device_id, pool)? {
                IpAddr::V4(v4) => addresses.v4 = Some(v4),
                IpAddr::V6(v6) => addresses.v6 = Some(v6),
            }
        }
        step.release_addresses_outside(self.user_id, self.device_id, &pools);
        Ok(Reply::Addresses(addresses))
    }
}

impl ReleaseAddress {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let until = step.after_last_token();
        step.release_until(self.user_id, self.device_id, until);
        Ok(Reply::Done)
    }
}

impl SweepAddresses {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let until = step.after_last_token();
        for key in step.state.unused_addresses(step.now).take(SWEPT).collect::<Vec<_>>() {
            step.state.addresses.quarantine(key, until);
        }
        for address in step.state.free_again(step.now).take(SWEPT).collect::<Vec<_>>() {
            step.state.addresses.taken.remove(&address);
        }
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    fn allocate(&mut self, user: UserId, device: DeviceId, id: IpPoolId) -> Result<IpAddr, Rejection> {
        let key = (user, device, id);
        let pool = self.state.ip_pool(id).ok_or_else(|| Rejection::not_found("IP pool", id))?.clone();
        if let Some(address) = self.state.addresses.held.find(&key).map(|held| held.address) {
            if pool::permits(&pool, address) {
                if let Some(held) = self.state.addresses.held.find_mut(&key) {
                    held.last_used = self.now;
                }
                return Ok(address);
            }
            let until = self.after_last_token();
            self.state.addresses.quarantine(key, until);
        }
        let address = self.first_free(&pool, device).ok_or(Rejection::NoAddress { pool: id })?;
        self.state.addresses.taken.insert(address, Taken::Held(user, device));
        self.state.addresses.held.insert(key, Held { address, since: self.now, last_used: self.now });
        Ok(address)
    }

    fn first_free(&self, pool: &IpPool, device: DeviceId) -> Option<IpAddr> {
        let appliances = self.state.appliance_addresses();
        pool::first_free(pool, device, |span| {
            let (first, last) = span.bounds();
            let table = self.state.addresses.taken.range(first..=last).map(|(address, _)| *address);
            let mut used: Vec<IpAddr> = appliances.iter().copied().filter(|one| (first..=last).contains(one)).collect();
            if used.is_empty() {
                return Box::new(table);
            }
            used.extend(table);
            used.sort_unstable();
            used.dedup();
            Box::new(used.into_iter())
        })
    }

    /// For a device whose tokens are cut in the same entry: only leases of Gateways can still carry its addresses.
    pub(crate) fn release_addresses(&mut self, user: UserId, device: DeviceId) {
        let until = self.now.plus(self.state.longest_lease()).plus(QUARANTINE_MARGIN);
        self.release_until(user, device, until);
    }

    fn release_addresses_outside(&mut self, user: UserId, device: DeviceId, pools: &[Option<IpPoolId>]) {
        let until = self.after_last_token();
        let gone: Vec<_> = self.state.addresses.of_device(user, device).map(|(pool, _)| pool).collect();
        for pool in gone.into_iter().filter(|pool| !pools.contains(&Some(*pool))) {
            self.state.addresses.quarantine((user, device, pool), until);
        }
    }

    fn release_until(&mut self, user: UserId, device: DeviceId, until: UnixMillis) {
        let pools: Vec<_> = self.state.addresses.of_device(user, device).map(|(pool, _)| pool).collect();
        for pool in pools {
            self.state.addresses.quarantine((user, device, pool), until);
        }
    }

    /// When the last claims token minted until now has expired, and every lease after it.
    fn after_last_token(&self) -> UnixMillis {
        let tokens = Duration::from_secs(u64::from(MAX_CLAIMS_MINUTES) * 60);
        self.now.plus(tokens).plus(self.state.longest_lease()).plus(QUARANTINE_MARGIN)
    }
}

impl State {
    /// All addresses that are not free.
    #[must_use]
    pub const fn addresses(&self) -> &AddressTable {
        &self.addresses
    }

    /// The addresses that a user's device holds now.
    #[must_use]
    pub fn addresses_of(&self, user: UserId, device: DeviceId) -> Addresses {
        let mut found = Addresses::default();
        for (_, held) in self.addresses.of_device(user, device) {
            match held.address {
                IpAddr::V4(v4) => found.v4 = Some(v4),
                IpAddr::V6(v6) => found.v6 = Some(v6),
            }
        }
        found
    }

    /// Longest time that any Gateway acts without confirmation.
    fn longest_lease(&self) -> Duration {
        let seconds = self.sites().map(|site| site.lease_seconds.max(site.grace_seconds.unwrap_or(0))).max();
        Duration::from_secs(u64::from(seconds.unwrap_or(0)))
    }

    /// Addresses that appliances have themselves, where they are given as addresses.
    fn appliance_addresses(&self) -> Vec<IpAddr> {
        let listeners = self.appliances().flat_map(|one| {
            one.client_interface.addresses.iter().chain(&one.peer_interface.addresses).map(String::as_str)
        });
        listeners
            .filter_map(|text| {
                text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()).or_else(|_| text.parse()).ok()
            })
            .collect()
    }

    pub(crate) fn unused_addresses(&self, now: UnixMillis) -> impl Iterator<Item = (UserId, DeviceId, IpPoolId)> {
        self.addresses.held().filter_map(move |(user, device, id, held)| {
            let days = self.ip_pool(id).map_or(0, |pool| u64::from(pool.lease_time_days));
            (held.last_used.plus(Duration::from_secs(days * 24 * 3600)) < now).then_some((user, device, id))
        })
    }

    pub(crate) fn free_again(&self, now: UnixMillis) -> impl Iterator<Item = IpAddr> {
        self.addresses.taken.iter().filter_map(move |(address, taken)| match taken {
            Taken::Quarantined(until) if *until < now => Some(*address),
            Taken::Quarantined(_) | Taken::Held(..) => None,
        })
    }
}
