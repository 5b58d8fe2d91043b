//! What the feed says, applied: first to the registry's own state, then to the sessions that it concerns.

use std::time::Instant;

use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement};
use ringwall_protocol::feed::{FeedEvent, FeedView};
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::RevocationScope;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::ExpiryReason;
use ringwall_trust::connection_proof;

use super::entry::Verdict;
use super::{Effect, RegistryCore};
use crate::registry::admission::within_pools;
use crate::registry::orders::{ConnectionClaim, ConnectionOrder};
use crate::support::clock::Moment;
use crate::support::entropy::Entropy;

impl RegistryCore {
    /// A full state. Nothing is changed by one of an older incarnation, or of a second one with the same epoch.
    pub(crate) fn full(&mut self, mut view: FeedView, now: Moment, entropy: &mut dyn Entropy) -> Vec<Effect> {
        let mut effects = vec![];
        let known = self.view.as_ref().map(|view| view.position);
        let (incarnation, index) = (view.position.incarnation, view.position.index);
        match known.map(|known| known.incarnation) {
            Some(known) if known != incarnation && known.epoch >= incarnation.epoch => return effects,
            Some(known) if known == incarnation && index < self.complete => return effects,
            Some(known) if known != incarnation => self.begin_incarnation(now.instant, &mut effects),
            _ => {}
        }
        let revocations = std::mem::take(&mut view.revocations);
        self.table = revocations.iter().cloned().collect();
        self.table.forgotten_up_to(view.forgotten_up_to);
        self.view = Some(view);
        self.complete = index;
        self.judge_all(index, now.instant, &mut effects);
        effects.push(Effect::Publish);
        effects.push(Effect::ReplaceKnocks(revocations));
        effects.push(Effect::Progress(index));
        self.unpark(now, entropy, &mut effects);
        effects
    }

    /// One change. Changes of lower indexes are complete by now.
    pub(crate) fn change(
        &mut self,
        index: LogIndex,
        event: FeedEvent,
        now: Moment,
        entropy: &mut dyn Entropy,
    ) -> Vec<Effect> {
        let mut effects = vec![];
        let Some(view) = &mut self.view else { return effects };
        match event {
            FeedEvent::RevocationAdded { revocation } => {
                view.position.index = view.position.index.max(index);
                let scope = revocation.scope.clone();
                self.table.add(revocation.clone());
                self.judge(&scope, index, now.instant, &mut effects);
                effects.push(Effect::CutKnocks(revocation));
            }
            FeedEvent::RevocationAdvanced { revocation, told, effective } => {
                view.position.index = view.position.index.max(index);
                self.table.advance(revocation, told, effective);
                if let Some(scope) = self.table.find(revocation).map(|known| known.scope.clone()) {
                    self.judge(&scope, index, now.instant, &mut effects);
                }
            }
            FeedEvent::RevocationForgotten { revocation } => {
                view.position.index = view.position.index.max(index);
                effects.push(Effect::ForgetKnocks(revocation));
                self.table.forget(revocation);
                // Nothing is concerned, unless a clock was wrong: then what is older is invalid.
                self.judge(&RevocationScope::Dn(DnScope::Everyone), index, now.instant, &mut effects);
            }
            event => {
                view.apply(index, &event);
                self.react(index, &event, now.instant, &mut effects);
            }
        }
        self.advance(LogIndex(index.0.saturating_sub(1)), now, entropy, &mut effects);
        effects
    }

    /// Nothing is missing up to `index`.
    pub(crate) fn caught_up(&mut self, index: LogIndex, now: Moment, entropy: &mut dyn Entropy) -> Vec<Effect> {
        let mut effects = vec![];
        self.advance(index, now, entropy, &mut effects);
        effects
    }

    /// A poll that was sent at `sent_at` is confirmed; everything up to `read_index` came before.
    pub(crate) fn confirmed(
        &mut self,
        read_index: LogIndex,
        sent_at: Instant,
        now: Moment,
        entropy: &mut dyn Entropy,
    ) -> Vec<Effect> {
        let mut effects = vec![];
        self.advance(read_index, now, entropy, &mut effects);
        self.renew_lease(read_index, sent_at, &mut effects);
        effects
    }

    fn advance(&mut self, index: LogIndex, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) {
        if self.view.is_none() || index <= self.complete {
            return;
        }
        self.complete = index;
        if let Some(view) = &mut self.view {
            view.position.index = view.position.index.max(index);
        }
        effects.push(Effect::Progress(index));
        self.settle_testimony(now.instant, effects);
        self.unpark(now, entropy, effects);
    }

