//! Websocket and tunnel of a session: welcome, loss, return, attach tokens.

use ringwall_protocol::authorize::Prepared;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, SESSION_VERSION, Welcome};
use serde_json::json;

use super::{DETACHED, Device, Effect, SessionCore, SocketId, Timer, TunnelNews};
use crate::feed::audit::AuditRecord;
use crate::ports::AttachToken;
use crate::registry::admission::Admission;
use crate::support::clock::Moment;
use crate::support::entropy::{Entropy, draw};

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
                if self.budgets.attaches.spend(now.instant) {
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
        self.socket = None;
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
        match Prepared::new(admission.entitlement.into_inner()) {
            Ok(prepared) => self.prepared = prepared,
            Err(error) => return self.end(ErrorCode::TokenInvalid, &error.to_string(), effects),
        }
        self.socket = Some(socket);
        self.timers.stop(Timer::Detached);
        self.claims = admission.claims.into_inner();
        self.certificate_until = admission.certificate_until;
        self.connect_seq = admission.connect_seq;
        self.peer = admission.peer;
        self.country = admission.country;
        self.device = Device { claims: admission.device, heard: now.instant, waiting: None };
        self.note_device(now.instant);
        self.checked_at = self.checked_at.max(checked_at);
        self.settle_tokens(now);
        self.want_names(effects);
        self.welcome_after_install(true);
        self.evaluate(now, effects);
        effects.push(Effect::Audit(self.record("session_reconnected", now)));
        self.report_soon(now);
    }

    pub(super) fn on_tunnel(&mut self, news: TunnelNews, now: Moment, effects: &mut Vec<Effect>) {
        match news {
            TunnelNews::Attached(peer) => {
                self.tunnel = Some(peer);
                effects.push(Effect::Audit(self.record("tunnel_established", now)));
            }
            TunnelNews::Lost => {
                self.tunnel = None;
                effects.push(Effect::Audit(self.record("tunnel_closed", now)));
            }
            TunnelNews::Violation(what) => return self.end(ErrorCode::ProtocolError, &what, effects),
        }
        self.report_soon(now);
    }

    pub(super) fn welcome(&mut self, resumed: bool, now: Moment, entropy: &mut dyn Entropy, effects: &mut Vec<Effect>) {
        let attach_token = self.expect_tunnel(entropy, effects);
        let token = self.prepared.token();
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
            entitlements: self.states(),
        })));
        for prompt in self.prompts.open() {
            effects.push(Effect::Send(FromGateway::Interaction(prompt.clone())));
        }
        if !self.opened {
            self.opened = true;
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
        AuditRecord::new(kind, &self.claims.head.sub, now.time)
            .with("session_id", json!(self.settings.session))
            .with("client_ip", json!(self.peer.ip()))
    }
}
