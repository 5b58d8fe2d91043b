//! The actix shell of a link: input to the core, effects to the stream, the board and the ports.
//!
//! The adapter that owns the connection starts one [`Link`], sends it every frame as [`Arrived`], writes what comes out
//! of the other end of `outbox` in order, and closes the connection when that end is closed.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use ringwall_protocol::feed::{FromController, MAX_UNACKNOWLEDGED};
use ringwall_protocol::id::ApplianceId;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::board::Board;
use super::core::{CloseReason, LinkCore, LinkEffect, LinkInput};
use super::message::{Arrived, HungUp};
use super::ports::{ChangeSource, GatewayReport, GatewayReports};
use crate::support::clock::Clock;

/// Frames that may wait for the connection: all changes that may be unacknowledged, and room for the rest.
pub const OUTBOX: usize = MAX_UNACKNOWLEDGED + 1_024;
/// Frames from the Gateway that may wait for the link.
const MAILBOX: usize = 64;
/// Audit records that could not be stored are tried again after this.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// What a link is made of.
pub struct LinkParts {
    /// Who is at the other end, proved by certificate and membership.
    pub gateway: ApplianceId,
    /// The replicated state.
    pub source: Arc<dyn ChangeSource>,
    /// Who hears the Gateway.
    pub reports: Arc<dyn GatewayReports>,
    /// Where enforcement is noted.
    pub board: Arc<Board>,
    /// Controller time.
    pub clock: Arc<dyn Clock>,
    /// To the connection; make it with [`OUTBOX`] places. The link ends by dropping it.
    pub outbox: mpsc::Sender<FromController>,
}

/// One connected Gateway, as a Controller sees it.
pub struct Link {
    parts: LinkParts,
    core: LinkCore,
    /// Names it on the board, once its feed stands.
    number: Option<u64>,
    timer: Option<SpawnHandle>,
}

impl Link {
    /// A link for a new connection.
    #[must_use]
    pub fn new(parts: LinkParts) -> Self {
        let now = parts.clock.now();
        let core = LinkCore::new(parts.gateway, now);
        Self { parts, core, number: None, timer: None }
    }

    fn step(&mut self, input: LinkInput, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        for effect in self.core.handle(input, &*self.parts.source, now) {
            self.run(effect, ctx);
        }
        self.arm(ctx);
    }

    fn run(&mut self, effect: LinkEffect, ctx: &mut Context<Self>) {
        let gateway = self.parts.gateway;
        match effect {
            LinkEffect::Send(frame) => self.send(frame, ctx),
            LinkEffect::AskReadIndex => {
                let answer = self.parts.source.read_index();
                ctx.spawn(
                    answer.into_actor(self).map(|answer, link, ctx| link.step(LinkInput::ReadIndex(answer), ctx)),
                );
            }
            LinkEffect::Report(report) => {
                if report == GatewayReport::Connected {
                    self.number = Some(self.parts.board.connected(gateway, self.parts.clock.now().instant));
                }
                self.parts.reports.report(gateway, report);
            }
            LinkEffect::StoreAudit { seq, records } => self.store_audit(seq, records, ctx),
            LinkEffect::RenewCertificate { command, csr } => {
                let issued = self.parts.reports.renew_certificate(gateway, command, csr);
                ctx.spawn(issued.into_actor(self).map(move |issued, link, ctx| match issued {
                    Ok(chain) => link.send(FromController::Certificate { command_id: command, chain }, ctx),
                    Err(code) => warn!(%gateway, ?code, "a gateway's certificate is not renewed"),
                }));
            }
            LinkEffect::Enforced { index, failed } => {
                self.parts.board.enforced(gateway, index, failed, self.parts.clock.now().instant);
            }
            LinkEffect::ConfirmedPollOf(arrived) => self.parts.board.confirmed(gateway, arrived),
            LinkEffect::Close(reason) => {
                info!(%gateway, %reason, "feed closed");
                ctx.stop();
            }
        }
    }

    /// Until it is done: the Gateway sends nothing further before, so that one batch is all that is held for it.
    fn store_audit(&self, seq: u64, records: Vec<String>, ctx: &mut Context<Self>) {
        let stored = self.parts.reports.store_audit(self.parts.gateway, seq, records.clone());
        ctx.spawn(stored.into_actor(self).map(move |stored, link, ctx| {
            if stored {
                return link.step(LinkInput::AuditStored { seq }, ctx);
            }
            ctx.run_later(STORE_AGAIN, move |link, ctx| link.store_audit(seq, records, ctx));
        }));
    }

    fn send(&mut self, frame: FromController, ctx: &mut Context<Self>) {
        match self.parts.outbox.try_send(frame) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                warn!(gateway = %self.parts.gateway, reason = %CloseReason::Slow, "feed closed");
                ctx.stop();
            }
            Err(mpsc::error::TrySendError::Closed(_)) => ctx.stop(),
        }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = self.core.next_deadline().saturating_duration_since(self.parts.clock.now().instant);
        self.timer = Some(ctx.run_later(wait, |link, ctx| link.step(LinkInput::Tick, ctx)));
    }

    /// Looks at the state whenever more was applied.
    fn follow(&self, mut applied: watch::Receiver<ringwall_protocol::id::LogIndex>, ctx: &mut Context<Self>) {
        let changed = async move { applied.changed().await.map(|()| applied) };
        ctx.spawn(changed.into_actor(self).map(|changed, link, ctx| match changed {
            Ok(applied) => {
                link.follow(applied, ctx);
                link.step(LinkInput::Applied, ctx);
            }
            Err(_) => ctx.stop(),
        }));
    }
}

impl Actor for Link {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.follow(self.parts.source.applied(), ctx);
        self.arm(ctx);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for effect in self.core.hung_up() {
            if let LinkEffect::Report(report) = effect {
                self.parts.reports.report(self.parts.gateway, report);
            }
        }
        if let Some(number) = self.number {
            self.parts.board.disconnected(self.parts.gateway, number);
        }
    }
}

impl Handler<Arrived> for Link {
    type Result = ();

    fn handle(&mut self, Arrived(frame): Arrived, ctx: &mut Self::Context) {
        self.step(LinkInput::Arrived(frame), ctx);
    }
}

impl Handler<HungUp> for Link {
    type Result = ();

    fn handle(&mut self, HungUp: HungUp, ctx: &mut Self::Context) {
        debug!(gateway = %self.parts.gateway, "feed hung up");
        ctx.stop();
    }
}
