//! The actix shell of the feed. It waits for the registry after every frame: nothing overtakes anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, Recipient, SpawnHandle, WrapFuture,
};
use ringwall_protocol::feed::FromGateway;
use ringwall_protocol::id::CommandId;
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use super::core::{FeedCore, FeedEffect, FeedInput};
use super::message::{Arrived, Candidates, Connected, Deliver, Lost, Resubscribe};
use super::outbox::FeedOutbox;
use super::ports::{ConnectionId, Dialer};
use crate::support::clock::Clock;
use crate::support::entropy::ThreadEntropy;

/// Frames that may wait for the feed; the adapter waits for each.
const MAILBOX: usize = 64;
/// How soon a full connection is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Takes a further certificate of this Gateway: the request's id, then certificate, issuer and root in DER, base64url.
pub(crate) type OnCertificate = Box<dyn Fn(CommandId, Vec<String>) + Send>;

/// What a feed is made of.
pub struct FeedParts {
    /// The pure part.
    pub core: FeedCore,
    /// Makes connections.
    pub dialer: Arc<dyn Dialer>,
    /// The registry.
    pub registry: Recipient<Deliver>,
    /// What this Gateway has to say.
    pub outbox: Arc<FeedOutbox>,
    /// Reads the time.
    pub clock: Arc<dyn Clock>,
    /// Takes certificates.
    pub on_certificate: OnCertificate,
}

/// The Gateway's end of the feed.
pub struct Feed {
    parts: FeedParts,
    connections: HashMap<ConnectionId, mpsc::Sender<FromGateway>>,
    attached: Option<ConnectionId>,
    timer: Option<SpawnHandle>,
}

impl Feed {
    /// A feed that begins to dial when it is started.
    #[must_use]
    pub fn new(parts: FeedParts) -> Self {
        Self { parts, connections: HashMap::new(), attached: None, timer: None }
    }

    fn step(&mut self, input: FeedInput, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        let mut deliveries = vec![];
        for effect in self.parts.core.handle(input, now, &mut ThreadEntropy) {
            match effect {
                FeedEffect::Deliver(delivery) => deliveries.push(delivery),
                effect => self.run(effect, ctx),
            }
        }
        if !deliveries.is_empty() {
            let delivered = self.parts.registry.send(Deliver(deliveries));
            // Nothing else of this actor runs until the registry is done: order, and backpressure to the Controller.
            delivered
                .into_actor(self)
                .map(|outcome, _, _| {
                    if outcome.is_err() {
                        error!("the session registry is gone; the lease ends by itself");
                    }
                })
                .wait(ctx);
        }
        self.flush(ctx);
        self.arm(ctx);
    }

    fn run(&mut self, effect: FeedEffect, ctx: &mut Context<Self>) {
        match effect {
            FeedEffect::Dial(connection, candidate) => {
                debug!(node = %candidate.node, "connecting to a controller");
                self.parts.dialer.dial(connection, candidate, ctx.address());
            }
            FeedEffect::HangUp(connection, reason) => {
                info!(reason, "feed connection closed");
                self.connections.remove(&connection);
            }
            FeedEffect::Release(connection) => {
                self.connections.remove(&connection);
            }
            FeedEffect::Send(connection, frame) => {
                if let Some(outbox) = self.connections.get(&connection)
                    && outbox.try_send(frame).is_err()
                {
                    // A connection that takes no poll is silent soon, and left for that.
                    debug!("the feed connection is full");
                }
            }
            FeedEffect::Attached(connection) => {
                info!("feed stands");
                metrics::gauge!("ringwall_feed_connected").set(1.0);
                self.attached = Some(connection);
                self.parts.outbox.connected();
            }
            FeedEffect::Detached => {
                metrics::gauge!("ringwall_feed_connected").set(0.0);
                self.attached = None;
                self.parts.outbox.disconnected();
            }
            FeedEffect::Remember(incarnation) => self.parts.dialer.remember(incarnation),
            FeedEffect::AuditStored(seq) => self.parts.outbox.audit_stored(seq),
            FeedEffect::Certificate(command, chain) => {
                (self.parts.on_certificate)(command, chain);
                // The next key is shown at once, so that Controllers let the former one end.
                ctx.notify(Resubscribe);
            }
            FeedEffect::Alarm(what) => error!(what, "refused a state of the collective"),
            FeedEffect::Deliver(_) => {}
        }
    }

    /// Says what waits, as far as the connection takes it.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        let Some(connection) = self.attached.and_then(|attached| self.connections.get(&attached)) else { return };
        loop {
            let room = match connection.try_reserve() {
                Ok(room) => room,
                Err(mpsc::error::TrySendError::Full(())) => {
                    ctx.run_later(RETRY, Self::flush);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(())) => return,
            };
            match self.parts.outbox.next() {
                Some(frame) => room.send(frame),
                None => return,
            }
        }
    }

    /// Comes back whenever something was put into the outbox.
    fn listen(&self, ctx: &mut Context<Self>) {
        let outbox = Arc::clone(&self.parts.outbox);
        let woken = async move { outbox.woken().await };
        ctx.spawn(woken.into_actor(self).map(|(), feed, ctx| {
            feed.listen(ctx);
            if feed.parts.outbox.takes_switch() {
                feed.step(FeedInput::Resubscribe, ctx);
            } else if feed.parts.outbox.takes_poll() {
                feed.step(FeedInput::PollNow, ctx);
            } else {
                feed.flush(ctx);
            }
        }));
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = self.parts.core.next_deadline().saturating_duration_since(self.parts.clock.now().instant);
        self.timer = Some(ctx.run_later(wait, |feed, ctx| feed.step(FeedInput::Tick, ctx)));
    }
}

impl Actor for Feed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.listen(ctx);
        self.step(FeedInput::Tick, ctx);
    }
}

impl Handler<Connected> for Feed {
    type Result = ();

    fn handle(&mut self, Connected { connection, outbox }: Connected, ctx: &mut Self::Context) {
        self.connections.insert(connection, outbox);
        self.step(FeedInput::Connected(connection), ctx);
    }
}

impl Handler<Arrived> for Feed {
    type Result = ();

    fn handle(&mut self, Arrived { connection, frame }: Arrived, ctx: &mut Self::Context) {
        self.step(FeedInput::Arrived(connection, frame), ctx);
    }
}

impl Handler<Lost> for Feed {
    type Result = ();

    fn handle(&mut self, Lost { connection, reason }: Lost, ctx: &mut Self::Context) {
        // Witnesses come and go.
        if self.attached.is_none_or(|attached| attached == connection) {
            info!(reason, "feed connection lost");
        }
        self.connections.remove(&connection);
        self.step(FeedInput::Lost(connection), ctx);
    }
}

impl Handler<Candidates> for Feed {
    type Result = ();

    fn handle(&mut self, Candidates(candidates): Candidates, ctx: &mut Self::Context) {
        self.step(FeedInput::Candidates(candidates), ctx);
    }
}

impl Handler<Resubscribe> for Feed {
    type Result = ();

    fn handle(&mut self, Resubscribe: Resubscribe, ctx: &mut Self::Context) {
        self.step(FeedInput::Resubscribe, ctx);
    }
}
