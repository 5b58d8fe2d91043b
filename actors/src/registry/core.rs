//! The pure part of the registry: one state, changed by admissions, presentations and feed changes in one order.
//!
//! Invariant: after every call, each registered session's tokens are valid against the view and the revocation table,
//! and every session that ceased to be so is in an [`Effect::Cut`] of that call.

mod admit;
mod change;
mod entry;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod parking;
mod present;
mod witness;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ringwall_protocol::feed::{FeedView, own_state};
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::{Revocation, RevocationIndex, TokenKind};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::ExpiryReason;

use self::entry::Entry;
use self::parking::Parking;
use self::witness::Witnessed;
use super::admission::{Admission, Presentation, Refusal};
use super::lease::{Admits, LeaseState};
use super::orders::Orders;
use crate::ports::SessionAddresses;

/// Names one request that is answered later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub u64);

/// What the registry wants done, in this order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A new session is registered: open its tunnel grant, start its actor, answer the ticket.
    Open {
        /// Whose request.
        ticket: Ticket,
        /// The new id.
        session: SessionId,
        /// The verified tokens and the peer's data.
        admission: Box<Admission>,
        /// Its addresses.
        addresses: SessionAddresses,
        /// Feed index at which everything was checked.
        checked_at: LogIndex,
    },
    /// A live session has a new websocket, and maybe newer tokens.
    Resume {
        /// Whose request.
        ticket: Ticket,
        /// Id of the session.
        session: SessionId,
        /// The verified tokens and the peer's data.
        admission: Box<Admission>,
        /// Feed index at which everything was checked.
        checked_at: LogIndex,
    },
    /// Newer tokens of a live session were accepted.
    Accept {
        /// Whose request.
        ticket: Ticket,
        /// The tokens.
        presentation: Box<Presentation>,
        /// Feed index at which they were checked.
        checked_at: LogIndex,
    },
    /// The request is refused.
    Refuse {
        /// Whose request.
        ticket: Ticket,
        /// Code and message of the refusal.
        refusal: Refusal,
    },
    /// The session is dead: workers drop, rules out, connections closed with the code.
    Cut {
        /// Id of the session.
        session: SessionId,
        /// DN of the session: provider, user and device.
        dn: SessionDn,
        /// Its addresses.
        addresses: SessionAddresses,
        /// Code of the reason.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Feed index of the cause.
        cut_at: LogIndex,
    },
    /// The session's tokens are to be renewed.
    Renew {
        /// Id of the session.
        session: SessionId,
        /// Which kinds.
        kinds: Vec<TokenKind>,
        /// Reason of the renewal.
        reason: ExpiryReason,
    },
    /// The session is to be evaluated anew.
    Reevaluate {
        /// Id of the session.
        session: SessionId,
    },
    /// Every change up to here was handed over.
    Progress(LogIndex),
    /// A confirmation arrived behind all of that.
    RenewLease {
        /// Everything up to here must be enforced.
        read_index: LogIndex,
        /// When its poll was sent.
        sent_at: Instant,
        /// The lease in which new sessions may be admitted.
        lease: Duration,
        /// For how long packets pass: more than the lease only in a Site with grace.
        held: Duration,
    },
    /// The feed is to come from another Controller; why, for operators.
    SwitchFeed(&'static str),
    /// No packet may pass until the lease is renewed: the Collective's incarnation changed.
    EndLease,
    /// Indexes begin anew.
    Restart,
    /// Show the view to others.
    Publish,
    /// Refuse knocks as this revocation says.
    CutKnocks(Revocation),
    /// The revocation with this index is forgotten, for knocks too.
    ForgetKnocks(LogIndex),
    /// Refuse knocks as these revocations say, and as no others do.
    ReplaceKnocks(Vec<Revocation>),
    /// For the audit: `kind`, and whose session it was.
    Audit {
        /// Kind of the record.
        kind: &'static str,
        /// Whom it concerns.
        dn: SessionDn,
    },
}

/// All that the registry knows.
#[derive(Debug)]
pub(crate) struct RegistryCore {
    me: ApplianceId,
    view: Option<FeedView>,
    table: RevocationIndex,
    complete: LogIndex,
    sessions: HashMap<SessionId, Entry>,
    by_dn: HashMap<SessionDn, SessionId>,
    /// Addresses of live sessions, and of ended ones until their rules are out.
    holders: HashMap<IpAddr, Holder>,
    orders: Orders,
    parking: Parking,
    lease: LeaseState,
    witnessed: Witnessed,
    draining: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    dn: SessionDn,
    session: SessionId,
}

