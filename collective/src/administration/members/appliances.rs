//! The lifecycle of appliances: the seed with which one joins, suspension, removal for ever.

use std::time::Duration;

use ringwall_protocol::id::{ApplianceId, NodeId};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::object::{Appliance, ObjectKind};
use ringwall_protocol::wire::admin::{ExportRequest, MAX_SEED_DAYS};
use ringwall_protocol::wire::join::{JoinRole, SEED_VERSION, Seed, SeedController};
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::gateway::ChangeGatewayState;
use ringwall_raft::state::join_token::{CreateJoinToken, JoinTokenHash};
use ringwall_raft::state::member::ChangeControllerState;
use ringwall_raft::state::object::{DeleteObject, Expected};
use ringwall_raft::{Command, Outcome, State};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::PeerRole;
use uuid::Uuid;

use crate::administration::access::authority::Administrator;
use crate::administration::approvals::carry_out;
use crate::administration::denial::Denial;
use crate::administration::members::Members;
use crate::administration::objects::{Written, not_found, read_back};
use crate::administration::repeat::Repeat;
use crate::audit::event as trail;
use crate::audit::event::Event;
use crate::issuing::check;
use crate::listener::spa;
use crate::peers::other_controllers;
use crate::replica::Replica;

/// Days that a join token is valid unless the caller says otherwise.
const DEFAULT_DAYS: u32 = 1;

impl Members {
    /// A seed for an appliance that has not joined; an earlier one is invalid.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` if it has joined already.
    pub(crate) async fn export_seed(
        &self,
        who: &Administrator,
        id: Uuid,
        request: &ExportRequest,
        repeat: &Repeat,
    ) -> Result<Seed, Denial> {
        let appliance = appliance(who, id, PrivilegeType::Export)?;
        let days = request.validity_days.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_SEED_DAYS).contains(&days) {
            return Err(Denial::field("validityDays", format!("lies between 1 and {MAX_SEED_DAYS}")));
        }
        let state = &who.state;
        let controllers: Vec<SeedController> =
            state.controllers().filter(|one| can_admit(one)).map(seed_controller).collect();
        if controllers.is_empty() {
            return Err(Denial::Conflict("no active Controller has an address for peers".to_owned()));
        }
        let token = SecretKey::generate(&SystemRandom);
        let not_after = who.now.plus(Duration::from_secs(u64::from(days) * 24 * 3600));
        let create =
            CreateJoinToken { appliance: appliance.base.id, token: JoinTokenHash::new(token.digest()), not_after };
        let outcome = repeat.propose(&self.replica, create).await?;
        let (name, id) = (&appliance.base.name, appliance.base.id.to_string());
        trail::changed(who, "join_token_created", "appliances", &id, name, outcome.index);
        trail::secret_read(who, "appliances", name);
        let collective = check::collective(state)?;
        let spa_key = spa::peer_key(state, &self.vault, PeerRole::Join)?;
        Ok(Seed {
            version: SEED_VERSION,
            collective_id: collective.id,
            incarnation: collective.incarnation,
            role: if appliance.gateway.enabled { JoinRole::Gateway } else { JoinRole::Controller },
            appliance_id: appliance.base.id,
            name: name.clone(),
            site_id: appliance.site,
            root_certificate: collective.root_certificate.clone(),
            controllers,
            spa_key: Some(spa_key.expose_text().to_string()),
            join_token: token.expose_text().to_string(),
            not_after,
        })
    }

    /// Suspends a Gateway (it keeps its sessions and takes no new ones), or ends that.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` if it is no Gateway that has joined.
    pub(crate) async fn set_suspended(
        &self,
        who: &Administrator,
        id: Uuid,
        suspended: bool,
        repeat: &Repeat,
    ) -> Result<Written, Denial> {
        let appliance = appliance(who, id, PrivilegeType::Edit)?;
        if who.state.gateway(appliance.base.id).is_none() {
            return Err(Denial::Conflict(format!("{:?} is no Gateway that has joined", appliance.base.name)));
        }
        let (state, kind) = match suspended {
            true => (ApplianceState::Suspended, "appliance_suspended"),
            false => (ApplianceState::Active, "appliance_resumed"),
        };
        let outcome = repeat.propose(&self.replica, ChangeGatewayState { gateway: appliance.base.id, state }).await?;
        let id = appliance.base.id;
        trail::changed(who, kind, "appliances", &id.to_string(), &appliance.base.name, outcome.index);
        read_back(&self.replica, who.now, ObjectKind::Appliance, id.uuid()).await
    }

    /// Begins the planned removal of a Controller: it signs nothing new, hands over, and is removed when what it signed has
    /// ended.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` if it is no active Controller, or the last one.
    pub(crate) async fn retire(&self, who: &Administrator, id: Uuid, repeat: &Repeat) -> Result<Written, Denial> {
        let order = ProtectedOrder::RetireController(ApplianceId::new(id));
        carry_out(&self.replica, who, order, repeat).await?;
        read_back(&self.replica, who.now, ObjectKind::Appliance, id).await
    }

    /// Makes another Controller the leader.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a node that is no active Controller; `Conflict` if the group refuses.
    pub(crate) async fn transfer_leadership(&self, who: &Administrator, node: NodeId) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Edit, PrivilegeTarget::Appliance, None)?;
        let known = who.state.controller(node).filter(|record| record.state == ApplianceState::Active);
        if known.is_none() {
            return Err(Denial::contradiction("node", format!("node {node} is no active Controller")));
        }
        use ringwall_raft::ReconfigureError as Error;
        self.replica.node().transfer_leader(node).await.map_err(|error| match error {
            Error::Refused(why) => Denial::Conflict(why),
            Error::NoQuorum { .. } => crate::refusal::Refusal::no_quorum().into(),
        })?;
        Event::by(who, "leadership_transferred").with("node", node.0).emit();
        Ok(())
    }
}

