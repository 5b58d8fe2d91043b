//! A Collective in the test's own process: real certificates and tokens, the real link actor over real TLS, and a
//! replicated log that is a list.

mod feed;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringwall_actors::link::{Board, Enforcement, GatewayReports};
use ringwall_protocol::claims::{ClaimMap, UntrustedClaims};
use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement};
use ringwall_protocol::entitlement::{Action, ActionKind, Logic, Subtype};
use ringwall_protocol::feed::{FeedEvent, FeedPosition, FeedSite, FeedView};
use ringwall_protocol::id::{ConditionId, EntitlementId, LogIndex, NodeId, SignInId, SiteId};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::membership::KeyState;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, GrantedCondition, GrantedEntitlement, Routes};
use ringwall_protocol::wire::session::{Hello, SESSION_VERSION};
use ringwall_trust::connection_proof;
use ringwall_trust::fixtures::{TestClient, TestCollective, TestController, TestGateway};
use ringwall_trust::tls::{Alpn, CurrentMembers, PeerRoles, Tls};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::feed::{Load, State, serve};

/// Where the Controller listens for Gateways.
pub(crate) const PEER: &str = "127.0.0.1:4440";
/// Where another Controller does, in tests that have one.
const OTHER_PEER: &str = "127.0.0.1:4441";
/// The shortest lease that a Site may have.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// Open to everybody who has the entitlement.
pub(crate) const OPEN_PORT: u16 = 5_000;
/// Open to who has given a reason.
pub(crate) const GUARDED_PORT: u16 = 5_001;
/// Another Site of the Collective, which the Gateway knows nothing of.
pub(crate) const ELSEWHERE: &str = "elsewhere";
/// The protected host.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 9);

pub(crate) struct Collective {
    pub(crate) trust: TestCollective,
    pub(crate) gateway: TestGateway,
    controller: TestController,
    state: Arc<State>,
    board: Arc<Board>,
    /// Sessions and rule sets, as the Gateway last told.
    load: watch::Receiver<(u32, u32)>,
    users: u8,
    /// What everybody is entitled to beside the two ports.
    pub(crate) granted: Vec<GrantedEntitlement>,
    /// Another Controller, which makes tokens too.
    second: Option<TestController>,
    /// Its state, and what it knows of the Gateway.
    other: Option<(Arc<State>, Arc<Board>)>,
}

/// A user on a device.
pub(crate) struct SignedIn {
    pub(crate) client: TestClient,
    pub(crate) address: Ipv4Addr,
    sid: SignInId,
    idx: LogIndex,
}

impl SignedIn {
    /// A UDP packet from the session's address to the protected host.
    pub(crate) fn datagram(&self, port: u16) -> Vec<u8> {
        self.datagram_to(HOST, port)
    }

    /// The same to another host.
    pub(crate) fn datagram_to(&self, host: Ipv4Addr, port: u16) -> Vec<u8> {
        let mut bytes = vec![];
        let packet = etherparse::PacketBuilder::ipv4(self.address.octets(), host.octets(), 64).udp(40_000, port);
        packet.write(&mut bytes, b"hello").expect("fits");
        bytes
    }
}

impl Collective {
    /// One Controller, which serves the feed, and one Gateway, which may join it.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with another Site.
    pub(crate) async fn start_with(shape: impl FnOnce(&mut FeedSite)) -> Self {
        Self::found(shape, false).await
    }

    /// Two Controllers, with a state each.
    pub(crate) async fn with_two_controllers() -> Self {
        Self::found(|_| {}, true).await
    }

    async fn found(shape: impl FnOnce(&mut FeedSite), two: bool) -> Self {
        let mut trust = TestCollective::new();
        let controller = trust.controller(NodeId(1));
        let second = two.then(|| trust.controller(NodeId(2)));
        let gateway = trust.gateway();
        let mut view = view(&trust, &controller);
        shape(&mut view.site);
        if let Some(second) = &second {
            let key = second.signer.record(NodeId(2), LogIndex(1));
            view.keys.insert(key.kid.clone(), key);
        }
        let (told, load) = watch::channel((0, 0));
        let reports = Arc::new(Load(told)) as Arc<dyn GatewayReports>;
        let members = CurrentMembers::new(trust.members());
        let listen = async |of: &TestController, at: &str| {
            let (state, board) = (Arc::new(State::new(view.clone())), Arc::new(Board::default()));
            let members = Arc::clone(&members);
            let tls = Tls::new().peer_server(&of.presented(), members, PeerRoles::GATEWAYS, Alpn::Feed);
            let listener = TcpListener::bind(at).await.expect("the namespace is empty");
            let heard = (Arc::clone(&state), Arc::clone(&board), Arc::clone(&reports));
            actix_rt::spawn(serve(listener, TlsAcceptor::from(tls), gateway.id, heard));
            (state, board)
        };
        let (state, board) = listen(&controller, PEER).await;
        let other = match &second {
            Some(second) => Some(listen(second, OTHER_PEER).await),
            None => None,
        };
        Self { trust, gateway, controller, state, board, load, users: 0, granted: vec![], second, other }
    }

