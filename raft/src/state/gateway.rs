//! Gateways: those that joined, with their keys, and whether they take sessions.
//!
//! Name, addresses and weight come from the administered appliance object; state and keys are kept here. A Gateway
//! stays in the Site in which it joined.

use std::net::IpAddr;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, Thumbprint};
use ringwall_protocol::membership::{GatewayRecord, MAX_INTERFACE_ADDRESSES};
use ringwall_protocol::object::Appliance;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::RevocationMode;
use serde::{Deserialize, Serialize};

use super::join_token::JoinTokenHash;
use super::member::{check_keys, without_former};
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::spa::SpaKey;
use super::spa_master::PeerKeyHolder;
use super::step::{Cutoff, Step};

/// A Gateway joins with a join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmitGateway {
    /// SHA-256 of the token that it brought.
    pub token: JoinTokenHash,
    /// Its key.
    pub key: Thumbprint,
    /// The key with which Clients knock on it, sealed.
    pub spa_key: Sealed,
}

/// A Gateway's certificate was renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewGatewayKey {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// The next key, and the present one until the next was used.
    pub keys: Vec<Thumbprint>,
}

/// A Gateway told which addresses its host has, so that no name leads there at its siblings (T79).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoteInterfaces {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// At most [`MAX_INTERFACE_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
}

/// A Gateway used the next key of its certificate: the former one counts no more (T73).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndFormerGatewayKey {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// The key that was used; if it is not the newest, nothing is changed.
    pub used: Thumbprint,
}

/// `active ⇄ suspended → retiring → removed`; removal cuts the Site's entitlement tokens in the same entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeGatewayState {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// Active, suspended, retiring or removed.
    pub state: ApplianceState,
}

impl AdmitGateway {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.spa_key.check_active("spaKey", &step.state.kek)?;
        let id = step.spend_join_token(&self.token, self.key)?;
        let Some(appliance) = step.state.appliance(id) else {
            return Err(Rejection::not_found("appliance", id));
        };
        let (true, Some(site)) = (appliance.gateway.enabled, appliance.site) else {
            return Err(Rejection::invalid("role", "is not that of a Gateway with a Site"));
        };
        let record = GatewayRecord {
            appliance: id,
            name: appliance.base.name.clone(),
            site,
            state: ApplianceState::Active,
            keys: vec![self.key],
            addresses: appliance.client_interface.addresses.clone(),
            interface_addresses: Vec::new(),
            weight: appliance.gateway.vpn.weight,
        };
        let key = SpaKey { generation: 1, sealed: self.spa_key.clone(), since: step.now, at: step.index };
        step.state.spa.insert(id, vec![key]);
        Ok(step.write_gateway(record))
    }
}

impl RenewGatewayKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        check_keys(&self.keys)?;
        let record = GatewayRecord { keys: self.keys.clone(), ..step.living_gateway(self.gateway)? };
        Ok(step.write_gateway(record))
    }
}

impl NoteInterfaces {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.addresses.len() > MAX_INTERFACE_ADDRESSES {
            return Err(Rejection::invalid("addresses", format!("are at most {MAX_INTERFACE_ADDRESSES}")));
        }
        let record = step.living_gateway(self.gateway)?;
        Ok(step.write_gateway(GatewayRecord { interface_addresses: self.addresses.clone(), ..record }))
    }
}

impl EndFormerGatewayKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let record = step.living_gateway(self.gateway)?;
        match without_former(&record.keys, self.used) {
            Some(keys) => Ok(step.write_gateway(GatewayRecord { keys, ..record })),
            None => Ok(Reply::Gateway(Box::new(record))),
        }
    }
}

impl ChangeGatewayState {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        use ApplianceState::{Active, Removed, Retiring, Suspended};
        let record = step.living_gateway(self.gateway)?;
        match (record.state, self.state) {
            (Active | Suspended, Active | Suspended | Retiring) | (_, Removed) => {}
            (from, _) => return Err(wrong_state(self.gateway, from)),
        }
        let (site, name) = (record.site, record.name.clone());
        let reply = step.write_gateway(GatewayRecord { state: self.state, ..record });
        if self.state != Removed {
            return Ok(reply);
        }
        step.state.spa.remove(&self.gateway);
        step.forget_peer_key(PeerKeyHolder::Gateway(self.gateway));
        step.tell_spa(self.gateway);
        step.state.bindings.end_all_at(self.gateway);
        let reason = format!("gateway {name} was removed");
        step.revoke(Cutoff::entitlements(Some(site), RevocationMode::Cut, reason)).map(Reply::Revoked)
    }
}

impl Step<'_> {
    pub(crate) fn living_gateway(&self, id: ApplianceId) -> Result<GatewayRecord, Rejection> {
        match self.state.gateways.find(&id) {
            None => Err(Rejection::not_found("gateway", id)),
            Some(record) if record.state == ApplianceState::Removed => Err(wrong_state(id, record.state)),
            Some(record) => Ok(record.clone()),
        }
    }

    fn write_gateway(&mut self, record: GatewayRecord) -> Reply {
        self.state.gateways.insert(record.appliance, record.clone());
        self.mirror_appliance(record.appliance, record.state);
        self.tell_site(record.site, FeedEvent::GatewayChanged { gateway: record.clone() });
        Reply::Gateway(Box::new(record))
    }

    /// Takes over what the administrator changed in the object of a Gateway that joined.
    pub(crate) fn follow_appliance(&mut self, appliance: &Appliance) -> Result<(), Rejection> {
        let Some(known) = self.state.gateways.find(&appliance.base.id) else { return Ok(()) };
        if known.state == ApplianceState::Removed {
            return Ok(());
        }
        if appliance.site != Some(known.site) || !appliance.gateway.enabled {
            return Err(Rejection::invalid(
                "site",
                "of a Gateway that has joined cannot change: remove it, add a new one",
            ));
        }
        let record = GatewayRecord {
            name: appliance.base.name.clone(),
            addresses: appliance.client_interface.addresses.clone(),
            weight: appliance.gateway.vpn.weight,
            ..known.clone()
        };
        if record != *known {
            self.write_gateway(record);
        }
        self.tell_spa(appliance.base.id);
        Ok(())
    }
}

fn wrong_state(id: ApplianceId, state: ApplianceState) -> Rejection {
    Rejection::WrongState { what: format!("gateway {id}"), state: format!("{state:?}").to_lowercase() }
}
