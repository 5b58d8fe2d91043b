//! Answering appliances that join: the join token is spent in the entry that admits them, so that it admits
//! one; the same key asking again gets the same answer.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{ApplianceId, NodeId};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::join::{
    ControllerAdmission, ControllerJoin, JoinAnswer, JoinReply, JoinRequest, JoinRole, MAX_JOIN_MESSAGE,
};
use ringwall_raft::state::gateway::AdmitGateway;
use ringwall_raft::state::join_token::JoinTokenHash;
use ringwall_raft::state::member::AdmitController;
use ringwall_raft::state::secret::PutSecret;
use ringwall_raft::{Command, Reply, State};
use ringwall_trust::ca::IssuingCa;
use ringwall_trust::identity::{IssuerKind, VerifiedRequest};
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::PeerRole;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::{Peers, frame};
use crate::issuing::check;
use crate::listener::gates::Peer;
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;

/// A joiner has sent everything by then.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long a joining Controller waits for the root's signatures; later ones reach it through the state.
const SIGNING_TIME: Duration = Duration::from_secs(5);

/// Name of the stored request of a Controller for an intermediate.
#[must_use]
pub(crate) fn issuer_request_name(node: NodeId, kind: IssuerKind) -> String {
    format!("issuer-request/{node}/{kind}")
}

/// Answers one joiner and closes.
pub(super) async fn answer(mut peer: Peer, peers: &Peers) {
    let request = match timeout(REQUEST_TIME, frame::read::<JoinRequest>(&mut peer.stream, MAX_JOIN_MESSAGE)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return tracing::debug!(address = %peer.address, %error, "join request is not readable"),
        Err(_) => return tracing::debug!(address = %peer.address, "join request did not come"),
    };
    let reply = match admit(peers, &request).await {
        Ok(answer) => {
            peers
                .audit
                .event("join_token_used", None, peer.address.ip())
                .with("appliance_id", request.appliance_id.to_string())
                .emit();
            JoinReply::Admitted(Box::new(answer))
        }
        Err(refusal) => {
            peers
                .audit
                .event("join_refused", None, peer.address.ip())
                .with("appliance_id", request.appliance_id.to_string())
                .with("reason", refusal.to_string())
                .emit();
            JoinReply::Refused(refusal.body())
        }
    };
    if let Err(error) = frame::write(&mut peer.stream, &reply).await {
        tracing::debug!(%error, "join reply did not go out");
    }
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut peer.stream).await; // the answer is out or it is not
}

async fn admit(peers: &Peers, request: &JoinRequest) -> Result<JoinAnswer, Refusal> {
    let state = peers.replica.current().await?;
    let token: SecretKey = request.join_token.parse().map_err(|_| unknown_token())?;
    let token = JoinTokenHash::new(token.digest());
    let known = state.join_token(&token).filter(|known| known.appliance == request.appliance_id);
    let known = known.ok_or_else(unknown_token)?.clone();
    let csr = verified_request(&request.csr, "csr")?;
    let issuer = peers.intermediates.appliance(&state)?;
    let again = known.used.as_ref().is_some_and(|(key, _)| *key == csr.thumbprint());
    match request.role {
        JoinRole::Gateway => {
            if !again {
                admit_gateway(peers, request, token, &csr).await?;
            }
            let state = peers.replica.current().await?;
            let leaf = issuer.issue_gateway(&csr, request.appliance_id, &[], peers.replica.now(), &SystemRandom);
            let leaf = leaf.map_err(|error| not_issued(&error))?;
            let site_id = state.gateway(request.appliance_id).map(|record| record.site);
            let knock = crate::listener::spa::peer_key(&state, &peers.vault, PeerRole::Feed)?;
            build_answer(&state, request, chain(&leaf, &issuer, &state), |answer| {
                answer.site_id = site_id;
                answer.peer_spa_key = Some(knock.expose_text().to_string());
            })
        }
        JoinRole::Controller => {
            let brought = request.controller.as_ref().ok_or_else(|| Refusal::invalid("controller: is missing"))?;
            if !again {
                admit_controller(peers, request, token, &csr, brought).await?;
            }
            let state = peers.replica.current().await?;
            let record = living_controller(&state, request.appliance_id)?;
            let leaf = issuer.issue_controller(&csr, record.node, &[], peers.replica.now(), &SystemRandom);
            let leaf = leaf.map_err(|error| not_issued(&error))?;
            let record = wait_for_issuers(peers, record).await;
            let admission = ControllerAdmission {
                node: record.node,
                client_issuer: record.client_issuer.clone(),
                appliance_issuer: record.appliance_issuer,
                kek: peers.vault.expose_kek().expose_text().to_string(),
            };
            let state = peers.replica.state();
            build_answer(&state, request, chain(&leaf, &issuer, &state), |answer| answer.controller = Some(admission))
        }
    }
}