    pub(crate) fn view(&self) -> FeedView {
        self.state.base.clone()
    }

    pub(crate) fn sign_in(&mut self, user: &str) -> SignedIn {
        self.users += 1;
        let client = self.trust.client(user);
        let address = Ipv4Addr::new(10, 9, 0, self.users);
        SignedIn { client, address, sid: SignInId::from_random([self.users; 16]), idx: self.state.applied() }
    }

    /// The same user, device and key after a new sign-in.
    pub(crate) fn sign_in_again(&mut self, who: SignedIn) -> SignedIn {
        self.users += 1;
        SignedIn { sid: SignInId::from_random([self.users; 16]), idx: self.state.applied(), ..who }
    }

    fn proof(&self, who: &SignedIn, connect_seq: u64) -> ConnectionProof {
        let statement = ConnectionStatement {
            collective: self.trust.id,
            incarnation: self.trust.incarnation,
            gateway: self.gateway.id,
            dn: &who.client.subject.dn,
            sid: who.sid,
            sign_in_idx: who.idx,
            connect_seq,
        };
        connection_proof::sign(&statement, self.trust.now, &who.client.own.key).expect("signed")
    }

    pub(crate) fn hello(&self, who: &SignedIn, connect_seq: u64) -> Hello {
        Hello {
            versions: vec![SESSION_VERSION],
            connect_seq,
            proof: self.proof(who, connect_seq),
            claims_token: self.controller.signer.mint(&self.claims(who)).expect("minted"),
            entitlement_token: self.controller.signer.mint(&self.entitlement(who)).expect("minted"),
            device_claims: UntrustedClaims::default(),
            last_session_id: None,
        }
    }

    /// The same with an entitlement token that a Controller made for another Site.
    pub(crate) fn hello_at(&self, site: SiteId, who: &SignedIn, connect_seq: u64) -> Hello {
        let mut entitlement = self.entitlement(who);
        entitlement.head.aud = site.uuid();
        entitlement.site_name = ELSEWHERE.to_owned();
        let token = self.controller.signer.mint(&entitlement).expect("minted");
        Hello { entitlement_token: token, ..self.hello(who, connect_seq) }
    }

    /// The same with `count` further entitlements behind the condition.
    pub(crate) fn large_hello(&self, who: &SignedIn, connect_seq: u64, count: u16) -> Hello {
        let mut entitlement = self.entitlement(who);
        let sample = entitlement.entitlements[1].clone();
        for nth in 0..count {
            let mut id = [9; 16];
            id[..2].copy_from_slice(&nth.to_be_bytes());
            let mut one = GrantedEntitlement { id: EntitlementId::from_random(id), ..sample.clone() };
            one.name = format!("port {}", 10_000 + nth);
            one.actions[0].ports = vec![(10_000 + nth).to_string()];
            entitlement.entitlements.push(one);
        }
        let token = self.controller.signer.mint(&entitlement).expect("minted");
        Hello { entitlement_token: token, ..self.hello(who, connect_seq) }
    }

    /// Removes the second Controller and its key. It says nothing of it, and goes on with what it knew before.
    pub(crate) fn remove_second(&self) {
        let second = self.second.as_ref().expect("another controller");
        let mut controller = self.state.base.controllers.get(&NodeId(2)).expect("a member").clone();
        controller.state = ApplianceState::Removed;
        self.state.append(|_| FeedEvent::ControllerChanged { controller });
        let mut key = second.signer.record(NodeId(2), LogIndex(1));
        key.state = KeyState::Removed;
        self.state.append(|_| FeedEvent::KeyChanged { key });
    }

    /// A `hello` with tokens of the second Controller.
    pub(crate) fn hello_of_second(&self, who: &SignedIn, connect_seq: u64) -> Hello {
        let signer = &self.second.as_ref().expect("another controller").signer;
        Hello {
            claims_token: signer.mint(&self.claims(who)).expect("minted"),
            entitlement_token: signer.mint(&self.entitlement(who)).expect("minted"),
            ..self.hello(who, connect_seq)
        }
    }

    /// Cuts all sessions of a device; answers the index of the entry.
    pub(crate) fn revoke(&self, who: &SignedIn) -> LogIndex {
        self.state.append(|index| cut(index, who))
    }

    /// The same, of which the Controller that has the Gateway's feed says nothing: as if it had not happened there.
    pub(crate) async fn revoke_behind_the_feed(&self, who: &SignedIn) -> LogIndex {
        let (other, board) = self.other.as_ref().expect("another controller");
        let connected =
            |board: &Board| board.standings().get(&self.gateway.id).is_some_and(|standing| standing.connected);
        let feeds = || (connected(&self.board), connected(board));
        // A Controller that is asked as a witness has a connection, too, for a moment.
        crate::until("one of the two has the feed", || feeds().0 != feeds().1).await;
        let knows = if feeds().0 { other } else { &self.state };
        knows.append(|index| cut(index, who))
    }

