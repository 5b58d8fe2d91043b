//! The actix shell of the registry: effects of the core to kernel, workers, session actors and feed, in their order.

mod mailbox;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use ringwall_trust::spa::HandleCutoffs;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::admission::{Admission, Presentation, Refusal};
use super::core::{Effect, RegistryCore, Ticket};
use super::directory::Directory;
use super::enforcement::Enforcement;
use super::message::Admitted;
use super::published::Publisher;
use crate::feed::audit::AuditRecord;
use crate::feed::message::Delivery;
use crate::ports::{LeaseRenewal, SessionAddresses, TunnelGrant};
use crate::session::actor::{ClientSession, SessionParts, SessionPorts};
use crate::session::core::{NewTokens, SessionSettings};
use crate::session::guard::{FromSession, RuleLease};
use crate::session::message::{Ended, Reevaluate, Renew, Resumed, Socket, Tokens};
use crate::support::clock::{Moment, SecurityClock};
use crate::support::entropy::ThreadEntropy;

/// Requests that may wait: admissions of a Site whose other Gateway has just failed.
const MAILBOX: usize = 4_096;
/// After a renewal that was not granted, a confirmation is asked for again so soon.
const RENEW_AGAIN: Duration = Duration::from_millis(250);
/// A session whose mailbox was full hears again after this.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// What the registry is made of.
pub struct RegistryParts {
    /// This Gateway.
    pub gateway: ApplianceId,
    /// What sessions reach; the registry reaches the same.
    pub ports: SessionPorts,
    /// The Controllers' time, kept here.
    pub security: SecurityClock,
    /// Where sessions are found.
    pub directory: Arc<Directory>,
    /// What others see of the feed.
    pub publisher: Publisher,
    /// Where session actors live; one is chosen by the DN's hash.
    pub arbiters: Vec<ArbiterHandle>,
    /// MTU inside tunnels.
    pub mtu: u16,
    /// Idle seconds until a Client sends a keep-alive.
    pub keep_alive_seconds: u16,
}

/// The one owner of admission, revocations and sessions.
pub struct Registry {
    parts: RegistryParts,
    core: RegistryCore,
    enforcement: Enforcement,
    live: HashMap<SessionId, Live>,
    waiting: HashMap<Ticket, Waiting>,
    tickets: u64,
    from_sessions: (mpsc::UnboundedSender<FromSession>, Option<mpsc::UnboundedReceiver<FromSession>>),
    drained: Option<oneshot::Sender<()>>,
    removals: usize,
    timer: Option<SpawnHandle>,
}

struct Live {
    actor: Addr<ClientSession>,
    /// Not a hold on the websocket: the session's actor has that.
    socket: mpsc::WeakSender<FromGateway>,
}

enum Waiting {
    Admit(oneshot::Sender<Result<Admitted, Refusal>>, Socket),
    Present(oneshot::Sender<Result<(), Refusal>>),
}

impl Registry {
    /// A registry that knows nothing yet and admits nobody.
    #[must_use]
    pub fn new(parts: RegistryParts) -> Self {
        let core = RegistryCore::new(parts.gateway);
        let (into, from) = mpsc::unbounded_channel();
        Self {
            parts,
            core,
            enforcement: Enforcement::default(),
            live: HashMap::new(),
            waiting: HashMap::new(),
            tickets: 0,
            from_sessions: (into, Some(from)),
            drained: None,
            removals: 0,
            timer: None,
        }
    }

