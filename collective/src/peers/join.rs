//! Answering appliances that join. A Gateway's join token is spent in the entry that admits it, so that it admits one; a
//! Controller's is spent in the entry that records its request, and it gets nothing before an administrator has admitted its
//! key (T58). The same key asking again gets the same answer.

use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::join::{
    ControllerAdmission, ControllerJoin, JoinAnswer, JoinReply, JoinRequest, JoinRole, KeyEncryptionKey,
    MAX_JOIN_MESSAGE,
};
use ringwall_raft::State;
use ringwall_raft::state::candidate::{AskAdmission, Candidate};
use ringwall_raft::state::gateway::AdmitGateway;
use ringwall_raft::state::join_token::JoinTokenHash;
use ringwall_trust::ca::IssuingCa;
use ringwall_trust::identity::{Fingerprint, VerifiedRequest};
use ringwall_trust::secret::{SecretKey, SystemRandom, wrap};
use ringwall_trust::spa::PeerRole;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::{Peers, frame};
use crate::issuing::check;
use crate::listener::gates::Peer;
use crate::refusal::Refusal;
use crate::replica::scoped_id;
use crate::replica::vault::Purpose;

/// A joiner has sent everything by then.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long one connection of a joining Controller waits for its admission; then it asks again.
const ADMISSION_TIME: Duration = Duration::from_secs(5);
/// How long an admitted Controller waits for the root's signatures; later ones reach it through the state.
const SIGNING_TIME: Duration = Duration::from_secs(5);

/// Answers one joiner and closes.
pub(super) async fn answer(mut peer: Peer, peers: &Peers) {
    let request = match timeout(REQUEST_TIME, frame::read::<JoinRequest>(&mut peer.stream, MAX_JOIN_MESSAGE)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return tracing::debug!(address = %peer.address, %error, "join request is not readable"),
        Err(_) => return tracing::debug!(address = %peer.address, "join request did not come"),
    };
    let reply = match admit(peers, &request, peer.address.ip()).await {
        Ok(Some(answer)) => {
            peers
                .audit
                .event("join_token_used", None, peer.address.ip())
                .with("appliance_id", request.appliance_id.to_string())
                .emit();
            JoinReply::Admitted(Box::new(answer))
        }
        Ok(None) => JoinReply::Waiting {},
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

/// The answer to a joiner; `None` while a Controller waits for its admission.
async fn admit(peers: &Peers, request: &JoinRequest, from: IpAddr) -> Result<Option<JoinAnswer>, Refusal> {
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
            let answer = build_answer(&state, request, chain(&leaf, &issuer, &state), |answer| {
                answer.site_id = site_id;
                answer.peer_spa_key = Some(knock.expose_text().to_string());
            })?;
            Ok(Some(answer))
        }
        JoinRole::Controller => {
            let brought = request.controller.as_ref().ok_or_else(|| Refusal::invalid("controller: is missing"))?;
            if !again {
                ask_admission(peers, (request, brought), token, csr.thumbprint(), from).await?;
            }
            let Some(node) = wait_for_admission(peers, request.appliance_id, csr.thumbprint()).await? else {
                return Ok(None);
            };
            let leaf = issuer.issue_controller(&csr, node, &[], peers.replica.now(), &SystemRandom);
            let leaf = leaf.map_err(|error| not_issued(&error))?;
            let record = wait_for_issuers(peers, living_controller(&peers.replica.state(), node)?).await;
            let admission = ControllerAdmission {
                node: record.node,
                client_issuer: record.client_issuer.clone(),
                appliance_issuer: record.appliance_issuer,
                keks: keks(peers),
            };
            let state = peers.replica.state();
            let chain = chain(&leaf, &issuer, &state);
            build_answer(&state, request, chain, |answer| answer.controller = Some(admission)).map(Some)
        }
    }
}

/// All key-encryption keys that are held here: secrets may stand under each.
fn keks(peers: &Peers) -> Vec<KeyEncryptionKey> {
    let ring = peers.vault.ring();
    let keys = ring.iter().map(|(generation, key)| (generation, key.expose_text().to_string()));
    keys.map(|(generation, key)| KeyEncryptionKey { generation, key }).collect()
}

