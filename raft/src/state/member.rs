//! Controllers: who is a member, with which keys, and in which part of its lifecycle.
//!
//! Node ids are log indexes of admissions and never come back. A removed Controller stays recorded: verifiers must
//! know that it is nobody.

use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use ringwall_protocol::membership::{ControllerRecord, KeyRecord, KeyState};
use ringwall_protocol::object::Object;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::signing_key::RETIRED_KEPT;
use super::step::Step;

/// Most addresses of one kind of listener.
const MAX_ADDRESSES: usize = 16;
/// A Controller that retires stays this much longer than what it signed.
const RETIREMENT_MARGIN: Duration = Duration::from_secs(3_600);
/// The present key of an appliance and the next.
const MAX_KEYS: usize = 2;

/// A Controller tells where it is reached and with which keys. What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateController {
    /// Id of the node.
    pub node: NodeId,
    /// The next key, and the present one until the next is shown.
    pub keys: Option<Vec<Thumbprint>>,
    /// Peer listener.
    pub peer_addresses: Option<Vec<String>>,
    /// Client API.
    pub client_addresses: Option<Vec<String>>,
    /// Admin API.
    pub admin_addresses: Option<Vec<String>>,
}

/// A Controller shows the next key of its certificate: the former one counts no more (T73).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndFormerControllerKey {
    /// Id of the node.
    pub node: NodeId,
    /// The key that is shown; if it is not the newest, nothing is changed.
    pub used: Thumbprint,
}

/// The root signed a Controller's intermediates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetIssuers {
    /// Id of the node.
    pub node: NodeId,
    /// DER, base64url.
    pub client_issuer: String,
    /// DER, base64url.
    pub appliance_issuer: String,
}

/// `joining → active → retiring → removed`; also straight to removed. One that retires signs nothing new, and what it signed
/// stays good; the leader removes it when that has ended (T74). Removal invalidates its keys in the same entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeControllerState {
    /// Id of the node.
    pub node: NodeId,
    /// Active, retiring or removed.
    pub state: ApplianceState,
}

impl UpdateController {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let mut record = step.living_controller(self.node)?;
        if let Some(keys) = &self.keys {
            check_keys(keys)?;
            record.keys.clone_from(keys);
        }
        for (new, old) in [
            (&self.peer_addresses, &mut record.peer_addresses),
            (&self.client_addresses, &mut record.client_addresses),
            (&self.admin_addresses, &mut record.admin_addresses),
        ] {
            if let Some(new) = new {
                check_addresses(new)?;
                old.clone_from(new);
            }
        }
        Ok(step.write_controller(record))
    }
}

impl EndFormerControllerKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let record = step.living_controller(self.node)?;
        match without_former(&record.keys, self.used) {
            Some(keys) => Ok(step.write_controller(ControllerRecord { keys, ..record })),
            None => Ok(Reply::Controller(Box::new(record))),
        }
    }
}

impl SetIssuers {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        for (field, text) in [("clientIssuer", &self.client_issuer), ("applianceIssuer", &self.appliance_issuer)] {
            if text.is_empty() || text.len() > 8 * 1024 {
                return Err(Rejection::invalid(field, "has 1 to 8192 characters"));
            }
        }
        let record = ControllerRecord {
            client_issuer: Some(self.client_issuer.clone()),
            appliance_issuer: Some(self.appliance_issuer.clone()),
            ..step.living_controller(self.node)?
        };
        Ok(step.write_controller(record))
    }
}

impl ChangeControllerState {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        use ApplianceState::{Active, Joining, Removed, Retiring};
        let record = step.living_controller(self.node)?;
        match (record.state, self.state) {
            (Joining, Active) if record.client_issuer.is_none() => {
                return Err(Rejection::invalid("state", "cannot be active before the root signed its intermediates"));
            }
            (Joining | Active, Active) | (Active, Retiring) | (_, Removed) => {}
            (from, _) => return Err(wrong_state(self.node, from)),
        }
        match self.state {
            Retiring => {
                let remain = |one: &ControllerRecord| one.state == Active && one.node != self.node;
                if !step.state.controllers().any(remain) {
                    return Err(Rejection::invalid("state", "cannot be retiring: the last active controller stays"));
                }
                step.retire_keys_of(self.node);
                step.state.retiring.insert(self.node, step.now);
            }
            Removed => {
                step.remove_keys_of(self.node);
                step.state.retiring.remove(&self.node);
                step.distrust_keys_of(self.node);
            }
            _ => {}
        }
        if matches!(self.state, Active | Removed) {
            step.state.candidates.remove(&record.appliance);
        }
        Ok(step.write_controller(ControllerRecord { state: self.state, ..record }))
    }
}

