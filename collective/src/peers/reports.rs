//! What Gateways tell: sessions go into the directory and, batched, as bindings into the replicated state; audit
//! records into a file; requests for further certificates are answered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringwall_actors::link::{GatewayReport, GatewayReports};
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{ApplianceId, CommandId, SessionId, SiteId};
use ringwall_protocol::membership::MAX_INTERFACE_ADDRESSES;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::binding::{BindSessions, Binding, EndSessions, MAX_BOUND};
use ringwall_raft::state::gateway::{NoteInterfaces, RenewGatewayKey};
use ringwall_trust::identity::VerifiedRequest;
use ringwall_trust::secret::SystemRandom;
use tokio::sync::mpsc;

use super::Peers;
use crate::audit::file::AuditFile;
use crate::identity::throttle::Throttle;
use crate::refusal::Refusal;

/// Reports that may wait to be bound; beyond it they are dropped, and told again when the Gateway reconnects.
const WAITING: usize = 65_536;
/// Reports are gathered for so long before they become an entry.
const BATCH: Duration = Duration::from_millis(100);

/// Changes of its host's addresses that a Gateway may tell of in [`INTERFACE_SPAN`].
const INTERFACE_CHANGES: u32 = 10;
/// See [`INTERFACE_CHANGES`].
const INTERFACE_SPAN: Duration = Duration::from_secs(600);

/// Hears Gateways.
#[derive(Debug)]
pub(crate) struct Reports {
    peers: Arc<Peers>,
    bindings: mpsc::Sender<Report>,
    /// Each change of a Gateway's addresses is a log entry.
    interfaces: Mutex<Throttle<ApplianceId>>,
    audit: Arc<AuditFile>,
}

#[derive(Debug)]
enum Report {
    Opened(Binding),
    Ended(SessionDn, SiteId, SessionId),
    Interfaces(ApplianceId, Vec<IpAddr>),
}

impl Reports {
    /// A listener, and the task that turns its reports into log entries until the listener is gone.
    pub(crate) fn new(peers: &Arc<Peers>, audit: Arc<AuditFile>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (bindings, waiting) = mpsc::channel(WAITING);
        let task = bind(Arc::clone(peers), waiting);
        let interfaces = Mutex::new(Throttle::new(INTERFACE_CHANGES, INTERFACE_SPAN));
        (Self { peers: Arc::clone(peers), bindings, interfaces, audit }, task)
    }

    /// A Gateway speaks for itself, in its own Site: what it says of others could end their sessions.
    fn may_speak_of(&self, gateway: ApplianceId, session: &SessionSummary) -> bool {
        let state = self.peers.replica.state();
        session.gateway == gateway && state.gateway(gateway).is_some_and(|record| record.site == session.site)
    }

    fn interfaces(&self, gateway: ApplianceId, addresses: Vec<IpAddr>) {
        let state = self.peers.replica.state();
        if state.gateway(gateway).is_none_or(|record| record.interface_addresses == addresses) {
            return;
        }
        let mut changes = self.interfaces.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() > MAX_INTERFACE_ADDRESSES || !changes.take(&gateway, self.peers.replica.now()) {
            return tracing::warn!(%gateway, "gateway's addresses are too many, or change too often; not recorded");
        }
        drop(changes);
        self.put(Report::Interfaces(gateway, addresses));
    }

    fn put(&self, report: Report) {
        if self.bindings.try_send(report).is_err() {
            tracing::warn!("more sessions are reported than can be recorded");
        }
    }
}

impl GatewayReports for Reports {
    fn report(&self, gateway: ApplianceId, report: GatewayReport) {
        match report {
            GatewayReport::SessionOpened(session) | GatewayReport::SessionUpdated(session)
                if !self.may_speak_of(gateway, &session) =>
            {
                let (dn, site) = (&session.dn, session.site);
                tracing::warn!(%gateway, %dn, %site, "a gateway reports a session of another Site or Gateway");
            }
            GatewayReport::SessionOpened(session) => {
                self.put(Report::Opened(binding(gateway, &session)));
                self.peers.sessions.put(gateway, session);
            }
            GatewayReport::SessionUpdated(session) => self.peers.sessions.put(gateway, session),
            GatewayReport::SessionEnded { session, dn, code } => {
                tracing::info!(%gateway, %dn, ?code, "session ended");
                if let Some(site) = self.peers.replica.state().gateway(gateway).map(|record| record.site) {
                    self.put(Report::Ended(dn, site, session));
                }
                self.peers.sessions.remove(gateway, session);
            }
            GatewayReport::Interfaces(addresses) => self.interfaces(gateway, addresses),
            GatewayReport::Load { sessions, rule_sets } => {
                let labels = [("gateway", gateway.to_string())];
                metrics::gauge!("ringwall_gateway_sessions", &labels).set(f64::from(sessions));
                metrics::gauge!("ringwall_gateway_rule_sets", &labels).set(f64::from(rule_sets));
            }
            GatewayReport::Connected | GatewayReport::Disconnected => self.peers.sessions.forget_gateway(gateway),
        }
    }

