//! The Controller: everything that its services share. HTTP handlers hold it by `web::Data`; tests start several in one
//! process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringwall_actors::link::board::Board;
use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::TokenHead;
use ringwall_raft::Node;
use ringwall_trust::tls::Presented;
use ringwall_trust::token::TokenSigner;
use tokio::sync::Semaphore;

use crate::audit::client_events::Audit;
use crate::identity::Providers;
use crate::identity::hashing::HashingPool;
use crate::identity::outbound::Outbound;
use crate::issuing::device_claims::LastSaid;
use crate::issuing::intermediates::{Intermediates, IssuerKeys};
use crate::issuing::policies::CompiledPolicies;
use crate::issuing::signers::Signers;
use crate::limits::{DEVICE_REQUESTS_PER_MINUTE, MAX_SIGN_INS};
use crate::peers::connector::Connector;
use crate::peers::session_directory::SessionDirectory;
use crate::process::clock;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::setup::data_dir::{DataDir, NodeIdentity};
use crate::setup::vault::Vault;
use crate::sign_in::failures::Failures;
use crate::sign_in::throttle::Throttle;

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
    /// The replicated state.
    pub replica: Replica,
    pub(crate) audit: Audit,
    /// Where its keys are.
    pub(crate) data_dir: DataDir,
    /// The Collective's stored secrets.
    pub vault: Arc<Vault>,
    /// Keys that sign tokens.
    pub(crate) signers: Arc<Signers>,
    pub(crate) providers: Arc<Providers>,
    /// Sessions that Gateways report here.
    pub(crate) sessions: SessionDirectory,
    /// What Gateways enforce.
    pub(crate) board: Arc<Board>,
    /// Compiled policies.
    pub(crate) policies: Arc<CompiledPolicies>,
    pub(crate) failures: Failures,
    pub(crate) sign_ins: Semaphore,
    pub(crate) requests: Mutex<Throttle<(UserId, DeviceId, DeviceRequest)>>,
    pub(crate) intermediates: Arc<Intermediates>,
    pub(crate) connector: Connector,
    pub(crate) presented: Arc<Presented>,
    /// One renewal of the own certificate at a time.
    pub(crate) renewing: Arc<Semaphore>,
    /// What devices said of themselves last, for questions that come without it.
    pub(crate) device_claims: LastSaid,
}

/// What a Controller is made of.
pub(crate) struct Parts {
    pub(crate) identity: NodeIdentity,
    pub(crate) data_dir: DataDir,
    pub(crate) node: Node,
    pub(crate) vault: Vault,
    pub(crate) signer: TokenSigner,
    pub(crate) hashing: HashingPool,
    pub(crate) outbound: Outbound,
    pub(crate) issuer_keys: IssuerKeys,
    pub(crate) connector: Connector,
    pub(crate) presented: Arc<Presented>,
}

impl Controller {
    pub(crate) fn new(parts: Parts) -> Self {
        let vault = Arc::new(parts.vault);
        let me = parts.identity.node;
        Self {
            replica: Replica::new(parts.node, clock::now),
            audit: Audit::new(parts.identity.collective_id, me),
            data_dir: parts.data_dir,
            signers: Arc::new(Signers::new(me, parts.signer)),
            providers: Arc::new(Providers::new(parts.hashing, &vault, parts.outbound)),
            vault,
            sessions: SessionDirectory::default(),
            board: Arc::new(Board::default()),
            policies: Arc::new(CompiledPolicies::default()),
            failures: Failures::default(),
            sign_ins: Semaphore::new(MAX_SIGN_INS),
            requests: Mutex::new(Throttle::new(2 * DEVICE_REQUESTS_PER_MINUTE, Duration::from_secs(120))),
            intermediates: Arc::new(Intermediates::new(me, parts.issuer_keys)),
            connector: parts.connector,
            presented: parts.presented,
            renewing: Arc::new(Semaphore::new(1)),
            device_claims: LastSaid::default(),
        }
    }

    /// Counts a request of a device.
    pub(crate) fn count_request(&self, head: &TokenHead, kind: DeviceRequest, now: UnixMillis) -> Result<(), Refusal> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.take(&(head.user_id, head.device_id, kind), now) { Ok(()) } else { Err(Refusal::busy()) }
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("replica", &self.replica).finish_non_exhaustive()
    }
}
