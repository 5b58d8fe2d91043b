//! What Gateways tell: sessions go into the directory and, batched, as bindings into the replicated state; audit
//! records into a file; requests for further certificates are answered.
//!
//! Promises that a Gateway speaks only for sessions that a Client itself opened there (T67), with the key of a registered
//! device, and no faster than a Gateway that works has to (T68).

mod recording;
mod speech;

use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringwall_actors::link::{GatewayReport, GatewayReports};
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{ApplianceId, CommandId, SessionId, Thumbprint};
use ringwall_protocol::membership::MAX_INTERFACE_ADDRESSES;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::binding::EndedSession;
use ringwall_raft::state::gateway::RenewGatewayKey;
use ringwall_raft::state::spa_master::PeerKeyHolder;
use ringwall_trust::identity::VerifiedRequest;
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::spa::PeerRole;
use tokio::sync::mpsc;

use self::recording::{Report, WAITING, record_all};
use self::speech::{Pace, true_binding};
use super::Peers;
use crate::audit::file::Stored;
use crate::refusal::Refusal;
use crate::replica::scoped_id;

/// Hears Gateways.
#[derive(Debug)]
pub(crate) struct Reports {
    peers: Arc<Peers>,
    bindings: mpsc::Sender<Report>,
    pace: Pace,
}

impl Reports {
    /// A listener, and the task that turns its reports into log entries until the listener is gone.
    pub(crate) fn new(peers: &Arc<Peers>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (bindings, waiting) = mpsc::channel(WAITING);
        let task = record_all(Arc::clone(peers), waiting);
        (Self { peers: Arc::clone(peers), bindings, pace: Pace::default() }, task)
    }

    fn interfaces(&self, gateway: ApplianceId, addresses: Vec<IpAddr>) {
        let state = self.peers.replica.state();
        if state.gateway(gateway).is_none_or(|record| record.interface_addresses == addresses) {
            return;
        }
        let now = self.peers.replica.now();
        if addresses.len() > MAX_INTERFACE_ADDRESSES || !self.pace.may_move(gateway, now) {
            return tracing::warn!(%gateway, "gateway's addresses are too many, or change too often; not recorded");
        }
        self.put(Report::Interfaces(gateway, addresses));
    }

    /// A Gateway keeps the present key for knocking on Controllers; of any other key nothing is recorded.
    fn peer_key(&self, gateway: ApplianceId, digest: Thumbprint) {
        let (state, holder) = (self.peers.replica.state(), PeerKeyHolder::Gateway(gateway));
        if state.knows_peer_key(holder) {
            return;
        }
        let present = crate::listener::spa::peer_key(&state, &self.peers.vault, PeerRole::Feed);
        if present.is_ok_and(|key| key.digest() == digest.0) {
            self.put(Report::PeerKey(gateway, state.spa_masters().generation()));
        }
    }

    fn put(&self, report: Report) {
        if self.bindings.try_send(report).is_err() {
            tracing::warn!("more sessions are reported than can be recorded");
        }
    }

    fn told(&self, gateway: ApplianceId, session: SessionSummary, opened: bool) {
        let now = self.peers.replica.now();
        // What is known already changes no binding; only its picture is new.
        let known = self.peers.sessions.knows(gateway, &session);
        if !known || opened {
            let state = self.peers.replica.state();
            let binding = if self.pace.may_report(gateway, now) {
                true_binding(&state, gateway, &session, now)
            } else {
                Err("it reports more sessions than a gateway can have")
            };
            match binding {
                Ok(binding) if opened => self.put(Report::Opened(binding)),
                Ok(_) => {}
                Err(why) => return refuse(gateway, &session, why),
            }
        }
        self.peers.sessions.put(gateway, session);
    }

    fn ended(&self, gateway: ApplianceId, session: SessionId, dn: SessionDn) {
        let state = self.peers.replica.state();
        let Some(site) = state.gateway(gateway).map(|record| record.site) else { return };
        let is_bound =
            || state.binding(&dn, site).is_some_and(|bound| bound.session == session && bound.gateway == gateway);
        // Of others a Gateway says nothing, and of its own each once.
        if self.peers.sessions.remove(gateway, session) || is_bound() {
            self.put(Report::Ended(EndedSession { dn, site, gateway, session }));
        }
    }
}

