//! Dual control (T65): where the settings want it, what can end the Collective is carried out only when a second administrator
//! approves it within 15 minutes.
//!
//! An order is decided when it is asked for, and again when it is approved: for the one who asked and for the one who approves,
//! with the authority that both have then, in the state of that moment. Promises that one administrator alone, with whatever
//! number of sessions, carries none of these orders out, and makes no second administrator for it. What root does on a
//! Controller does not come here.

mod decision;
mod words;

use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::wire::admin::{ApprovedOrder, List, WaitingOrder as Shown};
use ringwall_raft::state::approval::{ApproveOrder, AskApproval, ProtectedOrder, WaitingOrder, WithdrawOrder};
use ringwall_raft::state::break_glass::SetBreakGlass;
use ringwall_raft::{Command, Outcome};
use ringwall_trust::secret::SystemRandom;
use serde_json::Value;
use uuid::Uuid;

pub(in crate::administration) use self::decision::{concerns_everybody, hands_on_approval};
use self::decision::{decide, is_recorded_by_caller};
use self::words::{details, recorded, summary};
use super::access::Access;
use super::access::authority::Administrator;
use super::access::break_glass::BreakGlassCode;
use super::denial::Denial;
use super::objects::listing::{Habits, Wanted};
use super::repeat::Repeat;
use crate::audit::event::Event;
use crate::replica::Replica;

/// How orders are searched and sorted.
const HABITS: Habits = Habits { searched: &["summary", "askedBy"], order_by: "asked" };

/// What keeps and carries out orders that wait.
pub(crate) struct Approvals {
    pub(crate) replica: Replica,
}

/// An order that was carried out.
pub(in crate::administration) struct CarriedOut {
    pub(in crate::administration) outcome: Outcome,
    /// The new break-glass code, if the order was to make one.
    pub(in crate::administration) code: Option<BreakGlassCode>,
}

/// Carries an order out, or has it wait for a second administrator if the settings want one.
///
/// # Errors
/// [`Denial::ApprovalWanted`] if it waits now; otherwise what the order itself is refused for.
pub(in crate::administration) async fn carry_out(
    replica: &Replica,
    who: &Administrator,
    order: ProtectedOrder,
    repeat: &Repeat,
) -> Result<Outcome, Denial> {
    carry_out_with_code(replica, who, order, repeat).await.map(|done| done.outcome)
}

/// The same, for an order that may make a break-glass code.
///
/// # Errors
/// As [`carry_out`].
pub(in crate::administration) async fn carry_out_with_code(
    replica: &Replica,
    who: &Administrator,
    order: ProtectedOrder,
    repeat: &Repeat,
) -> Result<CarriedOut, Denial> {
    let parts = decide(who, replica.me(), &order)?;
    if who.state.settings().dual_control == DualControl::Required {
        return Err(ask(replica, who, order, repeat).await?);
    }
    let done = propose(replica, order.clone(), parts, repeat).await?;
    if !is_recorded_by_caller(&order) {
        recorded(who, &order).into_iter().for_each(|event| event.at(done.outcome.index).emit());
    }
    Ok(done)
}

/// Has an order wait; the same order of the same session that waits already is not kept twice.
async fn ask(replica: &Replica, who: &Administrator, order: ProtectedOrder, repeat: &Repeat) -> Result<Denial, Denial> {
    let session = who.session.id;
    let same = |one: &&WaitingOrder| one.session == session && one.order == order;
    if let Some(known) = who.state.waiting_orders(who.now).find(same) {
        return Ok(Denial::ApprovalWanted { id: known.id });
    }
    let (id, summary) = (repeat.new_id(who.now.0), summary(&who.state, &order));
    let asked = AskApproval { id, order, summary: summary.clone(), session };
    let outcome = repeat.propose(replica, asked).await?;
    told(who, "approval_wanted", id, &summary).at(outcome.index).emit();
    Ok(Denial::ApprovalWanted { id })
}

async fn propose(
    replica: &Replica,
    order: ProtectedOrder,
    mut parts: Vec<Command>,
    repeat: &Repeat,
) -> Result<CarriedOut, Denial> {
    let code = matches!(order, ProtectedOrder::RenewBreakGlass).then(|| BreakGlassCode::generate(&SystemRandom));
    parts.extend(code.iter().map(|code| Command::from(SetBreakGlass { hash: code.hash() })));
    let command = match <[Command; 1]>::try_from(parts) {
        Ok([single]) => single,
        Err(several) => Command::Group(several),
    };
    Ok(CarriedOut { outcome: repeat.propose(replica, command).await?, code })
}