impl RegistryCore {
    /// A registry of this Gateway that knows nothing yet and admits nobody.
    #[must_use]
    pub(crate) fn new(me: ApplianceId) -> Self {
        Self {
            me,
            view: None,
            table: RevocationIndex::default(),
            complete: LogIndex(0),
            sessions: HashMap::new(),
            by_dn: HashMap::new(),
            holders: HashMap::new(),
            orders: Orders::default(),
            parking: Parking::default(),
            lease: LeaseState::default(),
            witnessed: Witnessed::default(),
            draining: false,
        }
    }

    /// The view; its revocations stand in the table.
    #[must_use]
    pub(crate) const fn view(&self) -> Option<&FeedView> {
        self.view.as_ref()
    }

    /// Every change up to here is applied.
    #[must_use]
    pub(crate) const fn complete(&self) -> LogIndex {
        self.complete
    }

    /// How many sessions live.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether a session is there.
    #[must_use]
    pub(crate) fn lives(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Whether new sessions may be admitted, as far as the lease is concerned.
    #[must_use]
    pub(crate) fn lease_held(&self, now: Instant) -> bool {
        self.lease.admits(now) != Admits::Nobody
    }

    /// When [`RegistryCore::tick`] is wanted: for a parked request, or what a witness said.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.parking.next_deadline(), self.testimony_due()];
        deadlines.into_iter().flatten().min()
    }

    /// Refuses parked requests whose time is over, and judges what a witness said.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let refuse = |ticket| Effect::Refuse { ticket, refusal: parking::feed_behind() };
        let mut effects: Vec<_> = self.parking.expired(now).into_iter().map(refuse).collect();
        self.settle_testimony(now, &mut effects);
        effects
    }

    /// The session's rules are out of the kernel: its addresses may have another holder.
    pub(crate) fn removed(&mut self, session: SessionId, addresses: SessionAddresses) {
        for address in addresses.iter() {
            if self.holders.get(&address).is_some_and(|holder| holder.session == session) {
                self.holders.remove(&address);
            }
        }
    }

    /// The enforcer granted a renewal.
    pub(crate) fn lease_renewed(&mut self, sent_at: Instant, lease: Duration, held: Duration) {
        self.lease.renewed(sent_at, lease, held);
    }

    /// Ends a session for a reason of its own; nothing if it is not live.
    pub(crate) fn end(&mut self, session: SessionId, code: ErrorCode, message: &str, now: Instant) -> Vec<Effect> {
        let mut effects = vec![];
        self.cut(session, code, message, self.complete, now, &mut effects);
        effects
    }

    /// Admits nobody any more and ends all sessions: the Gateway goes down in good order.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<Effect> {
        self.draining = true;
        let mut effects = vec![];
        let refuse = |ticket| Effect::Refuse { ticket, refusal: shutting_down() };
        effects.extend(self.parking.all().into_iter().map(refuse));
        self.cut_all(ErrorCode::ShuttingDown, "the gateway is going down", now, &mut effects);
        effects
    }

    fn state(&self) -> ApplianceState {
        self.view.as_ref().map_or(ApplianceState::Inactive, |view| own_state(view, self.me))
    }

    fn cut_all(&mut self, code: ErrorCode, message: &str, now: Instant, effects: &mut Vec<Effect>) {
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for session in all {
            self.cut(session, code, message, self.complete, now, effects);
        }
    }

    fn cut(
        &mut self,
        session: SessionId,
        code: ErrorCode,
        message: &str,
        cut_at: LogIndex,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.sessions.remove(&session) else { return };
        let dn = entry.binding.dn;
        if self.by_dn.get(&dn) == Some(&session) {
            self.by_dn.remove(&dn);
        }
        self.orders.seen(&dn, now);
        let (addresses, message) = (entry.addresses, message.to_owned());
        effects.push(Effect::Cut { session, dn, addresses, code, message, cut_at });
    }
}

fn shutting_down() -> Refusal {
    Refusal::new(ErrorCode::ShuttingDown, "the gateway is going down")
}

#[cfg(test)]
mod tests;
