//! What tests of this package share: a throw-away Collective, its tokens, a feed's view, fakes of the ports that keep
//! account of what they were asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ringwall_protocol::claims::{ClaimMap, StepUp, UntrustedClaims};
use ringwall_protocol::entitlement::{Action, ActionKind, Host, Logic, Subtype};
use ringwall_protocol::feed::{FeedPosition, FeedSite, FeedView};
use ringwall_protocol::id::{ConditionId, EntitlementId, LogIndex, NodeId, SessionId, SignInId, TokenId};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::membership::KeyRecord;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, GrantedCondition, GrantedEntitlement, Routes};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::fixtures::{TestClient, TestCollective, TestController, TestGateway};
use ringwall_trust::identity::Leaf;
use ringwall_trust::token::{Expected, UnverifiedToken, Verified};
use tokio::sync::oneshot;

use crate::ports::{
    AttachToken, Install, InstallError, LeaseRenewal, NameKeeper, Reply, RuleEnforcer, TunnelGrant, TunnelPlane,
};
use crate::registry::admission::Admission;
use crate::support::clock::{Clock, Moment};

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
        let leaf = Leaf::parse(&who.client.own.chain[0]).expect("a leaf");
        Box::new(Admission {
            claims: self.prove_claims(claims),
            entitlement: self.prove_entitlement(entitlement),
            identity: leaf.identity,
            key: leaf.thumbprint,
            certificate_until: leaf.not_after,
            connect_seq,
            last_session: None,
            country: None,
            peer: SocketAddr::from(([192, 0, 2, 1], 50_000)),
            device: UntrustedClaims::default(),
        })
    }
}

/// A condition with at most one interaction.
pub(crate) struct TestCondition {
    pub(crate) id: ConditionId,
    pub(crate) expression: &'static str,
    pub(crate) interaction: Option<InteractionKind>,
}

impl TestCondition {
    pub(crate) fn new(id: u8, expression: &'static str, interaction: Option<InteractionKind>) -> Self {
        Self { id: ConditionId::from_random([id; 16]), expression, interaction }
    }

    fn granted(&self) -> GrantedCondition {
        let interaction = |kind| Interaction {
            kind,
            message: "why?".to_owned(),
            claim_suffix: Some("ticket".to_owned()),
            provider_id: None,
            blocking: false,
        };
        GrantedCondition {
            name: "condition".to_owned(),
            expression: self.expression.to_owned(),
            remedy_logic: Logic::And,
            interactions: self.interaction.map(interaction).into_iter().collect(),
            asked_first: Default::default(),
            repeat_schedules: vec![],
        }
    }
}

fn allow_web(host: &str) -> Action {
    Action {
        subtype: Some(Subtype::TcpUp),
        action: ActionKind::Allow,
        hosts: vec![host.to_owned()],
        ports: vec!["443".to_owned()],
        types: vec![],
    }
}

/// A step-up that a Controller verified at `at`.
pub(crate) fn step_up(condition: ConditionId, at: UnixMillis) -> StepUp {
    StepUp {
        kind: ringwall_protocol::claims::StepUpKind::Otp,
        provider_id: uuid::Uuid::nil(),
        condition_id: Some(condition),
        at,
        transaction_id: None,
    }
}

/// A revocation of all kinds of tokens.
pub(crate) fn revocation(index: u64, scope: RevocationScope, mode: RevocationMode) -> Revocation {
    let done = u16::from(mode == RevocationMode::Cut);
    Revocation {
        index: LogIndex(index),
        scope,
        kinds: TokenKind::ALL.into(),
        site: None,
        mode,
        reason: String::new(),
        at: UnixMillis(0),
        told: done,
        effective: done,
    }
}

/// The scope of one device.
pub(crate) fn device_scope(dn: &SessionDn) -> RevocationScope {
    RevocationScope::Dn(ringwall_protocol::name::DnScope::Device(dn.clone()))
}