    /// When the Gateway's kernel enforced an index.
    pub(crate) async fn enforced(&self, index: LogIndex) -> Instant {
        let deadline = Instant::now() + crate::PATIENCE;
        match self.board.wait_enforced(&[self.gateway.id], index, deadline).await[&self.gateway.id] {
            Enforcement::Enforced(at) => at,
            other => panic!("not enforced: {other:?}"),
        }
    }

    /// Waits until the Gateway tells of so many sessions and rule sets.
    pub(crate) async fn hears_load(&mut self, sessions: u32, rule_sets: u32) {
        let told = self.load.wait_for(|load| *load == (sessions, rule_sets));
        drop(tokio::time::timeout(crate::PATIENCE, told).await.expect("in time").expect("the link stands"));
    }

    /// No confirmation any more, as from a Controller without a quorum.
    pub(crate) fn fall_silent(&self) {
        self.state.quorum.store(false, Ordering::SeqCst);
    }

    pub(crate) fn speak_again(&self) {
        self.state.quorum.store(true, Ordering::SeqCst);
    }

    fn claims(&self, who: &SignedIn) -> ClaimsToken {
        let mut head = self.trust.head(&who.client, self.trust.id.uuid(), who.idx);
        head.sid = who.sid;
        ClaimsToken {
            sign_in_idx: who.idx,
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

    fn entitlement(&self, who: &SignedIn) -> EntitlementToken {
        let mut head = self.trust.head(&who.client, self.trust.site.uuid(), who.idx);
        head.sid = who.sid;
        let condition = ConditionId::from_random([3; 16]);
        let granted = |id: u8, port: u16, conditions| GrantedEntitlement {
            app_shortcuts: vec![],
            id: EntitlementId::from_random([id; 16]),
            name: format!("port {port}"),
            condition_logic: Logic::And,
            conditions,
            actions: vec![Action {
                subtype: Some(Subtype::UdpUp),
                action: ActionKind::Allow,
                hosts: vec![HOST.to_string()],
                ports: vec![port.to_string()],
                types: vec![],
            }],
        };
        let own = [granted(1, OPEN_PORT, vec![]), granted(2, GUARDED_PORT, vec![condition])];
        EntitlementToken {
            claims_idx: who.idx,
            policy_idx: LogIndex(1),
            site_name: "office".to_owned(),
            gateways: vec![],
            entitlements: own.into_iter().chain(self.granted.clone()).collect(),
            conditions: BTreeMap::from([(condition, reason_wanted())]),
            routes: Routes::default(),
            dns: vec![],
            lease_seconds: 5,
            head,
        }
    }
}

fn cut(index: LogIndex, who: &SignedIn) -> FeedEvent {
    FeedEvent::RevocationAdded {
        revocation: Revocation {
            index,
            scope: RevocationScope::Dn(DnScope::Device(who.client.subject.dn.clone())),
            kinds: TokenKind::ALL.into(),
            site: None,
            mode: RevocationMode::Cut,
            reason: "a test".to_owned(),
            at: UnixMillis(0),
            told: 1,
            effective: 1,
        },
    }
}

fn reason_wanted() -> GrantedCondition {
    GrantedCondition {
        name: "a reason".to_owned(),
        expression: "hasReason('ticket', 60)".to_owned(),
        remedy_logic: Logic::And,
        interactions: vec![Interaction {
            kind: InteractionKind::Reason,
            message: "why?".to_owned(),
            claim_suffix: Some("ticket".to_owned()),
            provider_id: None,
            blocking: false,
        }],
        asked_first: Default::default(),
        repeat_schedules: vec![],
    }
}

fn view(trust: &TestCollective, controller: &TestController) -> FeedView {
    let key = controller.signer.record(NodeId(1), LogIndex(1));
    let with_address = |record: &ringwall_protocol::membership::ControllerRecord| {
        let mut record = record.clone();
        let at = if record.node == NodeId(1) { PEER } else { OTHER_PEER };
        record.peer_addresses = vec![at.to_owned()];
        (record.node, record)
    };
    FeedView {
        collective: trust.id,
        root_certificate: data_encoding::BASE64URL_NOPAD.encode(trust.root.certificate()),
        position: FeedPosition { incarnation: trust.incarnation, index: LogIndex(10) },
        controllers: trust.controller_records().map(with_address).collect(),
        gateways: trust.gateway_records().map(|record| (record.appliance, record.clone())).collect(),
        keys: BTreeMap::from([(key.kid.clone(), key)]),
        revocations: vec![],
        forgotten_up_to: LogIndex(0),
        site: FeedSite {
            id: trust.site,
            name: "office".to_owned(),
            pools: vec!["10.9.0.0/16".parse().expect("a network")],
            networks: vec!["10.20.0.0/16".parse().expect("a network")],
            snat: true,
            lease_seconds: 5,
            grace_seconds: None,
            witnesses: 1,
            dtls: false,
            name_resolution: Default::default(),
        },
        spa_mode: SpaMode::Open,
        spa_keys: vec![],
        spa_window_seconds: 300,
        peer_spa_key: None,
    }
}

/// Where the Gateway listens for Clients.
pub(crate) fn gateway_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], crate::gateway::CLIENT_PORT))
}
