//! Websocket and tunnel of a session: welcome, loss, return, attach tokens.

use std::time::{Duration, Instant};

use ringwall_protocol::id::LogIndex;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, SESSION_VERSION, Welcome};
use serde_json::json;

use super::{DETACHED, Effect, SessionCore, SocketId, Timer, TunnelNews, credentials};
use crate::feed::audit::AuditRecord;
use crate::ports::AttachToken;
use crate::registry::admission::Admission;
use crate::support::budget::Budget;
use crate::support::clock::Moment;
use crate::support::entropy::{Entropy, draw};

/// Attach tokens that are given out on request (T32).
const ATTACHES: (usize, Duration) = (20, Duration::from_secs(10));

/// How the Client is connected.
#[derive(Debug)]
pub(super) struct Connection {
    /// None while the session is detached.
    socket: Option<SocketId>,
    attaches: Budget,
    /// The Controllers know of the session: it was welcomed once.
    opened: bool,
}

impl Connection {
    pub(super) const fn new(socket: SocketId) -> Self {
        let (limit, window) = ATTACHES;
        Self { socket: Some(socket), attaches: Budget::new(limit, window), opened: false }
    }

    /// True if this is the session's current websocket.
    pub(super) fn is_on(&self, socket: SocketId) -> bool {
        self.socket == Some(socket)
    }

    /// True while there is no websocket.
    pub(super) const fn is_detached(&self) -> bool {
        self.socket.is_none()
    }

    /// True once the Controllers know of the session.
    pub(super) const fn is_opened(&self) -> bool {
        self.opened
    }

    /// The first welcome: true once.
    fn open(&mut self) -> bool {
        !std::mem::replace(&mut self.opened, true)
    }

    fn admits_attach(&mut self, now: Instant) -> bool {
        self.attaches.spend(now)
    }
}

impl SessionCore {
    pub(super) fn on_client(
        &mut self,
        message: FromClient,
        now: Moment,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<Effect>,
    ) {
        match message {
            FromClient::AttachRequest {} => {
                if self.connection.admits_attach(now.instant) {
                    let token = self.expect_tunnel(entropy, effects);
                    effects.push(Effect::Send(FromGateway::Attach { token }));
                }
            }
            FromClient::DeviceClaims { claims } => self.on_device_claims(claims, now, effects),
            FromClient::Reason { prompt_id, text } => self.on_reason(prompt_id, &text, now, effects),
            FromClient::Goodbye {} => self.end(ErrorCode::ClientLeft, "the client said goodbye", effects),
            // DTLS is not offered yet; a Client that names its fingerprint early does no harm.
            FromClient::Datagram { .. } => {}
            FromClient::Hello(_) | FromClient::ClaimsToken { .. } | FromClient::EntitlementToken { .. } => {
                self.end(ErrorCode::ProtocolError, "a message that does not belong here", effects);
            }
        }
    }

    pub(super) fn on_socket_lost(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.connection.socket = None;
        self.timers.set(Timer::Detached, now.instant + DETACHED);
        effects.push(Effect::Audit(self.record("session_detached", now)));
        self.report_soon(now);
    }

    pub(super) fn on_resumed(
        &mut self,
        socket: SocketId,
        admission: Admission,
        checked_at: LogIndex,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let (peer, country) = (admission.peer, admission.country.clone());
        let (admitted, device) = credentials::of_admission(admission, checked_at);
        if let Err(error) = self.credentials.resume(admitted) {
            return self.end(ErrorCode::TokenInvalid, &error.to_string(), effects);
        }
        self.connection.socket = Some(socket);
        self.timers.stop(Timer::Detached);
        (self.origin.peer, self.origin.country) = (peer, country);
        self.evidence.device.resume(device, now.instant);
        self.note_device();
        self.settle_tokens(now);
        self.want_names(effects);
        self.rules.welcome_with_next(true);
        self.evaluate(now, effects);
        effects.push(Effect::Audit(self.record("session_reconnected", now)));
        self.report_soon(now);
    }

    pub(super) fn on_tunnel(&mut self, news: TunnelNews, now: Moment, effects: &mut Vec<Effect>) {
        match news {
            TunnelNews::Attached(_) => effects.push(Effect::Audit(self.record("tunnel_established", now))),
            TunnelNews::Lost => effects.push(Effect::Audit(self.record("tunnel_closed", now))),
            TunnelNews::Violation(what) => return self.end(ErrorCode::ProtocolError, &what, effects),
        }
        self.report_soon(now);
    }

    pub(super) fn welcome(&mut self, resumed: bool, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) {
        let attach_token = self.expect_tunnel(entropy, effects);
        let token = self.credentials.prepared.token();
        effects.push(Effect::Send(FromGateway::Welcome(Welcome {
            session_id: self.settings.session,
            resumed,
            version: SESSION_VERSION,
            attach_token,
            mtu: self.settings.mtu,
            tun_ipv4: self.settings.addresses.v4,
            tun_ipv6: self.settings.addresses.v6,
            routes: token.routes.clone(),
            dns: token.dns.clone(),
            keep_alive_seconds: self.settings.keep_alive_seconds,
            controller_time: now.time,
            entitlements: self.rules.states(),
        })));
        for prompt in self.prompts.open() {
            effects.push(Effect::Send(FromGateway::Interaction(prompt.clone())));
        }
        if self.connection.open() {
            effects.push(Effect::Opened(self.summary()));
            effects.push(Effect::Audit(self.record("session_created", now)));
        }
    }

    /// A fresh attach token, made known to the workers; its text for the Client.
    fn expect_tunnel(&self, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) -> String {
        let token = AttachToken(draw(entropy));
        let text = data_encoding::BASE64URL_NOPAD.encode(&token.0);
        effects.push(Effect::Expect(token));
        text
    }

    pub(super) fn record(&self, kind: &'static str, now: Moment) -> AuditRecord {
        AuditRecord::new(kind, &self.credentials.claims.head.sub, now.time)
            .with("session_id", json!(self.settings.session))
            .with("client_ip", json!(self.origin.peer.ip()))
    }
}
