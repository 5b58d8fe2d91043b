//! Admission: every check, then the registration, in one step.

use std::collections::BTreeSet;
use std::time::Instant;

use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::Standing;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::ExpiryReason;

use super::entry::{Entry, Verdict};
use super::parking::Request;
use super::{Effect, Holder, RegistryCore, Ticket, shutting_down};
use crate::ports::SessionAddresses;
use crate::registry::admission::{Admission, Binding, Held, Refusal, addresses, check_pair, check_proof, mismatch};
use crate::registry::lease::{Admits, GRACE_MEMORY};
use crate::registry::orders::{ConnectionClaim, ConnectionOrder};
use crate::support::clock::Moment;
use crate::support::entropy::{Entropy, draw};

/// An admission that passed every check that does not depend on other sessions.
struct Checked {
    binding: Binding,
    order: ConnectionOrder,
    addresses: SessionAddresses,
    claims: Held,
    entitlement: Held,
}

impl RegistryCore {
    /// Admits, resumes, parks or refuses a Client.
    pub(crate) fn admit(
        &mut self,
        ticket: Ticket,
        admission: Box<Admission>,
        now: Moment,
        entropy: &mut dyn Entropy,
    ) -> Vec<Effect> {
        let mut effects = vec![];
        let needs = admission.claims.head.idx.max(admission.entitlement.head.idx);
        let refused = if self.draining {
            Some(shutting_down())
        } else if self.view.is_some() && needs > self.complete {
            self.parking.park(ticket, Request::Admission(admission), needs, now.instant).err()
        } else {
            self.register(ticket, admission, now, entropy, &mut effects).err()
        };
        effects.extend(refused.map(|refusal| Effect::Refuse { ticket, refusal }));
        effects
    }

    /// Tries again what waited for the feed.
    pub(super) fn unpark(&mut self, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) {
        for (ticket, request) in self.parking.ready(self.complete) {
            effects.append(&mut match request {
                Request::Admission(admission) => self.admit(ticket, admission, now, entropy),
                Request::Presentation(presentation) => self.present(ticket, presentation, now),
            });
        }
    }

    fn register(
        &mut self,
        ticket: Ticket,
        admission: Box<Admission>,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let view = self.view.as_ref().ok_or_else(lapsed)?;
        let checked = self.check(&admission, view, now)?;
        let dn = checked.binding.dn.clone();
        if self.orders.held_off(&dn, now.instant) {
            return Err(flapping());
        }
        let present = self.by_dn.get(&dn).copied();
        self.check_order(&checked, present)?;
        self.check_holders(&checked)?;
        let resumed = present.filter(|session| self.continues(*session, &checked));
        if let Some(session) = resumed {
            self.check_not_older(session, &checked)?;
        } else {
            self.check_admits_new(&checked, now.instant)?;
        }
        if present.is_some()
            && let Err((_, begun)) = self.orders.returns(&dn, now.instant)
        {
            effects.extend(begun.then_some(Effect::Audit { kind: "session_flapping", dn }));
            return Err(flapping());
        }
        match (resumed, present) {
            (Some(session), _) => self.resume(ticket, session, checked, admission, effects),
            (None, Some(former)) => {
                let message = "a newer connection of the same device took over";
                self.cut(former, ErrorCode::Superseded, message, self.complete, now.instant, effects);
                self.open(ticket, checked, admission, now.instant, entropy, effects);
            }
            (None, None) => self.open(ticket, checked, admission, now.instant, entropy, effects),
        }
        Ok(())
    }

    fn check(&self, admission: &Admission, view: &FeedView, now: Moment) -> Result<Checked, Refusal> {
        let binding = Binding::check(admission, view)?;
        for token in [&admission.claims.head, &admission.entitlement.head] {
            if token.incarnation() != view.position.incarnation {
                return Err(Refusal::new(ErrorCode::TokenRevoked, "collective incarnation changed; sign in again"));
            }
        }
        check_pair(admission.claims.head.idx, &admission.entitlement, view)?;
        let (claims, entitlement) = (Held::of(&admission.claims), Held::of(&admission.entitlement));
        for token in [&claims, &entitlement] {
            self.check_standing(token, &binding, view, now)?;
        }
        check_proof(admission, &binding, self.me, now.time)?;
        if admission.certificate_until <= now.time {
            return Err(Refusal::new(ErrorCode::TokenExpired, "the certificate has expired"));
        }
        let addresses = addresses(&admission.claims, view)?;
        let order = ConnectionOrder { sign_in: admission.claims.sign_in_idx, connect_seq: admission.connect_seq };
        Ok(Checked { binding, order, addresses, claims, entitlement })
    }

    pub(super) fn check_standing(
        &self,
        token: &Held,
        binding: &Binding,
        view: &FeedView,
        now: Moment,
    ) -> Result<(), Refusal> {
        if token.expires <= now.time {
            return Err(Refusal::new(ErrorCode::TokenExpired, format!("the {:?} token has expired", token.kind())));
        }
        match token.standing(&binding.dn, view, &self.table) {
            None => Err(Refusal::new(ErrorCode::TokenRevoked, "the token's key is not valid any more")),
            Some(Standing::Revoked(by)) => {
                Err(Refusal::new(ErrorCode::TokenRevoked, format!("revoked by entry {by}; sign in again")))
            }
            Some(Standing::RenewWanted(_) | Standing::Valid) => Ok(()),
        }
    }

