//! Controllers that ask to join. A join token makes a candidate and nothing more: it has no node id, no certificate and no
//! key of the Collective until an administrator admits the key that it shows (T58).

use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::join_token::JoinTokenHash;
use super::member::check_addresses;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Most candidates at a time.
const MAX_CANDIDATES: usize = 64;
/// A candidate whom nobody admitted for so long is forgotten.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest request for an intermediate, as base64url text: one for a P-256 key has some 300 bytes.
const MAX_REQUEST: usize = 8 * 1024;

/// A Controller that asked to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its appliance.
    pub appliance: ApplianceId,
    /// For people.
    pub name: String,
    /// Its key, whose fingerprint it prints where it runs.
    pub key: Thumbprint,
    /// Where it asked from.
    pub source: IpAddr,
    /// When.
    pub asked_at: UnixMillis,
    /// Its requests for intermediates (PKCS#10, DER, base64url): for Clients and for appliances.
    pub issuer_requests: [String; 2],
    /// The public key with which secrets are wrapped for it, X25519, base64url.
    pub wrap_key: String,
    /// `host:port` of its peer listener.
    pub peer_addresses: Vec<String>,
    /// `host:port` of its client API.
    pub client_addresses: Vec<String>,
    /// `host:port` of its admin API.
    pub admin_addresses: Vec<String>,
    /// Set by the state when it is admitted.
    #[serde(default)]
    pub node: Option<NodeId>,
}

/// A Controller asks to join and spends its join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskAdmission {
    /// SHA-256 of the token that it brought.
    pub token: JoinTokenHash,
    /// It; `appliance` and `name` are the token's, `asked_at` and `node` the state's.
    pub candidate: Candidate,
}

/// An administrator admits a candidate: it becomes a member with the index of this entry as node id. It serves Clients once
/// it has issuers and was made active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmitController {
    /// Which.
    pub appliance: ApplianceId,
    /// The key that was looked at.
    pub key: Thumbprint,
}

/// An administrator turns a candidate away; its join token is invalid. Absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnAway {
    /// Which.
    pub appliance: ApplianceId,
}

impl AskAdmission {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let asked = &self.candidate;
        let appliance = step.spend_join_token(&self.token, asked.key)?;
        let name = match step.state.appliance(appliance) {
            Some(known) if known.controller.enabled => known.base.name.clone(),
            Some(_) => return Err(Rejection::invalid("role", "is not that of a Controller")),
            None => return Err(Rejection::not_found("appliance", appliance)),
        };
        for addresses in [&asked.peer_addresses, &asked.client_addresses, &asked.admin_addresses] {
            check_addresses(addresses)?;
        }
        if asked.issuer_requests.iter().any(|text| text.is_empty() || text.len() > MAX_REQUEST) {
            return Err(Rejection::invalid("issuerRequests", format!("have 1 to {MAX_REQUEST} characters")));
        }
        if step.state.candidates.len() >= MAX_CANDIDATES && !step.state.candidates.contains(&appliance) {
            return Err(Rejection::too_many("Controllers that wait for admission", MAX_CANDIDATES));
        }
        let candidate = Candidate { appliance, name, asked_at: step.now, node: None, ..asked.clone() };
        step.state.candidates.insert(appliance, candidate);
        Ok(Reply::Done)
    }
}

impl AdmitController {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let index = step.index;
        let Some(candidate) = step.state.candidates.find_mut(&self.appliance) else {
            return Err(Rejection::not_found("Controller that waits for admission", self.appliance));
        };
        if candidate.key != self.key {
            return Err(Rejection::invalid("fingerprint", "is not that of the key with which this Controller asks"));
        }
        if candidate.node.is_some() {
            let what = format!("controller {:?}", candidate.name);
            return Err(Rejection::WrongState { what, state: "admitted already".to_owned() });
        }
        let node = NodeId(index.0);
        candidate.node = Some(node);
        let wrap_key = candidate.wrap_key.clone();
        let record = ControllerRecord {
            node,
            appliance: self.appliance,
            name: candidate.name.clone(),
            state: ApplianceState::Joining,
            keys: vec![candidate.key],
            client_issuer: None,
            appliance_issuer: None,
            peer_addresses: candidate.peer_addresses.clone(),
            client_addresses: candidate.client_addresses.clone(),
            admin_addresses: candidate.admin_addresses.clone(),
        };
        step.note_wrap_key(node, &wrap_key)?;
        Ok(step.write_controller(record))
    }
}

impl TurnAway {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if step.state.candidate(self.appliance).is_some_and(|one| one.node.is_some()) {
            let what = format!("controller of appliance {}", self.appliance);
            return Err(Rejection::WrongState { what, state: "a member; remove it".to_owned() });
        }
        step.drop_join_tokens(self.appliance);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    /// Forgets the candidate of an appliance unless it is a member.
    pub(super) fn drop_candidate(&mut self, appliance: ApplianceId) {
        if self.state.candidate(appliance).is_some_and(|one| one.node.is_none()) {
            self.state.candidates.remove(&appliance);
        }
    }
}

impl State {
    /// A Controller that asked to join, until it is active.
    #[must_use]
    pub fn candidate(&self, appliance: ApplianceId) -> Option<&Candidate> {
        self.candidates.find(&appliance)
    }

    /// All of them.
    pub fn candidates(&self) -> impl DoubleEndedIterator<Item = &Candidate> {
        self.candidates.values()
    }

    /// Candidates whom nobody admitted for long.
    pub(crate) fn forgotten_candidates(&self, now: UnixMillis) -> impl Iterator<Item = &Candidate> {
        self.candidates().filter(move |one| one.node.is_none() && one.asked_at.plus(FORGOTTEN_AFTER) < now)
    }
}
