//! A Collective for the Client to sign in to: one Controller, Site `office` with two Gateways, Site `lab` with one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::entitlement::{Action, ActionKind, AppShortcut, Logic, Subtype};
use ringwall_protocol::id::{
    ConditionId, DeviceId, EntitlementId, LogIndex, NodeId, SignInId, SiteId, Thumbprint, TokenId, UserId,
};
use ringwall_protocol::interaction::{Interaction, InteractionKind};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::token::{
    ClaimsToken, Confirmation, EntitlementToken, GatewayOffer, GrantedCondition, GrantedEntitlement, Routes, TokenHead,
};
use ringwall_trust::fixtures::{TestCollective, TestController};
use ringwall_trust::secret::SecretKey;
use ringwall_trust::tls::CurrentMembers;
use uuid::Uuid;

use crate::controller::FakeController;
use crate::gateway::FakeGateway;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const SPA_KEY: [u8; 32] = [7; 32];
pub(crate) const OTP: &str = "123456";
pub(crate) const TUNNEL_ADDRESS: &str = "10.9.0.2";
/// Given beside the other one by a world with IPv6.
pub(crate) const TUNNEL_ADDRESS6: &str = "fd09::2";

/// What all parts of the world know.
pub(crate) struct Facts {
    pub(crate) collective: TestCollective,
    pub(crate) controller: TestController,
    pub(crate) sites: Vec<SiteFacts>,
    pub(crate) changing: Mutex<Changing>,
}

/// What tests change.
pub(crate) struct Changing {
    /// Grows with everything that is minted.
    pub(crate) idx: u64,
    /// A further factor is wanted at sign-in.
    pub(crate) factor: bool,
    /// Whoever verifies one-time passwords asks first.
    pub(crate) asks_first: bool,
    /// What the user should read after the sign-in.
    pub(crate) notices: Vec<String>,
    /// Life of certificates, in seconds.
    pub(crate) certificate_life: u64,
    /// The Controller wants knocks with [`SPA_KEY`], UDP and TCP.
    pub(crate) spa: bool,
    /// UDP packets and TCP proofs that were right.
    pub(crate) knocks: (u32, u32),
    /// Life of entitlement tokens, in seconds.
    pub(crate) entitlement_life: u64,
    /// Claims tokens of an older index are void.
    pub(crate) revoked_below: u64,
    /// Hosts of the entitlement at a Site, if not an address.
    pub(crate) hosts: BTreeMap<&'static str, Vec<&'static str>>,
    /// Sites have networks of IPv6 too, and sessions an address.
    pub(crate) ipv6: bool,
    /// Paths of the calls that came.
    pub(crate) calls: Vec<String>,
    /// Device cookies that were sent.
    pub(crate) cookies: Vec<Option<String>>,
    /// Who signed in: device, key, sign-in.
    pub(crate) who: Option<(DeviceId, Thumbprint, SignInId)>,
}

pub(crate) struct SiteFacts {
    pub(crate) id: SiteId,
    pub(crate) name: &'static str,
    pub(crate) network: &'static str,
    pub(crate) network6: &'static str,
    pub(crate) offers: Vec<GatewayOffer>,
}

/// The running world.
pub(crate) struct World {
    pub(crate) facts: Arc<Facts>,
    pub(crate) controller: FakeController,
    pub(crate) gateways: BTreeMap<&'static str, FakeGateway>,
}