async fn admit_gateway(
    peers: &Peers,
    request: &JoinRequest,
    token: JoinTokenHash,
    csr: &VerifiedRequest,
) -> Result<(), Refusal> {
    let spa_key = SecretKey::generate(&SystemRandom);
    let state = peers.replica.current().await?;
    let sealed = peers.vault.seal_new(state.kek(), Purpose::GatewaySpa(request.appliance_id), spa_key.expose());
    let admit = AdmitGateway { token, key: csr.thumbprint(), spa_key: sealed };
    let command = scoped_id(&joiner(request), request.command_id);
    let outcome = peers.replica.propose_as(command, None, admit.into()).await?;
    outcome.reply.accepted().map(|_| ()).map_err(|rejection| Refusal::rejected(&rejection))
}

/// Who chose the id of a joiner's command.
fn joiner(request: &JoinRequest) -> String {
    format!("joiner {} {}", request.appliance_id, request.csr)
}

/// Records that a Controller asks, and its requests for intermediates for when it is admitted.
async fn ask_admission(
    peers: &Peers,
    (request, brought): (&JoinRequest, &ControllerJoin),
    token: JoinTokenHash,
    key: Thumbprint,
    source: IpAddr,
) -> Result<(), Refusal> {
    let requests =
        [("clientIssuerCsr", &brought.client_issuer_csr), ("applianceIssuerCsr", &brought.appliance_issuer_csr)];
    for (field, text) in requests {
        verified_request(text, field)?;
    }
    if wrap(&brought.wrap_key, "trial", &[]).is_err() {
        return Err(Refusal::invalid("wrapKey: expected an X25519 public key, 43 characters of base64url"));
    }
    let candidate = Candidate {
        appliance: request.appliance_id,
        name: String::new(),
        key,
        source,
        asked_at: UnixMillis(0),
        issuer_requests: requests.map(|(_, text)| text.clone()),
        wrap_key: brought.wrap_key.clone(),
        peer_addresses: brought.peer_addresses.clone(),
        client_addresses: brought.client_addresses.clone(),
        admin_addresses: brought.admin_addresses.clone(),
        node: None,
    };
    let command = scoped_id(&joiner(request), request.command_id);
    let outcome = peers.replica.propose_as(command, None, AskAdmission { token, candidate }.into()).await?;
    outcome.reply.accepted().map_err(|rejection| Refusal::rejected(&rejection))?;
    let fingerprint = Fingerprint(key.0).to_string();
    tracing::info!(appliance = %request.appliance_id, fingerprint, "a controller asks to join and waits for its admission");
    let event = peers.audit.event("controller_asked_admission", None, source);
    event.with("appliance_id", request.appliance_id.to_string()).with("fingerprint", fingerprint).emit();
    Ok(())
}

/// The node id of a Controller that was admitted with this key and is not active yet; `None` when the time is up.
async fn wait_for_admission(peers: &Peers, appliance: ApplianceId, key: Thumbprint) -> Result<Option<NodeId>, Refusal> {
    let mut applied = peers.replica.watch_applied();
    // The request may have been recorded by another Controller a moment ago.
    drop(peers.replica.current().await?);
    let admitted = async {
        loop {
            // Turned away, deleted, or in service already: then its token is good for nothing.
            match peers.replica.state().candidate(appliance).filter(|one| one.key == key) {
                None => return Err(unknown_token()),
                Some(candidate) => {
                    if let Some(node) = candidate.node {
                        return Ok(node);
                    }
                }
            }
            if applied.changed().await.is_err() {
                return Err(Refusal::no_quorum());
            }
        }
    };
    timeout(ADMISSION_TIME, admitted).await.map_or(Ok(None), |admitted| admitted.map(Some))
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

fn living_controller(state: &State, node: NodeId) -> Result<ControllerRecord, Refusal> {
    use ringwall_protocol::object::appliance::ApplianceState::Removed;
    let record = state.controller(node).filter(|one| one.state != Removed);
    record.cloned().ok_or_else(|| Refusal::new(ErrorCode::NotFound, "the controller was removed"))
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