    fn now(&self) -> Moment {
        self.parts.ports.clock.now()
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, waiting);
        ticket
    }

    fn run_all(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            self.run(effect, ctx);
        }
        self.acknowledge();
        self.arm(ctx);
        metrics::gauge!("ringwall_sessions").set(self.core.len() as f64);
    }

    fn run(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Open { ticket, session, admission, addresses, checked_at } => {
                self.open(ticket, session, admission, addresses, checked_at);
            }
            Effect::Resume { ticket, session, admission, checked_at } => {
                self.resume(ticket, session, admission, checked_at);
            }
            Effect::Accept { ticket, presentation, checked_at } => self.accept(ticket, *presentation, checked_at),
            Effect::Refuse { ticket, refusal } => self.refuse(ticket, refusal),
            Effect::Cut { session, dn, addresses, code, message, cut_at } => {
                self.cut(session, dn, addresses, code, message, cut_at, ctx);
            }
            Effect::Renew { session, kinds, reason } => {
                self.tell(session, move || Renew(kinds.clone(), reason), ctx);
            }
            Effect::Reevaluate { session } => self.tell(session, || Reevaluate, ctx),
            Effect::Progress(index) => {
                self.parts.ports.enforcer.progress(index);
                self.enforcement.handed(index);
                self.parts.publisher.complete(index);
                metrics::gauge!("ringwall_feed_index").set(index.0 as f64);
            }
            Effect::RenewLease { read_index, sent_at, lease, held } => {
                self.renew_lease(LeaseRenewal { read_index, sent_at, lease: held }, lease, ctx);
            }
            Effect::SwitchFeed(why) => {
                warn!(why, "feed is left for another controller");
                metrics::counter!("ringwall_feed_switches_total").increment(1);
                self.parts.ports.outbox.want_switch();
            }
            Effect::EndLease => self.parts.ports.enforcer.end_lease(),
            Effect::Restart => self.enforcement.restart(),
            Effect::Publish => {
                if let Some(view) = self.core.view() {
                    self.parts.publisher.show(view.clone());
                }
            }
            Effect::CutKnocks(revocation) => self.cutoffs().add(&revocation),
            Effect::ForgetKnocks(index) => self.cutoffs().forget(index),
            Effect::ReplaceKnocks(revocations) => {
                let mut cutoffs = self.cutoffs();
                cutoffs.clear();
                revocations.iter().for_each(|revocation| cutoffs.add(revocation));
            }
            Effect::Audit { kind, dn } => self.audit(kind, &dn, |record| record),
        }
    }

    fn cutoffs(&self) -> MutexGuard<'_, HandleCutoffs> {
        // Each change is one insert or remove: a panic of another holder leaves it consistent.
        self.parts.publisher.cutoffs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(
        &mut self,
        ticket: Ticket,
        session: SessionId,
        admission: Box<Admission>,
        addresses: SessionAddresses,
        checked_at: LogIndex,
    ) {
        let Some(Waiting::Admit(answer, socket)) = self.waiting.remove(&ticket) else { return };
        let ports = self.parts.ports.clone();
        ports.tunnel.open(TunnelGrant { session, addresses, key: admission.key });
        let lease = RuleLease::new(
            session,
            Arc::clone(&ports.enforcer),
            Arc::clone(&ports.tunnel),
            self.from_sessions.0.clone(),
        );
        let settings = SessionSettings {
            session,
            gateway: self.parts.gateway,
            addresses,
            mtu: self.parts.mtu,
            keep_alive_seconds: self.parts.keep_alive_seconds,
        };
        info!(%session, dn = %admission.claims.head.sub, peer = %admission.peer, "session admitted");
        metrics::counter!("ringwall_admissions_total").increment(1);
        let arbiter = self.arbiter(&admission.claims.head.sub);
        let weak = socket.outbox.downgrade();
        let parts = SessionParts { settings, socket, admission, checked_at, ports, lease };
        let actor = ClientSession::start_in_arbiter(&arbiter, move |_| ClientSession::new(parts));
        self.parts.directory.enter(session, addresses, actor.clone());
        self.live.insert(session, Live { actor: actor.clone(), socket: weak });
        // A Client that left meanwhile is noticed by its websocket's end.
        let _ = answer.send(Ok(Admitted { session, actor }));
    }

    fn arbiter(&self, dn: &SessionDn) -> ArbiterHandle {
        let mut hasher = DefaultHasher::new();
        dn.hash(&mut hasher);
        let count = self.parts.arbiters.len() as u64;
        let at = usize::try_from(hasher.finish() % count.max(1)).unwrap_or(0);
        self.parts.arbiters.get(at).cloned().unwrap_or_else(actix::Arbiter::current)
    }

    fn resume(&mut self, ticket: Ticket, session: SessionId, admission: Box<Admission>, checked_at: LogIndex) {
        let Some(Waiting::Admit(answer, socket)) = self.waiting.remove(&ticket) else { return };
        let Some(live) = self.live.get_mut(&session) else { return };
        live.socket = socket.outbox.downgrade();
        let outcome = live.actor.try_send(Resumed { socket, admission, checked_at });
        let outcome = outcome.map_err(|_| Refusal::new(ErrorCode::Busy, "the session is busy; connect again"));
        let _ = answer.send(outcome.map(|()| Admitted { session, actor: live.actor.clone() }));
    }

    fn accept(&mut self, ticket: Ticket, presentation: Presentation, checked_at: LogIndex) {
        let Some(Waiting::Present(answer)) = self.waiting.remove(&ticket) else { return };
        let Some(live) = self.live.get(&presentation.session) else { return };
        let tokens = NewTokens {
            claims: presentation.claims.map(ringwall_trust::token::Verified::into_inner),
            entitlement: presentation.entitlement.map(ringwall_trust::token::Verified::into_inner),
            checked_at,
        };
        let outcome = live.actor.try_send(Tokens(Box::new(tokens)));
        let _ =
            answer.send(outcome.map_err(|_| Refusal::new(ErrorCode::Busy, "the session is busy; present it again")));
    }

    fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        match self.waiting.remove(&ticket) {
            Some(Waiting::Admit(answer, _)) => {
                metrics::counter!("ringwall_refusals_total", "code" => format!("{:?}", refusal.code)).increment(1);
                let _ = answer.send(Err(refusal));
            }
            Some(Waiting::Present(answer)) => {
                let _ = answer.send(Err(refusal));
            }
            None => {}
        }
    }

    /// Carries a cut out, in this order: workers drop, rules out, connections closed with the code, acknowledgement, audit.
    #[expect(clippy::too_many_arguments, reason = "the fields of one effect")]
    fn cut(
        &mut self,
        session: SessionId,
        dn: SessionDn,
        addresses: SessionAddresses,
        code: ErrorCode,
        message: String,
        cut_at: LogIndex,
        ctx: &mut Context<Self>,
    ) {
        let tunnel = self.parts.ports.tunnel.cut(session, code);
        let rules = self.parts.ports.enforcer.remove(session, cut_at);
        self.enforcement.removing(session, cut_at);
        self.removals += 1;
        self.parts.directory.remove(session, addresses);
        if let Some(live) = self.live.remove(&session) {
            if let Some(socket) = live.socket.upgrade() {
                // A websocket that is full is closed without a word, when its session's actor ends.
                let _ = socket.try_send(FromGateway::End { code, message: message.clone() });
            }
            // An actor that is too busy to hear it has no rules and no tunnel any more; it ends when it next asks.
            let _ = live.actor.try_send(Ended);
        }
        info!(%session, %dn, ?code, "session ended");
        self.audit("session_removed", &dn, |record| {
            record.with("session_id", json!(session)).with("code", json!(code)).with("reason", json!(message))
        });
        self.parts.ports.outbox.ended(session, dn, code);
        let both = async move { (rules.await, tunnel.await) };
        ctx.spawn(both.into_actor(self).map(move |(rules, tunnel), registry, _| {
            registry.removals -= 1;
            if rules.is_ok() {
                registry.enforcement.removed(session);
                registry.core.removed(session, addresses);
                registry.acknowledge();
            } else {
                error!(%session, tunnel_cut = tunnel.is_ok(), "the enforcer stopped before it removed a session's rules");
            }
            registry.announce_drained();
        }));
    }

    fn renew_lease(&mut self, renewal: LeaseRenewal, lease: Duration, ctx: &mut Context<Self>) {
        let granted = self.parts.ports.enforcer.renew_lease(renewal);
        ctx.spawn(granted.into_actor(self).map(move |granted, registry, ctx| match granted {
            Ok(true) => {
                registry.core.lease_renewed(renewal.sent_at, lease, renewal.lease);
                metrics::counter!("ringwall_lease_renewals_total").increment(1);
            }
            Ok(false) => {
                metrics::counter!("ringwall_lease_renewals_refused_total").increment(1);
                ctx.run_later(RENEW_AGAIN, |registry, _| registry.parts.ports.outbox.want_poll());
            }
            Err(_) => error!("the enforcer has stopped; the lease ends by itself"),
        }));
    }

    /// Tells a session; again a little later if its mailbox is full.
    fn tell<M>(&self, session: SessionId, message: impl Fn() -> M + 'static, ctx: &mut Context<Self>)
    where
        M: actix::Message<Result = ()> + Send + 'static,
        ClientSession: Handler<M>,
    {
        if let Some(live) = self.live.get(&session)
            && let Err(actix::prelude::SendError::Full(_)) = live.actor.try_send(message())
        {
            ctx.run_later(TELL_AGAIN, move |registry, ctx| registry.tell(session, message, ctx));
        }
    }

    fn acknowledge(&mut self) {
        if let Some(index) = self.enforcement.acknowledge() {
            self.parts.ports.outbox.enforced(index, vec![]);
        }
    }

    fn audit(&self, kind: &'static str, dn: &SessionDn, more: impl FnOnce(AuditRecord) -> AuditRecord) {
        self.parts.ports.outbox.audit(more(AuditRecord::new(kind, dn, self.now().time)));
    }

    fn hear_sessions(&mut self, mut from: mpsc::UnboundedReceiver<FromSession>, ctx: &mut Context<Self>) {
        let next = async move { (from.recv().await, from) };
        ctx.spawn(next.into_actor(self).map(|(said, from), registry, ctx| {
            let Some(said) = said else { return };
            registry.hear_sessions(from, ctx);
            let now = registry.now().instant;
            let effects = match said {
                FromSession::Ends { session, code, message } => registry.core.end(session, code, &message, now),
                FromSession::Died(session) => {
                    if registry.core.lives(session) {
                        error!(%session, "a session's actor died; its rules are withdrawn");
                        metrics::counter!("ringwall_session_panics_total").increment(1);
                    }
                    registry.core.end(session, ErrorCode::Internal, "the session failed on the gateway", now)
                }
            };
            registry.run_all(effects, ctx);
        }));
    }

    fn deliver(&mut self, delivery: Delivery) -> Vec<Effect> {
        let (now, entropy) = (self.now(), &mut ThreadEntropy);
        match delivery {
            Delivery::Full(view) => self.core.full(*view, now, entropy),
            Delivery::Change { index, event } => self.core.change(index, event, now, entropy),
            Delivery::CaughtUp(index) => self.core.caught_up(index, now, entropy),
            Delivery::Confirmed { read_index, sent_at } => self.core.confirmed(read_index, sent_at, now, entropy),
            Delivery::Witnessed { read_index, members, sent_at } => {
                metrics::gauge!("ringwall_feed_witnessed").set(1.0);
                self.core.witnessed(read_index, members, sent_at, now.instant)
            }
            Delivery::Unwitnessed => {
                metrics::gauge!("ringwall_feed_witnessed").set(0.0);
                warn!("no other controller has confirmed the feed for a minute: check the way to the controllers");
                vec![]
            }
            Delivery::Time(time) => {
                self.parts.security.hear(time, now.instant);
                vec![]
            }
        }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(deadline) = self.core.next_deadline() {
            let wait = deadline.saturating_duration_since(self.now().instant);
            self.timer = Some(ctx.run_later(wait, |registry, ctx| {
                let effects = registry.core.tick(registry.now().instant);
                registry.run_all(effects, ctx);
            }));
        }
    }

    fn announce_drained(&mut self) {
        if self.removals == 0
            && let Some(drained) = self.drained.take()
        {
            let _ = drained.send(());
        }
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(from) = self.from_sessions.1.take() {
            self.hear_sessions(from, ctx);
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        // Whoever renewed the lease is gone.
        self.parts.ports.enforcer.end_lease();
        warn!("session registry stopped");
    }
}

#[cfg(test)]
mod tests;
