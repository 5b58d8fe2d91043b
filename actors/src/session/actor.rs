//! The actix shell of a session: input to the core, effects to the ports.

use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::FromGateway;
use tokio::sync::mpsc::error::TrySendError;
use tracing::debug;

use super::core::{Effect, Input, SessionCore, SessionSettings};
use super::guard::RuleLease;
use super::message::{
    Alerted, Blocked, Ended, FromSocket, NameRefused, Reevaluate, Renew, Resumed, Socket, SocketLost, Tokens, Tunnel,
};
use crate::feed::outbox::FeedOutbox;
use crate::ports::{InstallError, NameKeeper, RuleEnforcer, TunnelPlane};
use crate::registry::admission::Admission;
use crate::support::clock::Clock;
use crate::support::entropy::ThreadEntropy;

/// Messages that may wait for a session: a burst of the Client's (50), denials and the registry's.
const MAILBOX: usize = 128;

/// What a session reaches.
#[derive(Clone)]
pub struct SessionPorts {
    /// The kernel's rules.
    pub enforcer: Arc<dyn RuleEnforcer>,
    /// The packets.
    pub tunnel: Arc<dyn TunnelPlane>,
    /// What names stand for.
    pub names: Arc<dyn NameKeeper>,
    /// To the Controllers.
    pub outbox: Arc<FeedOutbox>,
    /// Security time.
    pub clock: Arc<dyn Clock>,
}

/// What a session is made of.
pub(crate) struct SessionParts {
    /// What never changes.
    pub settings: SessionSettings,
    /// Its first websocket.
    pub socket: Socket,
    /// With what it was admitted.
    pub admission: Box<Admission>,
    /// Feed index of the check.
    pub checked_at: LogIndex,
    /// What it reaches.
    pub ports: SessionPorts,
    /// Its hold on its rules.
    pub lease: RuleLease,
}

/// One Client that is signed in.
pub struct ClientSession {
    core: Option<SessionCore>,
    starting: Option<(SessionSettings, Box<Admission>, LogIndex)>,
    ports: SessionPorts,
    socket: Option<Socket>,
    lease: RuleLease,
    timer: Option<SpawnHandle>,
}

impl ClientSession {
    /// A session that was registered; it begins when it is started.
    #[must_use]
    pub(crate) fn new(parts: SessionParts) -> Self {
        let SessionParts { settings, socket, admission, checked_at, ports, lease } = parts;
        let starting = Some((settings, admission, checked_at));
        Self { core: None, starting, ports, socket: Some(socket), lease, timer: None }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let Some(core) = &mut self.core else { return };
        let effects = core.handle(input, self.ports.clock.now(), &mut ThreadEntropy);
        for effect in effects {
            self.run(effect, ctx);
        }
        self.arm(ctx);
    }

    fn run(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Install(install) => {
                let generation = install.generation;
                let answer = self.ports.enforcer.install(install);
                ctx.spawn(answer.into_actor(self).map(move |answer, session, ctx| {
                    let stopped = || Err(InstallError::Kernel("the enforcer has stopped".to_owned()));
                    session.step(Input::Installed(generation, answer.unwrap_or_else(|_| stopped())), ctx);
                }));
            }
            Effect::Send(message) => self.send(message, ctx),
            Effect::Expect(token) => {
                if let Some(core) = &self.core {
                    self.ports.tunnel.expect(core.id(), token);
                }
            }
            Effect::Names(user, hosts) => {
                if let Some(core) = &self.core {
                    self.ports.names.want(core.id(), &user, hosts);
                }
            }
            Effect::Opened(summary) => self.ports.outbox.opened(summary),
            Effect::Updated(summary) => self.ports.outbox.updated(summary),
            Effect::Audit(record) => self.ports.outbox.audit(record),
            Effect::End(code, message) => self.lease.end(code, message),
        }
    }

    fn send(&mut self, message: FromGateway, ctx: &mut Context<Self>) {
        let Some(socket) = &self.socket else { return };
        let lost = match socket.outbox.try_send(message) {
            Ok(()) => return,
            // A Client that does not read is as good as gone; it may come back on another websocket.
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => socket.id,
        };
        debug!("a websocket does not take what it must");
        self.socket = None;
        self.step(Input::SocketLost(lost), ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(deadline) = self.core.as_ref().and_then(SessionCore::next_deadline) {
            let wait = deadline.saturating_duration_since(self.ports.clock.now().instant);
            self.timer = Some(ctx.run_later(wait, |session, ctx| session.step(Input::Tick, ctx)));
        }
    }
}

impl Actor for ClientSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let Some((settings, admission, checked_at)) = self.starting.take() else { return };
        let socket = self.socket.as_ref().map_or(super::core::SocketId(0), |socket| socket.id);
        match SessionCore::new(settings, socket, *admission, checked_at, self.ports.clock.now()) {
            Ok(core) => {
                self.core = Some(core);
                self.step(Input::Started, ctx);
            }
            Err(error) => self.lease.end(ErrorCode::TokenInvalid, error.to_string()),
        }
    }
}

impl Drop for ClientSession {
    /// However it ended: nobody asks for its names any more.
    fn drop(&mut self) {
        if let Some(core) = &self.core {
            self.ports.names.forget(core.id());
        }
    }
}

macro_rules! inputs {
    ($($pattern:pat => $message:ty, $input:expr;)*) => {$(
        impl Handler<$message> for ClientSession {
            type Result = ();

            fn handle(&mut self, $pattern: $message, ctx: &mut Self::Context) {
                self.step($input, ctx);
            }
        }
    )*};
}
inputs! {
    FromSocket(socket, message) => FromSocket, Input::Client(socket, message);
    Tokens(tokens) => Tokens, Input::Tokens(tokens);
    Blocked(flow, names) => Blocked, Input::Blocked(flow, names);
    NameRefused(refused) => NameRefused, Input::NameRefused(refused);
    Alerted(flow) => Alerted, Input::Alerted(flow);
    Tunnel(news) => Tunnel, Input::Tunnel(news);
    Renew(kinds, reason) => Renew, Input::Renew(kinds, reason);
    Reevaluate => Reevaluate, Input::Reevaluate;
}

impl Handler<SocketLost> for ClientSession {
    type Result = ();

    fn handle(&mut self, SocketLost(lost): SocketLost, ctx: &mut Self::Context) {
        if self.socket.as_ref().is_some_and(|socket| socket.id == lost) {
            self.socket = None;
        }
        self.step(Input::SocketLost(lost), ctx);
    }
}

impl Handler<Resumed> for ClientSession {
    type Result = ();

    fn handle(&mut self, Resumed { socket, admission, checked_at }: Resumed, ctx: &mut Self::Context) {
        let id = socket.id;
        if let Some(former) = self.socket.replace(socket) {
            // The former websocket gets no further word: the Client has left it.
            drop(former);
        }
        self.step(Input::Resumed(id, admission, checked_at), ctx);
    }
}

impl Handler<Ended> for ClientSession {
    type Result = ();

    fn handle(&mut self, Ended: Ended, ctx: &mut Self::Context) {
        self.lease.release();
        ctx.stop();
    }
}