impl World {
    /// Everything up, on loopback addresses; of the office's two Gateways gw1 answers, and gw2 once it is thawed.
    pub(crate) async fn start() -> Self {
        let mut collective = TestCollective::new();
        let controller = collective.controller(NodeId(1));
        let mut made = Vec::new();
        for (name, site, weight) in [("gw1", 0, 9_999), ("gw2", 0, 1), ("gw3", 1, 100)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
            made.push((name, site, weight, collective.gateway(), listener));
        }
        let site = |index: usize, name, network, network6| SiteFacts {
            id: SiteId::from_random([u8::try_from(index).expect("small") + 1; 16]),
            name,
            network,
            network6,
            offers: made
                .iter()
                .filter(|made| made.1 == index)
                .map(|(name, _, weight, gateway, listener)| GatewayOffer {
                    id: gateway.id,
                    name: (*name).to_owned(),
                    addresses: vec![listener.local_addr().expect("bound").to_string()],
                    weight: *weight,
                    state: ApplianceState::Active,
                    spki_sha256: vec![gateway.own.thumbprint()],
                    spa_key: None,
                    spa_mode: None,
                    datagram: false,
                })
                .collect(),
        };
        let sites = vec![site(0, "office", "10.1.0.0/16", "fd01::/64"), site(1, "lab", "10.2.0.0/16", "fd02::/64")];
        let members = CurrentMembers::new(collective.members());
        let changing = Changing {
            idx: 100,
            factor: false,
            asks_first: false,
            notices: vec![],
            certificate_life: 24 * 3_600,
            hosts: BTreeMap::new(),
            spa: false,
            knocks: (0, 0),
            entitlement_life: 3_600,
            revoked_below: 0,
            ipv6: false,
            calls: vec![],
            cookies: vec![],
            who: None,
        };
        let facts = Arc::new(Facts { collective, controller, sites, changing: Mutex::new(changing) });
        let mut gateways = BTreeMap::new();
        for (name, site, _, gateway, listener) in made {
            let network = facts.sites[site].network;
            gateways.insert(name, FakeGateway::start(&gateway, listener, network, Arc::clone(&members) as _));
        }
        // The weights make a Client try gw1 first, but on a busy machine gw2 would win the race after its head start.
        gateways["gw2"].freeze();
        let controller = FakeController::start(Arc::clone(&facts), members).await;
        Self { facts, controller, gateways }
    }

    /// The same with networks and tunnel addresses of both families.
    pub(crate) async fn with_ipv6() -> Self {
        let world = Self::start().await;
        world.facts.change(|changing| changing.ipv6 = true);
        for (gateway, networks) in
            [("gw1", "10.1.0.0/16 fd01::/64"), ("gw2", "10.1.0.0/16 fd01::/64"), ("gw3", "10.2.0.0/16 fd02::/64")]
        {
            world.gateways[gateway].pretend_network(networks);
        }
        world
    }

    /// The profile link of this Collective.
    pub(crate) fn link(&self) -> String {
        self.link_at(&self.controller.address.to_string(), &[])
    }

    /// A link whose host is this, and that names further Controllers.
    pub(crate) fn link_at(&self, host: &str, controllers: &[String]) -> String {
        let mut body = serde_json::json!({
            "profileName": "test",
            "caFingerprint": self.facts.collective.root.fingerprint().to_string(),
            "identityProviderName": "local",
            "controllers": controllers,
        });
        if self.facts.change(|changing| changing.spa) {
            let key = SecretKey::new(SPA_KEY).expose_text();
            body["spa"] = serde_json::json!({ "mode": "UDP-TCP", "name": "test", "key": key.as_str() });
        }
        let body = data_encoding::BASE64URL_NOPAD.encode(body.to_string().as_bytes());
        format!("ringwall://{host}/{body}")
    }

    pub(crate) fn gateway(&mut self, name: &str) -> &mut FakeGateway {
        self.gateways.get_mut(name).expect("a gateway")
    }
}

impl Facts {
    pub(crate) fn change<T>(&self, with: impl FnOnce(&mut Changing) -> T) -> T {
        with(&mut self.changing.lock().expect("no test panicked"))
    }

    fn head(&self, audience: Uuid, life: u64) -> TokenHead {
        let now = ringwall_client::clock::now().seconds();
        let (idx, (device, key, sid)) = self.change(|changing| {
            changing.idx += 1;
            (changing.idx, changing.who.expect("somebody signed in"))
        });
        let user = UserDn {
            user: UserName::parse("alice").expect("a name"),
            provider: ProviderName::parse("local").expect("a name"),
        };
        TokenHead {
            iss: self.collective.id,
            sub: SessionDn { device, user },
            sid,
            jti: TokenId::new(Uuid::new_v4()),
            iat: now,
            nbf: now,
            exp: now + life,
            aud: audience,
            idx: LogIndex(idx),
            epoch: self.collective.incarnation.epoch,
            inc: self.collective.incarnation.id,
            cnf: Confirmation { jkt: key },
            user_id: UserId::from_random([6; 16]),
            provider_id: self.collective.provider,
            device_id: device,
        }
    }

