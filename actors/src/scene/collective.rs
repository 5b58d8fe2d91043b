//! A throw-away Collective: its state as a feed's view, its users and their tokens.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ringwall_protocol::claims::{ClaimMap, UntrustedClaims};
use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement};
use ringwall_protocol::entitlement::Logic;
use ringwall_protocol::feed::{FeedPosition, FeedSite, FeedView};
use ringwall_protocol::id::{ApplianceId, EntitlementId, LogIndex, NodeId, SignInId, TokenId};
use ringwall_protocol::membership::KeyRecord;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, GrantedEntitlement, Routes};
use ringwall_trust::connection_proof;
use ringwall_trust::fixtures::{TestClient, TestCollective, TestController, TestGateway};
use ringwall_trust::identity::Leaf;
use ringwall_trust::token::{Expected, UnverifiedToken, Verified};

use super::policy::{TestCondition, allow_web};
use crate::registry::admission::Admission;
use crate::support::clock::Moment;

/// A Collective with one Controller, one Gateway and a Site.
pub(crate) struct Scene {
    pub(crate) collective: TestCollective,
    pub(crate) controller: TestController,
    pub(crate) gateway: TestGateway,
    pub(crate) start: Instant,
}

/// A user on a device, and the sign-in that its tokens stem from.
pub(crate) struct SignedIn {
    pub(crate) client: TestClient,
    pub(crate) sid: SignInId,
    pub(crate) sign_in: LogIndex,
    pub(crate) address: Ipv4Addr,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut collective = TestCollective::new();
        let controller = collective.controller(NodeId(1));
        let gateway = collective.gateway();
        Self { collective, controller, gateway, start: Instant::now() }
    }

    /// The moment `seconds` after the beginning.
    pub(crate) fn at(&self, seconds: u64) -> Moment {
        let span = Duration::from_secs(seconds);
        Moment { instant: self.start + span, time: self.collective.now.plus(span) }
    }

    pub(crate) fn key_record(&self) -> KeyRecord {
        self.controller.signer.record(NodeId(1), LogIndex(1))
    }

    /// The state at an index, without revocations.
    pub(crate) fn view(&self, index: u64) -> FeedView {
        let key = self.key_record();
        FeedView {
            collective: self.collective.id,
            root_certificate: data_encoding::BASE64URL_NOPAD.encode(self.collective.root.certificate()),
            position: FeedPosition { incarnation: self.collective.incarnation, index: LogIndex(index) },
            controllers: self.collective.controller_records().map(|record| (record.node, record.clone())).collect(),
            gateways: self.collective.gateway_records().map(|record| (record.appliance, record.clone())).collect(),
            keys: BTreeMap::from([(key.kid.clone(), key)]),
            revocations: vec![],
            forgotten_up_to: LogIndex(0),
            site: self.site(),
            spa_mode: SpaMode::Open,
            spa_keys: vec![],
            spa_window_seconds: 300,
            peer_spa_key: None,
        }
    }

    pub(crate) fn site(&self) -> FeedSite {
        FeedSite {
            id: self.collective.site,
            name: "office".to_owned(),
            pools: vec!["10.9.0.0/16".parse().expect("a network")],
            networks: vec!["10.20.0.0/16".parse().expect("a network")],
            snat: true,
            lease_seconds: 15,
            grace_seconds: None,
            witnesses: 1,
            dtls: false,
            name_resolution: Default::default(),
        }
    }

    /// A user signs in at an index.
    pub(crate) fn sign_in(&mut self, user: &str, sign_in: u64, last_octet: u8) -> SignedIn {
        let client = self.collective.client(user);
        let sid = SignInId::from_random([last_octet; 16]);
        SignedIn { client, sid, sign_in: LogIndex(sign_in), address: Ipv4Addr::new(10, 9, 0, last_octet) }
    }

    pub(crate) fn claims(&self, who: &SignedIn, idx: u64) -> ClaimsToken {
        let mut head = self.collective.head(&who.client, self.collective.id.uuid(), LogIndex(idx));
        head.sid = who.sid;
        ClaimsToken {
            sign_in_idx: who.sign_in,
            auth_time: head.iat,
            sign_in_until: head.iat + 24 * 3_600,
            head,
            user: ClaimMap::default(),
            system: ClaimMap::default(),
            tun_ipv4: Some(who.address),
            tun_ipv6: None,
            step_ups: BTreeMap::new(),
        }
    }

    /// Web on one host for everybody; another host behind each condition.
    pub(crate) fn entitlement(&self, who: &SignedIn, idx: u64, conditions: &[TestCondition]) -> EntitlementToken {
        let mut head = self.collective.head(&who.client, self.collective.site.uuid(), LogIndex(idx));
        head.sid = who.sid;
        let open = GrantedEntitlement {
            app_shortcuts: vec![],
            id: EntitlementId::from_random([200; 16]),
            name: "web".to_owned(),
            condition_logic: Logic::And,
            conditions: vec![],
            actions: vec![allow_web("10.0.0.1")],
        };
        let guarded = conditions.iter().enumerate().map(|(at, condition)| GrantedEntitlement {
            app_shortcuts: vec![],
            id: EntitlementId::from_random([201 + u8::try_from(at).expect("few"); 16]),
            name: format!("guarded {at}"),
            condition_logic: Logic::And,
            conditions: vec![condition.id],
            actions: vec![allow_web(&format!("10.0.1.{at}"))],
        });
        EntitlementToken {
            claims_idx: LogIndex(0),
            policy_idx: LogIndex(1),
            site_name: "office".to_owned(),
            gateways: vec![],
            entitlements: std::iter::once(open).chain(guarded).collect(),
            conditions: conditions.iter().map(|condition| (condition.id, condition.granted())).collect(),
            routes: Routes { include: vec!["10.0.0.0/8".parse().expect("a network")], exclude: vec![] },
            dns: vec![],
            lease_seconds: 15,
            head,
        }
    }

    pub(crate) fn prove_claims(&self, token: &ClaimsToken) -> Verified<ClaimsToken> {
        self.prove(&self.controller.signer.mint(token).expect("minted"), self.collective.expected())
    }

    pub(crate) fn prove_entitlement(&self, token: &EntitlementToken) -> Verified<EntitlementToken> {
        let expected = Expected { audience: token.head.aud, ..self.collective.expected() };
        self.prove(&self.controller.signer.mint(token).expect("minted"), expected)
    }

    fn prove<T: ringwall_protocol::token::TokenBody>(&self, text: &str, expected: Expected) -> Verified<T> {
        let keys = self.collective.keys([&self.controller]);
        let token = UnverifiedToken::<T>::parse(text).expect("a token");
        token.verify(&keys, &expected, self.collective.now).expect("our own token")
    }

    /// What the Client signs when it connects to a Gateway.
    pub(crate) fn proof(&self, who: &SignedIn, gateway: ApplianceId, connect_seq: u64) -> ConnectionProof {
        self.proof_of(who, (who.sid, who.sign_in), gateway, connect_seq)
    }

    /// The same for another sign-in on the same device.
    pub(crate) fn proof_of(
        &self,
        who: &SignedIn,
        (sid, sign_in_idx): (SignInId, LogIndex),
        gateway: ApplianceId,
        connect_seq: u64,
    ) -> ConnectionProof {
        let statement = ConnectionStatement {
            collective: self.collective.id,
            incarnation: self.collective.incarnation,
            gateway,
            dn: &who.client.subject.dn,
            sid,
            sign_in_idx,
            connect_seq,
        };
        connection_proof::sign(&statement, self.collective.now, &who.client.own.key).expect("signed")
    }

    /// An admission with fresh tokens of this index.
    pub(crate) fn admission(&self, who: &SignedIn, connect_seq: u64, idx: u64) -> Box<Admission> {
        self.admission_with(who, connect_seq, &self.claims(who, idx), &self.entitlement(who, idx, &[]))
    }

    pub(crate) fn admission_with(
        &self,
        who: &SignedIn,
        connect_seq: u64,
        claims: &ClaimsToken,
        entitlement: &EntitlementToken,
    ) -> Box<Admission> {
        let proof = self.proof_of(who, (claims.head.sid, claims.sign_in_idx), self.gateway.id, connect_seq);
        let leaf = Leaf::parse(&who.client.own.chain[0]).expect("a leaf");
        Box::new(Admission {
            claims: self.prove_claims(claims),
            entitlement: self.prove_entitlement(entitlement),
            identity: leaf.identity,
            key: leaf.thumbprint,
            certificate_until: leaf.not_after,
            connect_seq,
            proof,
            last_session: None,
            country: None,
            peer: SocketAddr::from(([192, 0, 2, 1], 50_000)),
            device: UntrustedClaims::default(),
        })
    }
}

/// A further token id, so that two tokens of one index differ.
pub(crate) fn token_id(n: u8) -> TokenId {
    TokenId::from_random([n; 16])
}