/// Deletes an appliance; one that joined is a member no more in the same entry. The leader then takes a Controller
/// out of the Raft group; a second administrator may have to approve that (T65).
pub(in crate::administration) async fn remove_appliance(
    replica: &Replica,
    who: &Administrator,
    appliance: &Appliance,
    delete: DeleteObject,
    repeat: &Repeat,
) -> Result<Outcome, Denial> {
    let id = appliance.base.id;
    if living_controller(&who.state, id).is_some() {
        let order = ProtectedOrder::RemoveController { appliance: id, expected: delete.expected };
        return carry_out(replica, who, order, repeat).await;
    }
    let gateway = who.state.gateway(id).filter(|record| record.state != ApplianceState::Removed);
    let Some(gateway) = gateway else { return repeat.propose(replica, delete).await };
    // The first part changes the object's version; its checks were made above.
    let delete = DeleteObject { expected: Default::default(), ..delete };
    let remove = ChangeGatewayState { gateway: gateway.appliance, state: ApplianceState::Removed };
    let outcome = repeat.propose(replica, Command::Group(vec![remove.into(), delete.into()])).await?;
    Event::by(who, "member_removed").with("entity_name", appliance.base.name.as_str()).at(outcome.index).emit();
    Ok(outcome)
}

/// What makes a Controller retire. Pure.
pub(in crate::administration) fn decide_retirement(
    who: &Administrator,
    id: ApplianceId,
) -> Result<ChangeControllerState, Denial> {
    let appliance = appliance(who, id.uuid(), PrivilegeType::Delete)?;
    let record = living_controller(&who.state, id)
        .filter(|record| record.state == ApplianceState::Active)
        .ok_or_else(|| Denial::Conflict(format!("{:?} is no active Controller", appliance.base.name)))?;
    if other_controllers(&who.state, record.node).is_empty() {
        return Err(Denial::Conflict("the last active Controller stays".to_owned()));
    }
    Ok(ChangeControllerState { node: record.node, state: ApplianceState::Retiring })
}

/// What removes a Controller for ever, with its appliance. Pure.
pub(in crate::administration) fn decide_removal(
    who: &Administrator,
    me: NodeId,
    id: ApplianceId,
    expected: Expected,
) -> Result<[Command; 2], Denial> {
    let appliance = appliance(who, id.uuid(), PrivilegeType::Delete)?;
    let record = living_controller(&who.state, id)
        .ok_or_else(|| Denial::Conflict(format!("{:?} is no Controller that has joined", appliance.base.name)))?;
    may_be_removed(me, &who.state, record)?;
    let version = who.state.object(ObjectKind::Appliance, id.uuid()).map(|stored| stored.version);
    if let (Expected::Version(expected), Some(actual)) = (expected, version)
        && expected != actual
    {
        return Err(Denial::Conflict(format!("expected version {expected}, it is at {actual}")));
    }
    // The first part changes the object's version; it was compared above.
    let delete = DeleteObject { kind: ObjectKind::Appliance, id: id.uuid(), expected: Expected::Anything };
    Ok([ChangeControllerState { node: record.node, state: ApplianceState::Removed }.into(), delete.into()])
}

fn may_be_removed(me: NodeId, state: &State, record: &ControllerRecord) -> Result<(), Denial> {
    if record.node == me {
        return Err(Denial::Conflict("a Controller does not remove itself: ask another one".to_owned()));
    }
    let remaining = state.controllers().filter(|one| one.state == ApplianceState::Active && one.node != record.node);
    if remaining.count() == 0 {
        return Err(Denial::Conflict("the last active Controller stays".to_owned()));
    }
    Ok(())
}

fn appliance(who: &Administrator, id: Uuid, action: PrivilegeType) -> Result<&Appliance, Denial> {
    who.authority.require_some(action, PrivilegeTarget::Appliance)?;
    let found = who.state.appliance(ApplianceId::new(id)).ok_or_else(|| not_found(ObjectKind::Appliance, id))?;
    who.authority.require(action, PrivilegeTarget::Appliance, Some((id, &found.base.tags)))?;
    Ok(found)
}

fn living_controller(state: &State, appliance: ApplianceId) -> Option<&ControllerRecord> {
    state.living_controllers().find(|one| one.appliance == appliance)
}

fn can_admit(record: &ControllerRecord) -> bool {
    record.state == ApplianceState::Active && record.appliance_issuer.is_some() && !record.peer_addresses.is_empty()
}

fn seed_controller(record: &ControllerRecord) -> SeedController {
    SeedController { addresses: record.peer_addresses.clone(), spki_sha256: record.keys.clone() }
}