impl Step<'_> {
    fn living_controller(&self, node: NodeId) -> Result<ControllerRecord, Rejection> {
        match self.state.controllers.find(&node) {
            None => Err(Rejection::not_found("controller", node)),
            Some(record) if record.state == ApplianceState::Removed => Err(wrong_state(node, record.state)),
            Some(record) => Ok(record.clone()),
        }
    }

    pub(crate) fn write_controller(&mut self, record: ControllerRecord) -> Reply {
        self.state.controllers.insert(record.node, record.clone());
        self.mirror_appliance(record.appliance, record.state);
        self.tell_all(FeedEvent::ControllerChanged { controller: record.clone() });
        Reply::Controller(Box::new(record))
    }

    /// What was first checked before this entry stays provable.
    fn retire_keys_of(&mut self, node: NodeId) {
        let active = |key: &&KeyRecord| key.controller == node && key.state == KeyState::Active;
        let keys: Vec<_> = self.state.keys().filter(active).cloned().collect();
        for key in keys {
            self.write_key(KeyRecord { state: KeyState::Retired, until: Some(self.index), ..key });
        }
    }

    fn remove_keys_of(&mut self, node: NodeId) {
        let mut gone: Vec<_> = self.state.keys().filter(|key| key.controller == node).cloned().collect();
        for key in &mut gone {
            key.state = KeyState::Removed;
            self.write_key(key.clone());
        }
    }

    /// Shows in the administered object what became of the appliance.
    pub(crate) fn mirror_appliance(&mut self, id: ApplianceId, state: ApplianceState) {
        let now = self.now;
        self.state.objects.amend(ringwall_protocol::object::ObjectKind::Appliance, id.uuid(), self.index, |object| {
            if let Object::Appliance(appliance) = object {
                appliance.state = state;
                appliance.activated = !matches!(state, ApplianceState::Inactive | ApplianceState::Removed);
                appliance.base.updated = now;
            }
        });
    }
}

impl State {
    /// Since when a Controller is on its way out.
    #[must_use]
    pub fn retiring_since(&self, node: NodeId) -> Option<UnixMillis> {
        self.retiring.find(&node).copied()
    }

    /// When everything that a Controller signed before it began to retire has ended: tokens, and certificates of Clients.
    #[must_use]
    pub fn retirement_ends(&self, node: NodeId) -> Option<UnixMillis> {
        let certificates = Duration::from_secs(u64::from(self.settings().vpn_certificate_expiration) * 60);
        self.retiring_since(node).map(|since| since.plus(RETIRED_KEPT.max(certificates)).plus(RETIREMENT_MARGIN))
    }
}

fn wrong_state(node: NodeId, state: ApplianceState) -> Rejection {
    Rejection::WrongState { what: format!("controller {node}"), state: format!("{state:?}").to_lowercase() }
}

pub(crate) fn check_addresses(addresses: &[String]) -> Result<(), Rejection> {
    if addresses.len() > MAX_ADDRESSES || addresses.iter().any(|address| address.is_empty() || address.len() > 300) {
        return Err(Rejection::invalid("addresses", format!("are at most {MAX_ADDRESSES}, each of 1 to 300 bytes")));
    }
    Ok(())
}

/// The newest key alone, if it is the one that was used and a former one stands beside it.
pub(crate) fn without_former(keys: &[Thumbprint], used: Thumbprint) -> Option<Vec<Thumbprint>> {
    (keys.len() > 1 && keys.first() == Some(&used)).then(|| vec![used])
}

pub(crate) fn check_keys(keys: &[Thumbprint]) -> Result<(), Rejection> {
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(Rejection::invalid("keys", "are the present one and at most one more"));
    }
    Ok(())
}
