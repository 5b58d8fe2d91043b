//! Orders that wait for a second administrator (T65): what can end the Collective is asked for by one and approved by another.
//!
//! What is kept is what was asked, not what it came to: whoever carries it out decides it anew in the state of that moment.
//! Promises that nobody approves what he asked for, that an order ends with the session in which it was asked, and that it is
//! carried out once: [`ApproveOrder`] takes it out in the entry that does it.

use std::time::Duration;

use ringwall_protocol::id::{AdminSessionId, ApplianceId};
use ringwall_protocol::name::UserDn;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::admin_session::AdminSession;
use super::candidate::AdmitController;
use super::collective::ChangeSettings;
use super::command::Command;
use super::object::Expected;
use super::rejection::Rejection;
use super::reply::Reply;
use super::revocation::Revoke;
use super::step::Step;

/// How long an order waits.
pub const WAITS: Duration = Duration::from_secs(15 * 60);
/// Most orders of one administrator that wait.
pub const MAX_OF_ONE: usize = 8;
/// Most orders that wait.
pub const MAX_WAITING: usize = 64;
/// Longest summary, in bytes.
const MAX_SUMMARY: usize = 512;
/// Longest order, in bytes of its encoding: a role with a few hundred privileges fits.
const MAX_ORDER: usize = 64 * 1024;

/// What needs two administrators, as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProtectedOrder {
    /// A Controller becomes a member.
    AdmitController(AdmitController),
    /// A Controller begins to retire.
    RetireController(ApplianceId),
    /// A Controller is removed at once.
    #[serde(rename_all = "camelCase")]
    RemoveController {
        /// Its appliance.
        appliance: ApplianceId,
        /// What the caller had read of the appliance.
        expected: Expected,
    },
    /// Tokens of everybody, or of all users of a provider, are revoked.
    RevokeTokens(Box<Revoke>),
    /// Orders need no second administrator any more.
    EndDualControl(Box<ChangeSettings>),
    /// A new break-glass code; it is made when the order is carried out.
    RenewBreakGlass,
    /// Objects are written that give somebody the authority to approve.
    HandOnAuthority(Command),
}

/// An order that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingOrder {
    /// Chosen by the proposer.
    pub id: Uuid,
    /// What will be done.
    pub order: ProtectedOrder,
    /// The same for people, at most 512 bytes.
    pub summary: String,
    /// Who asked.
    pub asked_by: UserDn,
    /// The session in which it was asked; the order ends with it.
    pub session: AdminSessionId,
    /// When it was asked.
    pub asked_at: UnixMillis,
    /// Until when it can be approved.
    pub expires_at: UnixMillis,
}

/// An administrator asks for an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskApproval {
    /// Names the order from now on.
    pub id: Uuid,
    /// What is to be done.
    pub order: ProtectedOrder,
    /// The same for people, at most 512 bytes.
    pub summary: String,
    /// Session of the administrator who asks.
    pub session: AdminSessionId,
}

/// Another administrator approves: proposed in one group with what the order comes to, so that both happen or neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproveOrder {
    /// Id of the order.
    pub order: Uuid,
    /// Session of the administrator who approves.
    pub session: AdminSessionId,
}

/// An order is not wanted any more, or has ended; absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawOrder {
    /// Id of the order.
    pub order: Uuid,
}

impl AskApproval {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let asked_by = session_of(step.state, self.session)?.dn.user.clone();
        self.check_size()?;
        if step.state.waiting_orders.contains(&self.id) {
            return Err(Rejection::exists("order", self.id));
        }
        for ended in step.state.ended_orders(step.now) {
            step.state.waiting_orders.remove(&ended);
        }
        let of_one = step.state.waiting_orders(step.now).filter(|one| one.asked_by == asked_by).count();
        if of_one >= MAX_OF_ONE {
            return Err(Rejection::too_many("orders of one administrator that wait for approval", MAX_OF_ONE));
        }
        if step.state.waiting_orders.len() >= MAX_WAITING {
            return Err(Rejection::too_many("orders that wait for approval", MAX_WAITING));
        }
        let waiting = WaitingOrder {
            id: self.id,
            order: self.order.clone(),
            summary: self.summary.clone(),
            asked_by,
            session: self.session,
            asked_at: step.now,
            expires_at: step.now.plus(WAITS),
        };
        step.state.waiting_orders.insert(self.id, waiting);
        Ok(Reply::Done)
    }

    fn check_size(&self) -> Result<(), Rejection> {
        if self.summary.len() > MAX_SUMMARY {
            return Err(Rejection::invalid("summary", format!("has at most {MAX_SUMMARY} bytes")));
        }
        if let ProtectedOrder::HandOnAuthority(command) = &self.order
            && !writes_objects_only(command)
        {
            return Err(Rejection::invalid("order", "writes something else than objects and their secrets"));
        }
        let encoded = crate::codec::encode(&self.order).map_or(usize::MAX, |bytes| bytes.len());
        if encoded > MAX_ORDER {
            let message =
                format!("is longer than the {MAX_ORDER} bytes that can wait for approval: ask for it in parts");
            return Err(Rejection::invalid("order", message));
        }
        Ok(())
    }
}

impl ApproveOrder {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let order = step.state.waiting_order(self.order, step.now);
        let order = order.ok_or_else(|| Rejection::not_found("order that waits for approval", self.order))?;
        let (asker, approver) = (session_of(step.state, order.session)?, session_of(step.state, self.session)?);
        if asker.is_of_same_user(approver) {
            return Err(Rejection::invalid("order", "is approved by another administrator than the one who asked"));
        }
        if approver.is_break_glass() {
            return Err(Rejection::invalid("order", "is not approved with the break-glass code"));
        }
        step.state.waiting_orders.remove(&self.order);
        Ok(Reply::Done)
    }
}

impl WithdrawOrder {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.waiting_orders.remove(&self.order);
        Ok(Reply::Done)
    }
}

impl State {
    /// An order that can be approved at `now`.
    #[must_use]
    pub fn waiting_order(&self, id: Uuid, now: UnixMillis) -> Option<&WaitingOrder> {
        self.waiting_orders.find(&id).filter(|one| self.still_waits(one, now))
    }

    /// All orders that can be approved at `now`.
    pub fn waiting_orders(&self, now: UnixMillis) -> impl DoubleEndedIterator<Item = &WaitingOrder> {
        self.waiting_orders.values().filter(move |one| self.still_waits(one, now))
    }

    /// Ids of those that cannot be approved any more.
    pub(crate) fn ended_orders(&self, now: UnixMillis) -> Vec<Uuid> {
        self.waiting_orders.values().filter(|one| !self.still_waits(one, now)).map(|one| one.id).collect()
    }

    fn still_waits(&self, order: &WaitingOrder, now: UnixMillis) -> bool {
        now < order.expires_at && self.admin_session(order.session).is_some()
    }
}

fn session_of(state: &State, id: AdminSessionId) -> Result<&AdminSession, Rejection> {
    state.admin_session(id).ok_or_else(|| Rejection::not_found("administrator's session", id))
}

fn writes_objects_only(command: &Command) -> bool {
    let parts = match command {
        Command::Group(parts) => parts.as_slice(),
        Command::ApplyObjects(batch) => return batch.writes_objects_only(),
        single => std::slice::from_ref(single),
    };
    parts.iter().all(|part| {
        matches!(
            part,
            Command::PutObject(_)
                | Command::DeleteObject(_)
                | Command::SetLocalPassword(_)
                | Command::PutSecret(_)
                | Command::RemoveSecret(_)
                | Command::EndAdminSessionsOf(_)
        )
    })
}
