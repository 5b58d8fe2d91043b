//! A Controller: its services, put together. HTTP handlers hold it by `web::Data`; tests start several in one process.
//!
//! Decides nothing itself. What two services share is made here once and given to both.

use std::sync::Arc;

use ringwall_raft::Node;
use ringwall_trust::secret::WrapKey;
use ringwall_trust::tls::Presented;
use ringwall_trust::token::TokenSigner;

use crate::administration::Administration;
use crate::administration::access::Access;
use crate::administration::approvals::Approvals;
use crate::administration::members::Members;
use crate::administration::objects::Objects;
use crate::administration::profiles::Profiles;
use crate::administration::questions::Questions;
use crate::administration::users::Users;
use crate::audit::client_events::Audit;
use crate::audit::file::GatewayAudit;
use crate::clock;
use crate::clock::watch::ClockWatch;
use crate::identity::Providers;
use crate::identity::hashing::HashingPool;
use crate::identity::outbound::Outbound;
use crate::issuing::intermediates::{Intermediates, IssuerKeys};
use crate::issuing::keys::OwnKeys;
use crate::issuing::policies::CompiledPolicies;
use crate::issuing::signers::Signers;
use crate::issuing::{self, Issuing};
use crate::peers::Peers;
use crate::peers::connector::Connector;
use crate::replica::Replica;
use crate::replica::key_rotation::KeyRotation;
use crate::replica::vault::Vault;
use crate::revocation::Revocation;
use crate::setup::data_dir::{DataDir, NodeIdentity};
use crate::sign_in::attempter::Places;
use crate::sign_in::challenges::Challenges;
use crate::sign_in::failures::Failures;
use crate::sign_in::lockout::Lockout;
use crate::sign_in::{self, SignIn};
use crate::step_up::StepUps;

/// A Controller.
pub struct Controller {
    /// The replicated state.
    pub replica: Replica,
    /// The Collective's stored secrets.
    pub vault: Arc<Vault>,
    /// Sign-in of users.
    pub(crate) sign_in: SignIn,
    /// Further authentication for conditions.
    pub(crate) step_up: StepUps,
    /// Tokens and certificates.
    pub(crate) issuing: Arc<Issuing>,
    /// What this Controller has of its own.
    pub own_keys: Arc<OwnKeys>,
    /// Rotation of the keys that all Controllers share.
    pub(crate) key_rotation: KeyRotation,
    /// The end of rights before their time.
    pub revocation: Arc<Revocation>,
    /// Administrators' orders and questions.
    pub(crate) administration: Administration,
    /// Gateways and other Controllers.
    pub peers: Arc<Peers>,
    /// Whether this Controller's clock is right.
    pub(crate) clock: Arc<ClockWatch>,
}

/// What a Controller is made of.
pub(crate) struct Parts {
    pub(crate) identity: NodeIdentity,
    pub(crate) data_dir: DataDir,
    pub(crate) node: Node,
    pub(crate) vault: Vault,
    pub(crate) wrap: WrapKey,
    pub(crate) signer: TokenSigner,
    pub(crate) hashing: HashingPool,
    pub(crate) outbound: Outbound,
    pub(crate) issuer_keys: IssuerKeys,
    pub(crate) connector: Connector,
    pub(crate) presented: Arc<Presented>,
}

/// What several services use.
struct Shared {
    replica: Replica,
    audit: Audit,
    vault: Arc<Vault>,
    providers: Arc<Providers>,
    signers: Arc<Signers>,
    intermediates: Arc<Intermediates>,
    policies: Arc<CompiledPolicies>,
    lockout: Arc<Lockout>,
    challenges: Arc<Challenges>,
    places: Arc<Places>,
}

impl Controller {
    /// Puts the services together.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            identity,
            data_dir,
            node,
            vault,
            wrap,
            signer,
            hashing,
            outbound,
            issuer_keys,
            connector,
            presented,
        } = parts;
        let replica = Replica::new(node, clock::now);
        let audit = Audit::new(identity.collective_id, identity.node);
        let shared = Shared::new(replica, audit, vault, (hashing, outbound), (signer, issuer_keys));
        let Shared { replica, vault, signers, intermediates, .. } = &shared;
        let clock = Arc::new(ClockWatch::new(replica.node().clone(), data_dir.path()));
        let gateway_audit = GatewayAudit::new(data_dir.path());
        let key_rotation = KeyRotation::new(replica.clone(), Arc::clone(vault), data_dir.clone(), wrap);
        let own_keys =
            OwnKeys::new(replica.clone(), data_dir, Arc::clone(signers), Arc::clone(intermediates), presented);
        let issuers = Arc::clone(intermediates);
        let peers = Peers::new(replica.clone(), audit, Arc::clone(vault), issuers, connector.clone(), gateway_audit);
        let revocation = Revocation::new(replica.clone(), audit, Arc::clone(&peers.board), connector);
        let (issuing, peers, revocation) = (Arc::new(shared.issuing()), Arc::new(peers), Arc::new(revocation));
        Self {
            sign_in: shared.sign_in(),
            step_up: shared.step_up(&issuing),
            administration: shared.administration(&peers, &revocation, &clock),
            replica: shared.replica,
            vault: shared.vault,
            issuing,
            own_keys: Arc::new(own_keys),
            key_rotation,
            revocation,
            peers,
            clock,
        }
    }
}