    fn begin_incarnation(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.cut_all(ErrorCode::TokenRevoked, "collective incarnation changed", now, effects);
        self.lease.end();
        self.orders.clear();
        self.witnessed = Default::default();
        self.complete = LogIndex(0);
        effects.push(Effect::EndLease);
        effects.push(Effect::Restart);
    }

    /// What a change other than of revocations means for sessions. The view has it already.
    fn react(&mut self, index: LogIndex, event: &FeedEvent, now: Instant, effects: &mut Vec<Effect>) {
        match event {
            FeedEvent::SessionBound { dn, gateway, sign_in_idx, connect_seq, sid, proof } => {
                let (Some(view), true) = (&self.view, *gateway != self.me) else { return };
                let statement = ConnectionStatement {
                    collective: view.collective,
                    incarnation: view.position.incarnation,
                    gateway: *gateway,
                    dn,
                    sid: *sid,
                    sign_in_idx: *sign_in_idx,
                    connect_seq: *connect_seq,
                };
                self.bound_elsewhere(statement, proof, index, now, effects);
            }
            FeedEvent::Reevaluate { scope } => {
                let concerned = self.concerned(&RevocationScope::Dn(scope.clone()));
                effects.extend(concerned.into_iter().map(|session| Effect::Reevaluate { session }));
            }
            _ => {
                self.judge_all(index, now, effects);
                effects.push(Effect::Publish);
            }
        }
    }

    /// A connection at another Gateway of the Site ends a session here only if the Client itself gave it its number, with
    /// the key of the session (T67): neither a Gateway nor a Controller can make one up.
    fn bound_elsewhere(
        &mut self,
        statement: ConnectionStatement<'_>,
        proof: &ConnectionProof,
        index: LogIndex,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let dn = statement.dn;
        let order = ConnectionOrder { sign_in: statement.sign_in_idx, connect_seq: statement.connect_seq };
        let here = self.by_dn.get(dn).and_then(|session| Some((*session, self.sessions.get(session)?)));
        let key = match connection_proof::verify(&statement, proof) {
            Ok(key) if here.is_none_or(|(_, entry)| entry.binding.key == key) => key,
            _ => return effects.push(Effect::Audit { kind: "connection_not_proved", dn: dn.clone() }),
        };
        let older = here.filter(|(_, entry)| entry.order < order).map(|(session, _)| session);
        self.orders.remember(dn, ConnectionClaim { order, key, elsewhere: true });
        if let Some(session) = older {
            let message = "the session continues at another gateway";
            self.cut(session, ErrorCode::MovedAway, message, index, now, effects);
        }
    }

    fn judge_all(&mut self, index: LogIndex, now: Instant, effects: &mut Vec<Effect>) {
        if self.state() == ApplianceState::Removed {
            return self.cut_all(ErrorCode::MovedAway, "the gateway was removed from the collective", now, effects);
        }
        self.judge(&RevocationScope::Dn(DnScope::Everyone), index, now, effects);
    }

    /// Judges the sessions within a scope; cuts what is invalid, tells what is wanted.
    fn judge(&mut self, scope: &RevocationScope, index: LogIndex, now: Instant, effects: &mut Vec<Effect>) {
        for session in self.concerned(scope) {
            let (Some(view), Some(entry)) = (&self.view, self.sessions.get_mut(&session)) else { continue };
            if !within_pools(entry.addresses, view) {
                let message = "the session's address left the pools of this site";
                self.cut(session, ErrorCode::NoAddress, message, index, now, effects);
                continue;
            }
            match entry.judge(view, &self.table) {
                Verdict::Keep => {}
                Verdict::Renew(kinds) => {
                    effects.push(Effect::Renew { session, kinds, reason: ExpiryReason::Revocation });
                }
                Verdict::Void(by) => {
                    let message = by.map_or_else(
                        || "the key that signed the session's tokens is not valid any more".to_owned(),
                        |by| format!("revoked by entry {by}; sign in again"),
                    );
                    self.cut(session, ErrorCode::Revoked, &message, index, now, effects);
                }
            }
        }
    }

    fn concerned(&self, scope: &RevocationScope) -> Vec<SessionId> {
        match scope {
            RevocationScope::Dn(DnScope::Device(dn)) => self.by_dn.get(dn).copied().into_iter().collect(),
            RevocationScope::Dn(scope) => {
                let matching = self.sessions.iter().filter(|(_, entry)| scope.matches(&entry.binding.dn));
                matching.map(|(session, _)| *session).collect()
            }
            RevocationScope::Token(_) => self.sessions.keys().copied().collect(),
        }
    }
}