    /// The order of connections decides, never their arrival.
    fn check_order(&self, checked: &Checked, present: Option<SessionId>) -> Result<(), Refusal> {
        let live = present.and_then(|session| self.sessions.get(&session)).map(|entry| entry.order);
        if live.is_some_and(|live| checked.order <= live) {
            return Err(Refusal::new(ErrorCode::Superseded, "a newer connection of this device is live"));
        }
        match self.orders.claim(&checked.binding.dn) {
            // A claim of another key says nothing about this device's connections.
            Some(claim) if claim.key != checked.binding.key => Ok(()),
            Some(claim) if checked.order <= claim.order && claim.elsewhere => {
                Err(Refusal::new(ErrorCode::MovedAway, "the session continues at another gateway"))
            }
            Some(claim) if checked.order <= claim.order => {
                Err(Refusal::new(ErrorCode::Superseded, "a newer connection of this device came before"))
            }
            _ => Ok(()),
        }
    }

    fn check_holders(&self, checked: &Checked) -> Result<(), Refusal> {
        for address in checked.addresses.iter() {
            if self.holders.get(&address).is_some_and(|holder| holder.dn != checked.binding.dn) {
                return Err(Refusal::new(ErrorCode::AddressHeld, format!("{address} is in use by another device")));
            }
        }
        Ok(())
    }

    /// Same sign-in and key as the live session: it goes on.
    fn continues(&self, session: SessionId, checked: &Checked) -> bool {
        self.sessions.get(&session).is_some_and(|entry| {
            entry.binding == checked.binding
                && entry.order.sign_in == checked.order.sign_in
                && entry.addresses == checked.addresses
        })
    }

    /// Claims never go back within a session (T36).
    fn check_not_older(&self, session: SessionId, checked: &Checked) -> Result<(), Refusal> {
        match self.sessions.get(&session) {
            Some(entry) if checked.claims.idx < entry.claims.idx || checked.entitlement.idx < entry.entitlement.idx => {
                Err(mismatch("the session has newer tokens than these"))
            }
            _ => Ok(()),
        }
    }

    fn check_admits_new(&self, checked: &Checked, now: Instant) -> Result<(), Refusal> {
        if self.state() != ApplianceState::Active {
            return Err(Refusal::new(ErrorCode::Suspended, "the gateway takes no new sessions"));
        }
        match self.lease.admits(now) {
            Admits::All => Ok(()),
            Admits::Known if self.orders.seen_within(&checked.binding.dn, GRACE_MEMORY, now) => Ok(()),
            Admits::Known | Admits::Nobody => Err(lapsed()),
        }
    }

    fn open(
        &mut self,
        ticket: Ticket,
        checked: Checked,
        admission: Box<Admission>,
        now: Instant,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<Effect>,
    ) {
        let session = SessionId::from_random(draw(entropy));
        let Checked { binding, order, addresses, claims, entitlement } = checked;
        let dn = binding.dn.clone();
        for address in addresses.iter() {
            self.holders.insert(address, Holder { dn: dn.clone(), session });
        }
        self.by_dn.insert(dn.clone(), session);
        self.orders.remember(&dn, ConnectionClaim { order, key: binding.key, elsewhere: false });
        self.orders.seen(&dn, now);
        let claims_idx = admission.entitlement.claims_idx;
        let told = BTreeSet::new();
        self.sessions.insert(session, Entry { binding, order, addresses, claims, entitlement, claims_idx, told });
        effects.push(Effect::Open { ticket, session, admission, addresses, checked_at: self.complete });
        self.tell_what_is_wanted(session, effects);
    }

    fn resume(
        &mut self,
        ticket: Ticket,
        session: SessionId,
        checked: Checked,
        admission: Box<Admission>,
        effects: &mut Vec<Effect>,
    ) {
        let claim = ConnectionClaim { order: checked.order, key: checked.binding.key, elsewhere: false };
        self.orders.remember(&checked.binding.dn, claim);
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.order = checked.order;
            entry.claims = checked.claims;
            entry.entitlement = checked.entitlement;
            entry.claims_idx = admission.entitlement.claims_idx;
        }
        effects.push(Effect::Resume { ticket, session, admission, checked_at: self.complete });
        self.tell_what_is_wanted(session, effects);
    }

    /// A session admitted with tokens that somebody wants renewed hears of it at once.
    fn tell_what_is_wanted(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        let (Some(view), Some(entry)) = (&self.view, self.sessions.get_mut(&session)) else { return };
        if let Verdict::Renew(kinds) = entry.judge(view, &self.table) {
            effects.push(Effect::Renew { session, kinds, reason: ExpiryReason::Revocation });
        }
    }
}

fn lapsed() -> Refusal {
    Refusal::new(ErrorCode::LeaseLapsed, "the gateway has no contact with the collective")
}

fn flapping() -> Refusal {
    Refusal::new(ErrorCode::Flapping, "this device connects too often; two copies of one installation?")
}