    fn store_audit(&self, gateway: ApplianceId, seq: u64, records: Vec<String>) -> BoxFuture<'static, bool> {
        let audit = Arc::clone(&self.audit);
        async move { audit.append(gateway, seq, records).await }.boxed()
    }

    fn renew_certificate(
        &self,
        gateway: ApplianceId,
        command: CommandId,
        csr: String,
    ) -> BoxFuture<'static, Result<Vec<String>, ErrorCode>> {
        let peers = Arc::clone(&self.peers);
        async move { renew(&peers, gateway, command, &csr).await.map_err(|refusal| refusal.code) }.boxed()
    }
}

fn binding(gateway: ApplianceId, session: &SessionSummary) -> Binding {
    Binding {
        dn: session.dn.clone(),
        site: session.site,
        gateway,
        session: session.session,
        sid: session.sid,
        sign_in_idx: session.sign_in_idx,
        connect_seq: session.connect_seq,
        since: session.since,
    }
}

async fn bind(peers: Arc<Peers>, mut waiting: mpsc::Receiver<Report>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, MAX_BOUND).await > 0 {
        tokio::time::sleep(BATCH).await;
        while batch.len() < MAX_BOUND
            && let Ok(more) = waiting.try_recv()
        {
            batch.push(more);
        }
        record(&peers, std::mem::take(&mut batch)).await;
    }
}

/// Binds sessions of sign-ins that have happened. One from the future would win over every true one after it.
async fn open(peers: &Peers, mut bindings: Vec<Binding>) -> Result<(), Refusal> {
    // As new as every sign-in that a Gateway can have seen.
    let newest = peers.replica.current().await?.index();
    bindings.retain(|binding| {
        let happened = binding.sign_in_idx <= newest;
        if !happened {
            tracing::warn!(gateway = %binding.gateway, dn = %binding.dn, "gateway reports a sign-in index that is higher than the applied one");
        }
        happened
    });
    if !bindings.is_empty() {
        peers.replica.change(BindSessions { bindings }).await?;
    }
    Ok(())
}

async fn record(peers: &Peers, batch: Vec<Report>) {
    let (mut bindings, mut ended) = (Vec::new(), Vec::new());
    let mut interfaces = BTreeMap::new();
    for report in batch {
        match report {
            Report::Interfaces(gateway, addresses) => drop(interfaces.insert(gateway, addresses)),
            Report::Opened(binding) => bindings.push(binding),
            Report::Ended(dn, site, session) => ended.push((dn, site, session)),
        }
    }
    // Openings first: an end names its session, so that it cannot end a later one.
    if !bindings.is_empty()
        && let Err(error) = open(peers, bindings).await
    {
        tracing::warn!(%error, "sessions were not recorded");
    }
    for (gateway, addresses) in interfaces {
        if let Err(error) = peers.replica.change(NoteInterfaces { gateway, addresses }).await {
            tracing::warn!(%error, %gateway, "addresses of a gateway were not recorded");
        }
    }
    if !ended.is_empty()
        && let Err(error) = peers.replica.change(EndSessions { ended }).await
    {
        tracing::warn!(%error, "ends of sessions were not recorded");
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
    let outcome = peers.replica.propose_as(command, None, RenewGatewayKey { gateway, keys }.into()).await?;
    outcome.reply.accepted().map_err(|rejection| Refusal::rejected(&rejection))?;
    tracing::info!(%gateway, "gateway's certificate renewed");
    Ok(super::join::chain(&leaf, &issuer, &state))
}