fn refuse(gateway: ApplianceId, session: &SessionSummary, why: &'static str) {
    metrics::counter!("ringwall_gateway_reports_refused_total").increment(1);
    tracing::debug!(%gateway, dn = %session.dn, site = %session.site, why, "gateway's report of a session is not believed");
}

impl GatewayReports for Reports {
    fn report(&self, gateway: ApplianceId, report: GatewayReport) {
        match report {
            GatewayReport::SessionOpened(session) => self.told(gateway, session, true),
            GatewayReport::SessionUpdated(session) => self.told(gateway, session, false),
            GatewayReport::SessionEnded { session, dn, code } => {
                tracing::debug!(%gateway, %dn, ?code, "session ended");
                self.ended(gateway, session, dn);
            }
            GatewayReport::Interfaces(addresses) => self.interfaces(gateway, addresses),
            GatewayReport::PeerKey(digest) => self.peer_key(gateway, digest),
            GatewayReport::Load { sessions, rule_sets } => {
                let labels = [("gateway", gateway.to_string())];
                metrics::gauge!("ringwall_gateway_sessions", &labels).set(f64::from(sessions));
                metrics::gauge!("ringwall_gateway_rule_sets", &labels).set(f64::from(rule_sets));
            }
            GatewayReport::Connected => {
                tracing::info!(%gateway, "gateway's feed stands");
                self.peers.sessions.forget_gateway(gateway);
            }
            GatewayReport::Disconnected => {
                tracing::info!(%gateway, "gateway's feed ended");
                self.peers.sessions.forget_gateway(gateway);
            }
        }
    }

    fn store_audit(&self, gateway: ApplianceId, seq: u64, records: Vec<String>) -> BoxFuture<'static, bool> {
        let (audit, now) = (Arc::clone(&self.peers.gateway_audit), self.peers.replica.now());
        async move { audit.append(gateway, seq, records, now).await == Stored::Yes }.boxed()
    }

    fn renew_certificate(
        &self,
        gateway: ApplianceId,
        command: CommandId,
        csr: String,
    ) -> BoxFuture<'static, Result<Vec<String>, ErrorCode>> {
        if !self.pace.may_renew(gateway, self.peers.replica.now()) {
            return async { Err(ErrorCode::Busy) }.boxed();
        }
        let peers = Arc::clone(&self.peers);
        async move { renew(&peers, gateway, command, &csr).await.map_err(|refusal| refusal.code) }.boxed()
    }
}

/// A further certificate for a Gateway, which proved itself on the feed. Its present key and the new one both count.
async fn renew(peers: &Peers, gateway: ApplianceId, command: CommandId, csr: &str) -> Result<Vec<String>, Refusal> {
    let der = BASE64URL_NOPAD.decode(csr.as_bytes()).map_err(|_| Refusal::invalid("csr: expected base64url"))?;
    let request = VerifiedRequest::verify(&der).map_err(|error| Refusal::invalid(format!("csr: {error}")))?;
    let state = peers.replica.current().await?;
    let record = state.gateway(gateway).ok_or_else(|| Refusal::new(ErrorCode::NotFound, "no such gateway"))?;
    let issuer = peers.intermediates.appliance(&state)?;
    let leaf = issuer.issue_gateway(&request, gateway, &[], peers.replica.now(), &SystemRandom).map_err(|error| {
        tracing::error!(%error, "gateway's certificate was not issued");
        Refusal::internal()
    })?;
    let mut keys = vec![request.thumbprint()];
    keys.extend(record.keys.first().filter(|present| **present != request.thumbprint()));
    let command = scoped_id(&format!("gateway {gateway}"), command);
    let outcome = peers.replica.propose_as(command, None, RenewGatewayKey { gateway, keys }.into()).await?;
    outcome.reply.accepted().map_err(|rejection| Refusal::rejected(&rejection))?;
    tracing::info!(%gateway, "gateway's certificate renewed");
    Ok(super::join::chain(&leaf, &issuer, &state))
}
