//! The Controller: everything that its services share. HTTP handlers hold it by `web::Data`; tests start several in one
//! process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_actors::link::Board;
use ringwall_protocol::id::{CommandId, DeviceId, UserId};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::TokenHead;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::{Applied, Command, CommandEnvelope, Node, ProposeError, Rejection, Reply, RequestDigest, State};
use ringwall_trust::ca::IssuingCa;
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::tls::Presented;
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::clock;
use crate::data_dir::{DataDir, NodeIdentity};
use crate::device_claims::LastSaid;
use crate::directory::Directories;
use crate::factor::Factors;
use crate::failures::Failures;
use crate::founding::copy_key;
use crate::hashing::HashingPool;
use crate::limits::{DEVICE_REQUESTS_PER_MINUTE, MAX_SIGN_INS};
use crate::outages::Outages;
use crate::outbound::Outbound;
use crate::peer::connector::Connector;
use crate::policies::CompiledPolicies;
use crate::refusal::Refusal;
use crate::sessions::SessionDirectory;
use crate::signers::Signers;
use crate::throttle::Throttle;
use crate::vault::Vault;

/// Requests that are counted for each device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceRequest {
    /// Certificates.
    Certificate,
    /// Entitlement tokens.
    Entitlements,
    /// Renewals of claims.
    Renew,
    /// Answers to interactions.
    StepUp,
}

/// A Controller.
pub struct Controller {
    /// Who this node is.
    pub identity: NodeIdentity,
    /// Where its keys are.
    pub data_dir: DataDir,
    /// The replicated state.
    pub node: Node,
    /// The Collective's stored secrets.
    pub vault: Arc<Vault>,
    /// Keys that sign tokens.
    pub signers: Signers,
    /// Identity providers.
    pub directories: Directories,
    /// MFA providers.
    pub factors: Factors,
    /// Password work.
    pub hashing: HashingPool,
    /// Where providers may be.
    pub outbound: Outbound,
    /// Sessions that Gateways report here.
    pub sessions: SessionDirectory,
    /// What Gateways enforce.
    pub board: Arc<Board>,
    /// Compiled policies.
    pub policies: CompiledPolicies,
    pub(crate) failures: Failures,
    pub(crate) outages: Outages,
    pub(crate) sign_ins: Semaphore,
    pub(crate) requests: Mutex<Throttle<(UserId, DeviceId, DeviceRequest)>>,
    pub(crate) issuer_keys: IssuerKeys,
    pub(crate) connector: Connector,
    pub(crate) presented: Arc<Presented>,
    /// One renewal of the own certificate at a time.
    pub(crate) renewing: Arc<Semaphore>,
    /// What devices said of themselves last, for questions that come without it.
    pub(crate) device_claims: LastSaid,
    issuers: Mutex<Option<KeptIssuers>>,
}

/// Private keys of the intermediates.
pub(crate) struct IssuerKeys {
    pub(crate) client: PrivateKey,
    pub(crate) appliance: PrivateKey,
}

/// Intermediates as the member record had them.
struct KeptIssuers {
    client_text: String,
    appliance_text: String,
    client: Arc<IssuingCa>,
    appliance: Arc<IssuingCa>,
}

/// What a Controller is made of.
pub(crate) struct Parts {
    pub(crate) identity: NodeIdentity,
    pub(crate) data_dir: DataDir,
    pub(crate) node: Node,
    pub(crate) vault: Vault,
    pub(crate) signers: Signers,
    pub(crate) hashing: HashingPool,
    pub(crate) outbound: Outbound,
    pub(crate) issuer_keys: IssuerKeys,
    pub(crate) connector: Connector,
    pub(crate) presented: Arc<Presented>,
}

impl Controller {
    pub(crate) fn new(parts: Parts) -> Self {
        let vault = Arc::new(parts.vault);
        Self {
            identity: parts.identity,
            data_dir: parts.data_dir,
            node: parts.node,
            signers: parts.signers,
            directories: Directories::new(parts.hashing.clone(), Arc::clone(&vault), parts.outbound.clone()),
            factors: Factors::new(Arc::clone(&vault), parts.outbound.clone()),
            vault,
            hashing: parts.hashing,
            outbound: parts.outbound,
            sessions: SessionDirectory::default(),
            board: Arc::new(Board::default()),
            policies: CompiledPolicies::default(),
            failures: Failures::default(),
            outages: Outages::default(),
            sign_ins: Semaphore::new(MAX_SIGN_INS),
            requests: Mutex::new(Throttle::new(2 * DEVICE_REQUESTS_PER_MINUTE, Duration::from_secs(120))),
            issuer_keys: parts.issuer_keys,
            connector: parts.connector,
            presented: parts.presented,
            renewing: Arc::new(Semaphore::new(1)),
            device_claims: LastSaid::default(),
            issuers: Mutex::new(None),
        }
    }