async fn admit_gateway(
    peers: &Peers,
    request: &JoinRequest,
    token: JoinTokenHash,
    csr: &VerifiedRequest,
) -> Result<(), Refusal> {
    let spa_key = SecretKey::generate(&SystemRandom);
    let sealed = peers.vault.seal(Purpose::GatewaySpa(request.appliance_id), spa_key.expose());
    let admit = AdmitGateway { token, key: csr.thumbprint(), spa_key: sealed };
    let outcome = peers.replica.propose_as(request.command_id, None, admit.into()).await?;
    outcome.reply.accepted().map(|_| ()).map_err(|rejection| Refusal::rejected(&rejection))
}

/// Admits a Controller and keeps its requests for intermediates until the root has signed them.
async fn admit_controller(
    peers: &Peers,
    request: &JoinRequest,
    token: JoinTokenHash,
    csr: &VerifiedRequest,
    brought: &ControllerJoin,
) -> Result<(), Refusal> {
    let requests =
        [(IssuerKind::Client, &brought.client_issuer_csr), (IssuerKind::Appliance, &brought.appliance_issuer_csr)];
    for (kind, text) in requests {
        verified_request(text, &format!("{kind}IssuerCsr"))?;
    }
    let admit = AdmitController {
        token,
        key: csr.thumbprint(),
        peer_addresses: brought.peer_addresses.clone(),
        client_addresses: brought.client_addresses.clone(),
        admin_addresses: brought.admin_addresses.clone(),
    };
    let outcome = peers.replica.propose_as(request.command_id, None, admit.into()).await?;
    let Reply::Controller(record) = outcome.reply.accepted().map_err(|rejection| Refusal::rejected(&rejection))? else {
        return Err(Refusal::internal());
    };
    let keep = requests.map(|(kind, text)| {
        let sealed = peers.vault.seal(Purpose::IssuerRequest(record.node, kind), text.as_bytes());
        Command::from(PutSecret { name: issuer_request_name(record.node, kind), sealed })
    });
    peers.replica.change(Command::Group(keep.to_vec())).await.map(|_| ())
}

/// The record once it has issuers, or as it is when the time is up.
async fn wait_for_issuers(peers: &Peers, record: ControllerRecord) -> ControllerRecord {
    let mut applied = peers.replica.watch_applied();
    let signed = async {
        loop {
            let now = peers.replica.state().controller(record.node).cloned();
            if let Some(now) = now.filter(|now| now.client_issuer.is_some()) {
                return now;
            }
            if applied.changed().await.is_err() {
                return record.clone();
            }
        }
    };
    timeout(SIGNING_TIME, signed).await.unwrap_or_else(|_| record.clone())
}

fn living_controller(state: &State, appliance: ApplianceId) -> Result<ControllerRecord, Refusal> {
    use ringwall_protocol::object::appliance::ApplianceState::Removed;
    let mut of_it = state.controllers().filter(|one| one.appliance == appliance && one.state != Removed);
    of_it.next().cloned().ok_or_else(|| Refusal::new(ErrorCode::NotFound, "the appliance is no controller"))
}

fn build_answer(
    state: &State,
    request: &JoinRequest,
    certificate_chain: Vec<String>,
    complete: impl FnOnce(&mut JoinAnswer),
) -> Result<JoinAnswer, Refusal> {
    let collective = check::collective(state)?;
    let mut answer = JoinAnswer {
        collective_id: collective.id,
        incarnation: collective.incarnation,
        appliance_id: request.appliance_id,
        site_id: None,
        certificate_chain,
        controllers: state.controllers().cloned().collect(),
        controller: None,
        peer_spa_key: None,
    };
    complete(&mut answer);
    Ok(answer)
}

/// A leaf, its issuer and the root, as joiners and renewing Gateways get them.
pub(crate) fn chain(leaf: &CertificateDer<'_>, issuer: &IssuingCa, state: &State) -> Vec<String> {
    let root = state.collective().map(|collective| collective.root_certificate.clone());
    let own = [leaf.as_ref(), issuer.certificate().as_ref()].map(|der| BASE64URL_NOPAD.encode(der));
    own.into_iter().chain(root).collect()
}

pub(super) fn verified_request(text: &str, field: &str) -> Result<VerifiedRequest, Refusal> {
    let der = BASE64URL_NOPAD.decode(text.as_bytes());
    let der = der.map_err(|_| Refusal::invalid(format!("{field}: expected base64url without padding")))?;
    VerifiedRequest::verify(&der).map_err(|error| Refusal::invalid(format!("{field}: {error}")))
}

fn unknown_token() -> Refusal {
    Refusal::new(ErrorCode::Unauthorized, "the join token is unknown, used, expired, or for another appliance")
}

fn not_issued(error: &ringwall_trust::ca::CaError) -> Refusal {
    tracing::error!(%error, "appliance's certificate was not issued");
    Refusal::internal()
}