/// What a fake port was asked, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Install(SessionId, u64),
    Remove(SessionId, LogIndex),
    Progress(LogIndex),
    Renew(LogIndex),
    EndLease,
    Open(SessionId),
    Expect(SessionId),
    Cut(SessionId, ErrorCode),
    Names(SessionId, BTreeSet<Host>),
    ForgetNames(SessionId),
}

/// A kernel and workers that do what they are told at once, and remember it. The kernel keeps the promises of the real
/// one that matter here: no renewal before progress, no install after a removal.
#[derive(Debug, Default)]
pub(crate) struct FakePlane {
    pub(crate) asked: Mutex<Vec<Asked>>,
    state: Mutex<FakeKernel>,
}

#[derive(Debug, Default)]
struct FakeKernel {
    progress: LogIndex,
    installed: BTreeMap<SessionId, u64>,
    removed: Vec<SessionId>,
    panic_on: Option<u64>,
    installs: u64,
}

impl FakePlane {
    /// The install with this number (from 1) panics in the thread of its caller.
    pub(crate) fn panic_on_install(&self, number: u64) {
        self.state.lock().expect("no panic").panic_on = Some(number);
    }

    pub(crate) fn installed(&self, session: SessionId) -> bool {
        self.state.lock().expect("no panic").installed.contains_key(&session)
    }

    pub(crate) fn count(&self, matches: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| matches(asked)).count()
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().expect("no panic").push(asked);
    }
}

fn answered<T>(value: T) -> Reply<T> {
    let (answer, reply) = oneshot::channel();
    let _ = answer.send(value);
    reply
}

impl RuleEnforcer for FakePlane {
    fn install(&self, install: Install) -> Reply<Result<(), InstallError>> {
        let mut state = self.state.lock().expect("no panic");
        state.installs += 1;
        if state.panic_on == Some(state.installs) {
            drop(state);
            panic!("the install that was to fail");
        }
        if state.removed.contains(&install.session) {
            return answered(Err(InstallError::Ended));
        }
        state.installed.insert(install.session, install.generation);
        drop(state);
        self.note(Asked::Install(install.session, install.generation));
        answered(Ok(()))
    }

    fn remove(&self, session: SessionId, cut_at: LogIndex) -> Reply<()> {
        let mut state = self.state.lock().expect("no panic");
        state.installed.remove(&session);
        state.removed.push(session);
        drop(state);
        self.note(Asked::Remove(session, cut_at));
        answered(())
    }

    fn progress(&self, index: LogIndex) {
        let mut state = self.state.lock().expect("no panic");
        state.progress = state.progress.max(index);
        drop(state);
        self.note(Asked::Progress(index));
    }

    fn renew_lease(&self, renewal: LeaseRenewal) -> Reply<bool> {
        let granted = self.state.lock().expect("no panic").progress >= renewal.read_index;
        self.note(Asked::Renew(renewal.read_index));
        answered(granted)
    }

    fn end_lease(&self) {
        self.note(Asked::EndLease);
    }
}

impl TunnelPlane for FakePlane {
    fn open(&self, grant: TunnelGrant) {
        self.note(Asked::Open(grant.session));
    }

    fn expect(&self, session: SessionId, _: AttachToken) {
        self.note(Asked::Expect(session));
    }

    fn cut(&self, session: SessionId, code: ErrorCode) -> Reply<()> {
        self.note(Asked::Cut(session, code));
        answered(())
    }
}

impl NameKeeper for FakePlane {
    fn want(&self, session: SessionId, hosts: BTreeSet<Host>) {
        self.note(Asked::Names(session, hosts));
    }

    fn forget(&self, session: SessionId) {
        self.note(Asked::ForgetNames(session));
    }
}

/// The machine's monotonic clock, and the Collective's time by it.
pub(crate) struct SceneClock {
    pub(crate) start: Instant,
    pub(crate) time: UnixMillis,
}

impl Clock for SceneClock {
    fn now(&self) -> Moment {
        let instant = Instant::now();
        Moment { instant, time: self.time.plus(instant.saturating_duration_since(self.start)) }
    }
}

/// A further token id, so that two tokens of one index differ.
pub(crate) fn token_id(n: u8) -> TokenId {
    TokenId::from_random([n; 16])
}