    /// A state at least as new as everything that was committed when this was called (ReadIndex).
    ///
    /// # Errors
    /// `noQuorum`.
    pub async fn current(&self) -> Result<Arc<State>, Refusal> {
        self.node.read().await.map_err(|error| {
            tracing::debug!(%error, "no linearizable read");
            Refusal::no_quorum()
        })
    }

    /// Proposes a command under a fresh id and waits until it is applied.
    ///
    /// # Errors
    /// `noQuorum`, `busy`; `unknownOutcome` if it may or may not have happened.
    pub async fn propose(&self, command: Command) -> Result<Applied, Refusal> {
        self.propose_as(CommandId::new(Uuid::new_v4()), None, command).await
    }

    /// Proposes a command under a caller's id: repeated within 24 h, it happens once.
    ///
    /// # Errors
    /// As [`Controller::propose`].
    pub async fn propose_as(
        &self,
        id: CommandId,
        request: Option<RequestDigest>,
        command: Command,
    ) -> Result<Applied, Refusal> {
        let envelope =
            CommandEnvelope { request, ..CommandEnvelope::new(id, self.identity.node, clock::now(), command) };
        self.node.propose(envelope).await.map_err(|error| not_proposed(&error))
    }

    /// Proposes a command that is expected to be accepted; a rejection becomes a refusal with its code.
    ///
    /// # Errors
    /// As [`Controller::propose`], and the rejection.
    pub async fn change(&self, command: impl Into<Command>) -> Result<Reply, Refusal> {
        let outcome = self.propose(command.into()).await?;
        outcome.reply.accepted().map_err(|rejection| rejected(&rejection))
    }

    /// Counts a request of a device.
    pub(crate) fn count_request(&self, head: &TokenHead, kind: DeviceRequest, now: UnixMillis) -> Result<(), Refusal> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.take(&(head.user_id, head.device_id, kind), now) { Ok(()) } else { Err(Refusal::busy()) }
    }

    /// This Controller's intermediate for Clients' certificates.
    ///
    /// # Errors
    /// `busy` until the root signed it.
    pub fn client_issuer(&self, state: &State) -> Result<Arc<IssuingCa>, Refusal> {
        self.issuers(state).map(|(client, _)| client)
    }

    /// This Controller's intermediate for appliances' certificates.
    ///
    /// # Errors
    /// `busy` until the root signed it.
    pub fn appliance_issuer(&self, state: &State) -> Result<Arc<IssuingCa>, Refusal> {
        self.issuers(state).map(|(_, appliance)| appliance)
    }

    /// The intermediates whose certificates the member record holds now.
    fn issuers(&self, state: &State) -> Result<(Arc<IssuingCa>, Arc<IssuingCa>), Refusal> {
        let record = state.controller(self.identity.node);
        let texts = record.and_then(|record| record.client_issuer.as_ref().zip(record.appliance_issuer.as_ref()));
        let Some((client_text, appliance_text)) = texts else {
            return Err(Refusal::new(ErrorCode::Busy, "the root has not signed this controller's intermediates yet"));
        };
        let mut kept = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && kept.client_text == *client_text
            && kept.appliance_text == *appliance_text
        {
            return Ok((Arc::clone(&kept.client), Arc::clone(&kept.appliance)));
        }
        let client = Arc::new(issuer(&self.issuer_keys.client, client_text)?);
        let appliance = Arc::new(issuer(&self.issuer_keys.appliance, appliance_text)?);
        *kept = Some(KeptIssuers {
            client_text: client_text.clone(),
            appliance_text: appliance_text.clone(),
            client: Arc::clone(&client),
            appliance: Arc::clone(&appliance),
        });
        Ok((client, appliance))
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn issuer(key: &PrivateKey, text: &str) -> Result<IssuingCa, Refusal> {
    let damaged = |error: String| {
        tracing::error!(error, "intermediate in the member record is not usable");
        Refusal::internal()
    };
    let der = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    let key = copy_key(key).map_err(|error| damaged(error.to_string()))?;
    IssuingCa::new(key, CertificateDer::from(der)).map_err(|error| damaged(error.to_string()))
}

/// A rejection as a caller sees it.
#[must_use]
pub fn rejected(rejection: &Rejection) -> Refusal {
    Refusal::new(rejection.code(), rejection.to_string())
}

fn unknown_outcome() -> Refusal {
    Refusal::new(ErrorCode::UnknownOutcome, "the outcome is not known; ask again with the same id")
}

fn not_proposed(error: &ProposeError) -> Refusal {
    tracing::debug!(%error, "command has no answer");
    match error {
        ProposeError::NoQuorum { .. } | ProposeError::Stopped => Refusal::no_quorum(),
        ProposeError::UnknownOutcome => unknown_outcome(),
        ProposeError::Busy => Refusal::busy(),
        ProposeError::TooLong { .. } => Refusal::invalid(error.to_string()),
    }
}
