//! Admission of Controllers (T58). A seed lets a Controller ask; what makes it a member is this order, by whoever holds the
//! privilege for it and has compared the key's fingerprint with what the joining Controller printed.

use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{AdmitRequest, List, WaitingController};
use ringwall_raft::State;
use ringwall_raft::state::approval::ProtectedOrder;
use ringwall_raft::state::candidate::{AdmitController, Candidate, TurnAway};
use ringwall_trust::identity::Fingerprint;
use serde_json::Value;
use uuid::Uuid;

use crate::administration::access::authority::Administrator;
use crate::administration::approvals::carry_out;
use crate::administration::denial::Denial;
use crate::administration::members::Members;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::audit::event::Event;

impl Members {
    /// Controllers that ask to join.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_waiting(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::ControllerAdmission, None)?;
        let rows = waiting(&who.state).filter_map(|one| serde_json::to_value(one).ok());
        Ok(wanted.of(rows.collect(), Habits::OBJECTS))
    }

    /// Makes a Controller that asks a member: it gets a certificate, intermediates, the key-encryption key, and votes.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` for a fingerprint that is not its key's; `Conflict` if it is a member already.
    pub(crate) async fn admit(
        &self,
        who: &Administrator,
        id: Uuid,
        request: &AdmitRequest,
        repeat: &Repeat,
    ) -> Result<NodeId, Denial> {
        let compared: Fingerprint =
            request.fingerprint.parse().map_err(|error| Denial::field("fingerprint", format!("{error}")))?;
        let order = AdmitController { appliance: ApplianceId::new(id), key: Thumbprint(compared.0) };
        let outcome = carry_out(&self.replica, who, ProtectedOrder::AdmitController(order), repeat).await?;
        // The node id is the index of the entry that admitted it.
        Ok(NodeId(outcome.index.0))
    }

    /// Turns a Controller away that asks; its seed is invalid.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` if it is a member already.
    pub(crate) async fn turn_away(&self, who: &Administrator, id: Uuid, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Admit, PrivilegeTarget::ControllerAdmission, None)?;
        let candidate = candidate(&who.state, id)?;
        let outcome = repeat.propose(&self.replica, TurnAway { appliance: candidate.appliance }).await?;
        let event = Event::by(who, "controller_turned_away").with("entity_name", candidate.name.as_str());
        event.with("appliance_id", id.to_string()).at(outcome.index).emit();
        Ok(())
    }
}

/// Controllers that ask and are no members.
pub(super) fn waiting(state: &State) -> impl Iterator<Item = WaitingController> {
    state.candidates().filter(|one| one.node.is_none()).map(|one| WaitingController {
        id: one.appliance,
        name: one.name.clone(),
        fingerprint: Fingerprint(one.key.0).to_string(),
        source: one.source.to_canonical(),
        asked: one.asked_at,
        peer_addresses: one.peer_addresses.clone(),
    })
}

/// Whether the caller may admit this Controller with this key. Pure.
pub(in crate::administration) fn decide_admission<'a>(
    who: &'a Administrator,
    order: &AdmitController,
) -> Result<&'a Candidate, Denial> {
    who.authority.require(PrivilegeType::Admit, PrivilegeTarget::ControllerAdmission, None)?;
    let candidate = candidate(&who.state, order.appliance.uuid())?;
    if order.key != candidate.key {
        let message = "is not that of the key with which this Controller asks: another machine may have used its seed; \
                       turn it away, and give the right one a new seed";
        return Err(Denial::contradiction("fingerprint", message));
    }
    Ok(candidate)
}

fn candidate(state: &State, id: Uuid) -> Result<&Candidate, Denial> {
    state
        .candidate(ApplianceId::new(id))
        .ok_or_else(|| Denial::NotFound(format!("no Controller of appliance {id} asks to join")))
}