    pub(crate) fn claims_token(&self) -> String {
        let head = self.head(self.collective.id.uuid(), 8 * 3_600);
        let token = ClaimsToken {
            sign_in_idx: head.idx,
            auth_time: head.iat,
            sign_in_until: head.iat + 24 * 3_600,
            user: Default::default(),
            system: Default::default(),
            tun_ipv4: Some(TUNNEL_ADDRESS.parse().expect("an address")),
            tun_ipv6: self.ipv6().then(|| TUNNEL_ADDRESS6.parse().expect("an address")),
            step_ups: BTreeMap::new(),
            head,
        };
        self.controller.signer.mint(&token).expect("minted")
    }

    fn ipv6(&self) -> bool {
        self.change(|changing| changing.ipv6)
    }

    fn networks(&self, site: &SiteFacts) -> Vec<ipnet::IpNet> {
        let second = self.ipv6().then_some(site.network6);
        [site.network].into_iter().chain(second).map(|network| network.parse().expect("a prefix")).collect()
    }

    fn hosts_of(&self, site: &'static str) -> Vec<String> {
        let named = self.change(|changing| changing.hosts.get(site).cloned());
        named.unwrap_or_else(|| vec!["10.1.0.1"]).into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn entitlement_token(&self, site: &SiteFacts) -> String {
        let head = self.head(site.id.uuid(), self.change(|changing| changing.entitlement_life));
        let token = EntitlementToken {
            claims_idx: head.idx,
            policy_idx: LogIndex(1),
            site_name: site.name.to_owned(),
            gateways: site.offers.clone(),
            entitlements: vec![GrantedEntitlement {
                app_shortcuts: vec![AppShortcut {
                    name: "the web".to_owned(),
                    url: "https://web.example/".to_owned(),
                    description: String::new(),
                }],
                id: entitlement(),
                name: "web".to_owned(),
                condition_logic: Logic::And,
                conditions: vec![],
                actions: vec![Action {
                    subtype: Some(Subtype::TcpUp),
                    action: ActionKind::Allow,
                    hosts: self.hosts_of(site.name),
                    ports: vec![],
                    types: vec![],
                }],
            }],
            conditions: KINDS.into_iter().map(|kind| (condition(kind), self.granted(kind))).collect(),
            routes: Routes { include: self.networks(site), exclude: vec![] },
            dns: vec![],
            lease_seconds: 15,
            head,
        };
        self.controller.signer.mint(&token).expect("minted")
    }
}

const KINDS: [InteractionKind; 4] = [
    InteractionKind::OtpAuthentication,
    InteractionKind::PasswordAuthentication,
    InteractionKind::Reason,
    InteractionKind::DisplayMessage,
];

/// The condition whose only interaction is of this kind.
pub(crate) fn condition(kind: InteractionKind) -> ConditionId {
    ConditionId::from_random([100 + kind as u8; 16])
}

pub(crate) fn entitlement() -> EntitlementId {
    EntitlementId::from_random([50; 16])
}

pub(crate) fn open_entitlement() -> EntitlementState {
    EntitlementState { id: entitlement(), name: "web".to_owned(), open: true, failed_conditions: vec![] }
}

impl Facts {
    fn granted(&self, kind: InteractionKind) -> GrantedCondition {
        let asks_first = kind == InteractionKind::OtpAuthentication && self.change(|changing| changing.asks_first);
        let asked_first = asks_first.then_some(0).into_iter().collect();
        GrantedCondition { asked_first, ..granted(kind) }
    }
}

fn granted(kind: InteractionKind) -> GrantedCondition {
    GrantedCondition {
        name: format!("{kind:?}"),
        expression: "false".to_owned(),
        remedy_logic: Logic::And,
        interactions: vec![Interaction {
            kind,
            message: format!("signed text of {kind:?}"),
            claim_suffix: Some("x".to_owned()),
            provider_id: None,
            blocking: false,
        }],
        asked_first: Default::default(),
        repeat_schedules: vec![],
    }
}
