//! A throw-away Collective for tests, here and in other packages (feature `fixtures`): root, Controllers with their
//! intermediates, Gateways, clients, tokens. All is real; only the names and the short lifetimes of keys are not.
//!
//! ```no_run
//! # use ringwall_trust::{fixtures::TestCollective, tls::{CurrentMembers, Tls}};
//! let mut collective = TestCollective::new();
//! let gateway = collective.gateway();
//! let alice = collective.client("alice");
//! let members = CurrentMembers::new(collective.members());
//! let server = Tls::new().gateway_server(&gateway.presented(), members);
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use ringwall_protocol::id::{
    ApplianceId, CollectiveId, DeviceId, Incarnation, IncarnationId, LogIndex, NodeId, ProviderId, SignInId, SiteId,
    Thumbprint, TokenId, UserId,
};
use ringwall_protocol::membership::{ControllerRecord, GatewayRecord};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{Confirmation, TokenHead};
use rustls_pki_types::CertificateDer;
use uuid::Uuid;

use crate::ca::{CLIENT_LIFE, IssuingCa, RootCa, SessionSubject, SubjectName};
use crate::identity::{IssuerKind, KeyKind, PrivateKey, VerifiedRequest};
use crate::secret::{Random, SystemRandom};
use crate::tls::{ControllerTrust, MemberKeys, Members, Presented};
use crate::token::{Expected, KeySet, TokenSigner};

/// A Collective whose root is at hand.
#[derive(Debug)]
pub struct TestCollective {
    /// Its id.
    pub id: CollectiveId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its root.
    pub root: RootCa,
    /// When it was made; its certificates begin five minutes before.
    pub now: UnixMillis,
    /// The id of the provider of all clients; its name is `local`.
    pub provider: ProviderId,
    /// The Site of all Gateways.
    pub site: SiteId,
    controllers: BTreeMap<NodeId, ControllerRecord>,
    gateways: BTreeMap<ApplianceId, GatewayRecord>,
    issuers: BTreeMap<NodeId, (IssuingCa, IssuingCa)>,
}

/// A Controller with everything it holds.
pub struct TestController {
    /// Its id.
    pub node: NodeId,
    /// Its key and chain (leaf, intermediate, root).
    pub own: TestNode,
    /// Signs tokens, from index 1 on.
    pub signer: TokenSigner,
}

/// A key with its chain.
#[derive(Debug)]
pub struct TestNode {
    /// The key.
    pub key: PrivateKey,
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

/// A Gateway.
#[derive(Debug)]
pub struct TestGateway {
    /// Its id.
    pub id: ApplianceId,
    /// Its key and chain.
    pub own: TestNode,
}

/// A user on a device, signed in.
#[derive(Debug)]
pub struct TestClient {
    /// Name and device.
    pub subject: SessionSubject,
    /// Its key and chain.
    pub own: TestNode,
}

impl Default for TestCollective {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCollective {
    /// A Collective without members, as of now by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let now = UnixMillis(0).plus(since);
        let id = CollectiveId::from_random(random());
        Self {
            id,
            incarnation: Incarnation { epoch: now.seconds(), id: IncarnationId::from_random(random()) },
            root: RootCa::create(id, "test", now, &SystemRandom).expect("a root"),
            now,
            provider: ProviderId::from_random(random()),
            site: SiteId::from_random(random()),
            controllers: BTreeMap::new(),
            gateways: BTreeMap::new(),
            issuers: BTreeMap::new(),
        }
    }

    /// Adds a Controller.
    pub fn controller(&mut self, node: NodeId) -> TestController {
        let issuers = (self.issuer(node, IssuerKind::Client), self.issuer(node, IssuerKind::Appliance));
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let names = [SubjectName::Dns("controller.test".to_owned())];
        let leaf = issuers.1.issue_controller(&proved(&key), node, &names, self.now, &SystemRandom);
        let leaf = leaf.expect("issued");
        let chain = vec![leaf, issuers.1.certificate().clone(), self.root.certificate().clone()];
        let encode = |ca: &IssuingCa| Some(data_encoding::BASE64URL_NOPAD.encode(ca.certificate()));
        let record = ControllerRecord {
            node,
            appliance: ApplianceId::from_random(random()),
            name: format!("controller {node}"),
            state: ApplianceState::Active,
            keys: vec![key.thumbprint()],
            client_issuer: encode(&issuers.0),
            appliance_issuer: encode(&issuers.1),
            peer_addresses: Vec::new(),
            client_addresses: Vec::new(),
            admin_addresses: Vec::new(),
        };
        self.controllers.insert(node, record);
        self.issuers.insert(node, issuers);
        TestController { node, own: TestNode { key, chain }, signer: TokenSigner::generate().expect("a key") }
    }

    /// Adds a Gateway, with a certificate of the first Controller (which is made if there is none).
    pub fn gateway(&mut self) -> TestGateway {
        let id = ApplianceId::from_random(random());
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let now = self.now;
        let ca = &self.first_issuers().1;
        let leaf = ca.issue_gateway(&proved(&key), id, &[], now, &SystemRandom).expect("issued");
        let chain = vec![leaf, ca.certificate().clone()];
        let record = GatewayRecord {
            appliance: id,
            name: "gateway".to_owned(),
            site: self.site,
            state: ApplianceState::Active,
            keys: vec![key.thumbprint()],
            addresses: Vec::new(),
            interface_addresses: Vec::new(),
            weight: 100,
        };
        self.gateways.insert(id, record);
        TestGateway { id, own: TestNode { key, chain } }
    }

    /// A client with a P-256 key and a certificate of the first Controller (which is made if there is none).
    pub fn client(&mut self, user: &str) -> TestClient {
        let _ = self.first_issuers();
        let node = *self.issuers.keys().next().expect("made above");
        self.client_of(node, user, KeyKind::P256)
    }