impl Shared {
    fn new(
        replica: Replica,
        audit: Audit,
        vault: Vault,
        (hashing, outbound): (HashingPool, Outbound),
        (signer, issuer_keys): (TokenSigner, IssuerKeys),
    ) -> Self {
        let (me, vault) = (replica.me(), Arc::new(vault));
        let providers = Arc::new(Providers::new(hashing, &vault, outbound, clock::now));
        let failures = Arc::new(Failures::default());
        let lockout = Lockout::new(replica.clone(), audit, Arc::clone(&failures));
        let challenges = Challenges::new(replica.clone(), Arc::clone(&vault), Arc::clone(&providers), failures);
        Self {
            replica,
            audit,
            vault,
            providers,
            signers: Arc::new(Signers::new(me, signer)),
            intermediates: Arc::new(Intermediates::new(me, issuer_keys)),
            policies: Arc::new(CompiledPolicies::default()),
            lockout: Arc::new(lockout),
            challenges: Arc::new(challenges),
            places: Arc::default(),
        }
    }

    fn issuing(&self) -> Issuing {
        Issuing::new(issuing::Parts {
            replica: self.replica.clone(),
            audit: self.audit,
            vault: Arc::clone(&self.vault),
            providers: Arc::clone(&self.providers),
            signers: Arc::clone(&self.signers),
            intermediates: Arc::clone(&self.intermediates),
            policies: Arc::clone(&self.policies),
        })
    }

    fn sign_in(&self) -> SignIn {
        SignIn::new(sign_in::Parts {
            replica: self.replica.clone(),
            audit: self.audit,
            vault: Arc::clone(&self.vault),
            providers: Arc::clone(&self.providers),
            signers: Arc::clone(&self.signers),
            lockout: Arc::clone(&self.lockout),
            challenges: Arc::clone(&self.challenges),
            places: Arc::clone(&self.places),
        })
    }

    fn step_up(&self, issuing: &Arc<Issuing>) -> StepUps {
        let (providers, challenges) = (Arc::clone(&self.providers), Arc::clone(&self.challenges));
        StepUps::new(self.replica.clone(), self.audit, providers, Arc::clone(issuing), challenges)
    }

    fn administration(
        &self,
        peers: &Arc<Peers>,
        revocation: &Arc<Revocation>,
        clock: &Arc<ClockWatch>,
    ) -> Administration {
        let (replica, vault, providers) = (&self.replica, &self.vault, &self.providers);
        let questions = Arc::new(Questions {
            providers: Arc::clone(providers),
            policies: Arc::clone(&self.policies),
            peers: Arc::clone(peers),
        });
        Administration {
            access: Access {
                replica: replica.clone(),
                vault: Arc::clone(vault),
                providers: Arc::clone(providers),
                policies: Arc::clone(&self.policies),
                signers: Arc::clone(&self.signers),
                lockout: Arc::clone(&self.lockout),
                challenges: Arc::clone(&self.challenges),
                places: Arc::clone(&self.places),
                spent_proofs: Default::default(),
            },
            approvals: Approvals { replica: replica.clone() },
            objects: Objects { replica: replica.clone(), vault: Arc::clone(vault), providers: Arc::clone(providers) },
            users: Users {
                replica: replica.clone(),
                vault: Arc::clone(vault),
                revocation: Arc::clone(revocation),
                peers: Arc::clone(peers),
                questions: Arc::clone(&questions),
            },
            members: Members {
                replica: replica.clone(),
                vault: Arc::clone(vault),
                board: Arc::clone(&peers.board),
                clock: Arc::clone(clock),
            },
            profiles: Profiles {
                replica: replica.clone(),
                vault: Arc::clone(vault),
                lockout: Arc::clone(&self.lockout),
            },
            questions,
        }
    }
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("replica", &self.replica).finish_non_exhaustive()
    }
}
