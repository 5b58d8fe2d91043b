//! Registered devices, and the tokens that they hold: list, revoke, have evaluated anew, remove.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringwall_protocol::device::DeviceRegistration;
use ringwall_protocol::id::SiteId;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{GatewayEnforcement, List, OnBoardedDevice, RevokeAnswer, RevokeRequest};
use ringwall_raft::State;
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::device::{RemoveDevice, RevokeDeviceSpaKey};
use ringwall_raft::state::revocation::Reevaluate;
use serde_json::Value;

use super::revocation_order::{Order, parse_filter};
use crate::administration::access::authority::Administrator;
use crate::administration::approvals;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event as trail;
use crate::audit::event::Event;
use crate::revocation::enforcement::EnforcementOutcome;

/// How long beyond the longest lease `wait=enforced` waits: by then every Gateway enforces or is closed.
const BEYOND_LEASE: Duration = Duration::from_secs(2);

/// How devices are searched and sorted.
const HABITS: Habits =
    Habits { searched: &["distinguishedName", "username", "hostname", "providerName"], order_by: "distinguishedName" };

impl Users {
    /// Registered devices, a page at a time.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_devices(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::RegisteredDevice, None)?;
        let devices = who.state.devices().map(|device| serde_json::to_value(shown(device)).unwrap_or_default());
        Ok(wanted.of(devices.collect(), HABITS))
    }

    /// One registered device.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) fn read_device(&self, who: &Administrator, dn: &SessionDn) -> Result<OnBoardedDevice, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::RegisteredDevice, None)?;
        registration(&who.state, dn).map(shown)
    }

    /// Removes a registration and cuts what it had.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn forget_device(
        &self,
        who: &Administrator,
        dn: &SessionDn,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::RegisteredDevice, None)?;
        let device = registration(&who.state, dn)?;
        let remove = RemoveDevice {
            user_id: device.user_id,
            device_id: device.device_id,
            reason: format!("removed by {}", who.dn.user),
        };
        let outcome = repeat.propose(&self.replica, remove).await?;
        trail::changed(who, "device_removed", "on-boarded-devices", &dn.to_string(), &dn.to_string(), outcome.index);
        Ok(())
    }

    /// Takes a device's own SPA key away; its registration, tokens and sessions stay (T21).
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn revoke_device_spa_key(
        &self,
        who: &Administrator,
        dn: &SessionDn,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice, None)?;
        let device = registration(&who.state, dn)?;
        let revoke = RevokeDeviceSpaKey { user_id: device.user_id, device_id: device.device_id };
        let outcome = repeat.propose(&self.replica, revoke).await?;
        let dn = dn.to_string();
        trail::changed(who, "device_spa_key_revoked", "on-boarded-devices", &dn, &dn, outcome.index);
        Ok(())
    }

    /// Has live sessions evaluated anew; answers whose.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` if the DN is none.
    pub(crate) async fn reevaluate_sessions(
        &self,
        who: &Administrator,
        filter: &str,
        repeat: &Repeat,
    ) -> Result<Vec<SessionDn>, Denial> {
        who.authority.require(PrivilegeType::Reevaluate, PrivilegeTarget::RegisteredDevice, None)?;
        let scope = parse_filter(filter).map_err(|message| Denial::field("distinguished-name", message))?;
        let outcome = repeat.propose(&self.replica, Reevaluate { scope: scope.clone() }).await?;
        Event::by(who, "sessions_reevaluated").with("distinguished_name_filter", filter).at(outcome.index).emit();
        let live: BTreeSet<&SessionDn> =
            who.state.bindings().map(|one| &one.dn).filter(|dn| scope.matches(dn)).collect();
        Ok(live.into_iter().cloned().collect())
    }

    /// Revokes tokens as a request says.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` field by field.
    pub(crate) async fn revoke_tokens(
        &self,
        who: &Administrator,
        request: &RevokeRequest,
        repeat: &Repeat,
    ) -> Result<RevokeAnswer, Denial> {
        let since = Instant::now();
        who.authority.require(PrivilegeType::Revoke, PrivilegeTarget::RegisteredDevice, None)?;
        let order = Order::read(request, &who.state)?;
        let mut indexes = Vec::with_capacity(order.scopes.len());
        for (nth, revoke) in order.revocations(&who.state).into_iter().enumerate() {
            let repeat = repeat.nth(nth);
            let outcome = match approvals::concerns_everybody(&revoke) {
                true => {
                    approvals::carry_out(&self.replica, who, ProtectedOrder::RevokeTokens(revoke.into()), &repeat)
                        .await?
                }
                false => repeat.propose(&self.replica, revoke).await?,
            };
            indexes.push(outcome.reply.revocation().ok_or_else(crate::refusal::Refusal::internal)?);
        }
        Event::by(who, "revocation_added")
            .with("distinguished_name_filter", request.distinguished_name_filter.as_str())
            .with("reason", order.reason.as_str())
            .with("indexes", indexes.iter().map(|index| index.0).collect::<Vec<_>>())
            .emit();
        let last = indexes.iter().max().copied();
        let enforced = match last.filter(|_| order.wait) {
            Some(index) => self.enforcement_of(&who.state, index, order.site, since).await,
            None => Vec::new(),
        };
        let concerned = who.state.devices().filter(|device| order.scopes.iter().any(|scope| scope.matches(&device.dn)));
        let data = concerned.map(shown).collect();
        Ok(RevokeAnswer { data, indexes, kinds: order.kinds.into_iter().collect(), enforced })
    }

    async fn enforcement_of(
        &self,
        state: &State,
        index: ringwall_protocol::id::LogIndex,
        site: Option<SiteId>,
        since: Instant,
    ) -> Vec<GatewayEnforcement> {
        let lease = |site: SiteId| {
            let seconds = state.site(site).map_or(0, |site| site.lease_seconds.max(site.grace_seconds.unwrap_or(0)));
            Duration::from_secs(u64::from(seconds.min(60)))
        };
        let concerned = state.gateways().filter(|gateway| site.is_none_or(|only| gateway.site == only));
        let longest = concerned.map(|gateway| lease(gateway.site)).max().unwrap_or_default();
        let found = self.revocation.wait_enforced(index, site, since, since + longest + BEYOND_LEASE).await;
        let told = found.into_iter().map(|one| {
            let (enforced_after_ms, lease_ends) = match one.outcome {
                EnforcementOutcome::Enforced(after) => (Some(after.as_secs_f64() * 1_000.0), None),
                EnforcementOutcome::Pending => (None, Some(self.replica.now().plus(lease(one.site)))),
                EnforcementOutcome::Unreachable { lease_ends } => (None, lease_ends),
            };
            let lease_ends = lease_ends.map(|ends| ends.to_string());
            GatewayEnforcement { gateway: one.gateway, name: one.name, enforced_after_ms, lease_ends }
        });
        told.collect()
    }
}

fn registration<'a>(state: &'a State, dn: &SessionDn) -> Result<&'a DeviceRegistration, Denial> {
    let found = state.devices().find(|device| device.dn == *dn);
    found.ok_or_else(|| Denial::NotFound(format!("there is no registered device {dn}")))
}

fn shown(device: &DeviceRegistration) -> OnBoardedDevice {
    OnBoardedDevice {
        distinguished_name: device.dn.clone(),
        device_id: device.device_id,
        username: device.dn.user.user.to_string(),
        provider_name: device.dn.user.provider.to_string(),
        device_type: "Client".to_owned(),
        hostname: device.hostname.clone(),
        on_boarded_at: device.on_boarded_at,
        last_seen_at: device.last_seen_at,
    }
}