    /// A client whose certificate this Controller issued.
    #[must_use]
    pub fn client_of(&self, node: NodeId, user: &str, kind: KeyKind) -> TestClient {
        let key = PrivateKey::generate(kind).expect("a key");
        let dn = SessionDn {
            device: DeviceId::from_random(random()),
            user: UserDn {
                user: UserName::parse(user).expect("a name"),
                provider: ProviderName::parse("local").expect("a name"),
            },
        };
        let subject = SessionSubject { dn, user: UserId::from_random(random()), provider: self.provider };
        let ca = &self.issuers.get(&node).expect("a controller of this collective").0;
        let leaf = ca.issue_session(&proved(&key), key.thumbprint(), &subject, CLIENT_LIFE, self.now, &SystemRandom);
        let chain = vec![leaf.expect("issued"), ca.certificate().clone()];
        TestClient { subject, own: TestNode { key, chain } }
    }

    /// Marks a Controller as removed.
    pub fn remove_controller(&mut self, node: NodeId) {
        self.controllers.get_mut(&node).expect("a controller").state = ApplianceState::Removed;
    }

    /// Marks a Gateway as removed.
    pub fn remove_gateway(&mut self, id: ApplianceId) {
        self.gateways.get_mut(&id).expect("a gateway").state = ApplianceState::Removed;
    }

    /// The records of all Controllers, removed ones included.
    pub fn controller_records(&self) -> impl Iterator<Item = &ControllerRecord> {
        self.controllers.values()
    }

    /// The records of all Gateways, removed ones included.
    pub fn gateway_records(&self) -> impl Iterator<Item = &GatewayRecord> {
        self.gateways.values()
    }

    /// The intermediates of a Controller: for clients, for appliances. An attacker with its disk has them.
    #[must_use]
    pub fn issuers_of(&self, node: NodeId) -> &(IssuingCa, IssuingCa) {
        self.issuers.get(&node).expect("a controller of this collective")
    }

    /// The membership now.
    #[must_use]
    pub fn members(&self) -> Members {
        let roots = [self.root.certificate().clone()];
        Members::from_records(self.id, &roots, self.controllers.values(), self.gateways.values()).expect("own records")
    }

    /// What a client that has signed in knows of the Controllers.
    #[must_use]
    pub fn controller_trust(&self) -> ControllerTrust {
        let active = self.controllers.values().filter(|record| record.state != ApplianceState::Removed);
        let members = active.map(|record| (record.node, MemberKeys(record.keys.clone()))).collect();
        ControllerTrust { roots: vec![self.root.fingerprint()], members: Some(members) }
    }

    /// The keys of these Controllers.
    #[must_use]
    pub fn keys<'a>(&self, controllers: impl IntoIterator<Item = &'a TestController>) -> KeySet {
        let records: Vec<_> = controllers.into_iter().map(|c| c.signer.record(c.node, LogIndex(1))).collect();
        KeySet::from_records(&records).expect("own records")
    }

    /// What claims tokens must be for.
    #[must_use]
    pub fn expected(&self) -> Expected {
        Expected::collective(self.id, self.incarnation)
    }

    /// The head of a token for a client: an hour from now, bound to its key.
    #[must_use]
    pub fn head(&self, client: &TestClient, audience: Uuid, idx: LogIndex) -> TokenHead {
        let now = self.now.seconds();
        TokenHead {
            iss: self.id,
            sub: client.subject.dn.clone(),
            sid: SignInId::from_random(random()),
            jti: TokenId::from_random(random()),
            iat: now,
            nbf: now,
            exp: now + 3_600,
            aud: audience,
            idx,
            epoch: self.incarnation.epoch,
            inc: self.incarnation.id,
            cnf: Confirmation { jkt: client.own.key.thumbprint() },
            user_id: client.subject.user,
            provider_id: client.subject.provider,
            device_id: client.subject.dn.device,
        }
    }

    fn first_issuers(&mut self) -> &(IssuingCa, IssuingCa) {
        if self.issuers.is_empty() {
            let _ = self.controller(NodeId(1));
        }
        self.issuers.values().next().expect("made above")
    }

    fn issuer(&self, node: NodeId, kind: IssuerKind) -> IssuingCa {
        let key = PrivateKey::generate(KeyKind::P256).expect("a key");
        let certificate = self.root.sign_intermediate(&proved(&key), self.id, node, kind, self.now, &SystemRandom);
        IssuingCa::new(key, certificate.expect("signed")).expect("own certificate")
    }
}

impl TestNode {
    /// The chain as it is shown in handshakes.
    #[must_use]
    pub fn presented(&self) -> Arc<Presented> {
        Presented::new(self.chain.clone(), &self.key).expect("own chain")
    }

    /// The name of the key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }
}

impl TestGateway {
    /// As [`TestNode::presented`].
    #[must_use]
    pub fn presented(&self) -> Arc<Presented> {
        self.own.presented()
    }
}

impl TestController {
    /// As [`TestNode::presented`].
    #[must_use]
    pub fn presented(&self) -> Arc<Presented> {
        self.own.presented()
    }
}

impl TestClient {
    /// As [`TestNode::presented`].
    #[must_use]
    pub fn presented(&self) -> Arc<Presented> {
        self.own.presented()
    }
}

/// The request for a key, as a CA has verified it.
#[must_use]
pub fn proved(key: &PrivateKey) -> VerifiedRequest {
    VerifiedRequest::verify(&key.request().expect("signed")).expect("own request")
}

fn random<const N: usize>() -> [u8; N] {
    let source: &dyn Random = &SystemRandom;
    source.array()
}