impl Approvals {
    /// Orders that wait: those that the caller asked for, and those that he could give himself.
    pub(crate) fn list_orders(&self, who: &Administrator, wanted: &Wanted) -> List<Value> {
        let concerned = |one: &&WaitingOrder| {
            let refused = decide(who, self.replica.me(), &one.order).err();
            one.asked_by == who.dn.user || !matches!(refused, Some(Denial::Forbidden(_) | Denial::NotFound(_)))
        };
        let seen = who.state.waiting_orders(who.now).filter(concerned);
        wanted.of(seen.filter_map(|one| serde_json::to_value(shown(who, one)).ok()).collect(), HABITS)
    }

    /// Approves an order that another administrator asked for, and carries it out.
    ///
    /// # Errors
    /// `NotFound`, also after its time, and after the session in which it was asked; `Forbidden` without the privilege that the
    /// order wants, and for the break-glass administrator; `Conflict` for one's own, for one that the asker may not give any more,
    /// and whatever the order itself is refused for. It goes on waiting then.
    pub(crate) async fn approve(
        &self,
        access: &Access,
        who: &Administrator,
        id: Uuid,
        repeat: &Repeat,
    ) -> Result<ApprovedOrder, Denial> {
        let waiting = match found(who, id) {
            // Approved before, under the same key: the answer is that of the first time.
            Err(_) if repeat.is_known(&who.state) => {
                let index = repeat.propose(&self.replica, Command::Group(Vec::new())).await?.index;
                return Ok(ApprovedOrder { id, index, break_glass_code: None });
            }
            found => found?,
        };
        let asker = access.administrator_of(who, waiting.session)?.ok_or_else(|| not_found(id))?;
        if asker.session.is_of_same_user(&who.session) {
            return Err(Denial::Conflict("another administrator must approve what you asked for".to_owned()));
        }
        if who.session.is_break_glass() {
            let message = "the break-glass code approves nothing: whoever opened the seal may be the one who asked";
            return Err(Denial::Forbidden(message.to_owned()));
        }
        let me = self.replica.me();
        let parts = decide(who, me, &waiting.order)?;
        decide(&asker, me, &waiting.order)
            .map_err(|why| Denial::Conflict(format!("{} cannot order this any more: {why}", waiting.asked_by)))?;
        let approve = ApproveOrder { order: id, session: who.session.id };
        let parts = std::iter::once(approve.into()).chain(parts).collect();
        let done = propose(&self.replica, waiting.order.clone(), parts, repeat).await?;
        let index = done.outcome.index;
        let asked_by = waiting.asked_by.to_string();
        told(who, "order_approved", id, &waiting.summary).with("asked_by", asked_by.as_str()).at(index).emit();
        for event in recorded(&asker, &waiting.order) {
            event.with("approved_by", who.dn.user.to_string()).at(index).emit();
        }
        Ok(ApprovedOrder { id, index, break_glass_code: done.code.map(|code| code.expose().to_owned()) })
    }

    /// Takes an order back that waits.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for another one's without the privilege that the order wants.
    pub(crate) async fn withdraw(&self, who: &Administrator, id: Uuid, repeat: &Repeat) -> Result<(), Denial> {
        let waiting = found(who, id)?;
        if waiting.asked_by != who.dn.user
            && let Err(denial @ (Denial::Forbidden(_) | Denial::NotFound(_))) =
                decide(who, self.replica.me(), &waiting.order)
        {
            return Err(denial);
        }
        let outcome = repeat.propose(&self.replica, WithdrawOrder { order: id }).await?;
        let event = told(who, "order_withdrawn", id, &waiting.summary).with("asked_by", waiting.asked_by.to_string());
        event.at(outcome.index).emit();
        Ok(())
    }
}

fn found(who: &Administrator, id: Uuid) -> Result<&WaitingOrder, Denial> {
    who.state.waiting_order(id, who.now).ok_or_else(|| not_found(id))
}

fn not_found(id: Uuid) -> Denial {
    let ended = "it was approved or withdrawn, its 15 minutes are over, or the session that asked has ended";
    Denial::NotFound(format!("no order {id} waits for approval: {ended}; see `ringctl approvals`"))
}

fn shown(who: &Administrator, order: &WaitingOrder) -> Shown {
    Shown {
        id: order.id,
        summary: order.summary.clone(),
        asked_by: order.asked_by.clone(),
        asked: order.asked_at,
        expires: order.expires_at,
        details: details(who, &order.order),
    }
}

fn told(who: &Administrator, kind: &'static str, id: Uuid, summary: &str) -> Event {
    Event::by(who, kind).with("order", id.to_string()).with("summary", summary)
}
