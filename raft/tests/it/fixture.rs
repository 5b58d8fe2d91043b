//! A Collective small enough to see through: ids by number, one Site, one provider with a pool, commands in order.

use std::sync::atomic::{AtomicU64, Ordering};

use ringwall_protocol::connection::ConnectionProof;
use ringwall_protocol::id::{
    ApplianceId, CollectiveId, CommandId, DeviceId, Incarnation, IncarnationId, IpPoolId, LogIndex, NodeId, ProviderId,
    SiteId, Thumbprint, UserId,
};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::appliance::{Appliance, ApplianceState, GatewayRole, Role};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::ip_pool::IpRange;
use ringwall_protocol::object::{EntityBase, GlobalSettings, IdentityProvider, IpPool, LocalUser, Object, Site};
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::state::Transition;
use ringwall_raft::state::candidate::Candidate;
use ringwall_raft::state::collective::Founding;
use ringwall_raft::state::device::RegisterDevice;
use ringwall_raft::state::object::PutObject;
use ringwall_raft::{Command, CommandEnvelope, Reply, Scoped, State};
use uuid::Uuid;

/// When tests begin.
pub(crate) const START: UnixMillis = UnixMillis(1_800_000_000_000);
/// The first Controller.
pub(crate) const NODE: NodeId = NodeId(1);

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn site() -> SiteId {
    SiteId::new(id(0x51))
}

pub(crate) fn provider() -> ProviderId {
    ProviderId::new(id(0x1d))
}

pub(crate) fn pool() -> IpPoolId {
    IpPoolId::new(id(0x90))
}

pub(crate) fn user(number: u128) -> UserId {
    UserId::new(id(0x1000 + number))
}

pub(crate) fn device(number: u128) -> DeviceId {
    DeviceId::new(id(0xd000 + number))
}

pub(crate) fn gateway(number: u128) -> ApplianceId {
    ApplianceId::new(id(0x6000 + number))
}

/// The appliance of a second Controller.
pub(crate) fn second_controller() -> ApplianceId {
    ApplianceId::new(id(0xa2))
}

pub(crate) fn key(number: u8) -> Thumbprint {
    Thumbprint([number; 32])
}

/// What a Client signed; the state does not verify it.
pub(crate) fn proof() -> ConnectionProof {
    ConnectionProof { time: START, key: vec![1; 91], signature: vec![2; 71] }
}

pub(crate) fn user_dn(number: u128) -> UserDn {
    UserDn { user: UserName::parse(format!("user{number}")).unwrap(), provider: ProviderName::parse("local").unwrap() }
}

pub(crate) fn dn(user: u128, on: u128) -> SessionDn {
    SessionDn { device: device(on), user: user_dn(user) }
}

/// A command id that no other call in this process gets.
pub(crate) fn fresh() -> CommandId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    CommandId::new(id(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64))
}

pub(crate) fn envelope(command: impl Into<Command>) -> CommandEnvelope {
    CommandEnvelope::new(fresh(), NODE, START, command.into())
}

pub(crate) fn provider_object(limit: u32) -> IdentityProvider {
    serde_json::from_value(serde_json::json!({
        "id": provider(), "name": "local", "type": IdentityProviderKind::LocalDatabase,
        "ipPoolV4": pool(), "deviceLimitPerUser": limit,
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

pub(crate) fn site_object() -> Site {
    serde_json::from_value(serde_json::json!({
        "id": site(), "name": "office",
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

pub(crate) fn user_object(number: u128) -> LocalUser {
    serde_json::from_value(serde_json::json!({ "id": user(number), "name": format!("user{number}") })).unwrap()
}

pub(crate) fn pool_object(cidr: &str) -> IpPool {
    IpPool {
        base: EntityBase::new(pool(), "pool"),
        ip_version6: false,
        ranges: vec![IpRange { cidr: Some(cidr.parse().unwrap()), first: None, last: None }],
        excluded_ranges: Vec::new(),
        lease_time_days: 30,
    }
}

/// The object of [`second_controller`].
pub(crate) fn controller_object() -> Appliance {
    Appliance {
        base: EntityBase::new(second_controller(), "controller2"),
        site: None,
        controller: Role { enabled: true },
        gateway: GatewayRole::default(),
        ..gateway_object(1)
    }
}

/// [`second_controller`] asks to join with the key of this number.
pub(crate) fn candidate(number: u8) -> Candidate {
    Candidate {
        appliance: second_controller(),
        name: String::new(),
        key: key(number),
        source: [10, 0, 0, 2].into(),
        asked_at: START,
        issuer_requests: ["one".to_owned(), "two".to_owned()],
        wrap_key: "wrap-2".to_owned(),
        peer_addresses: vec!["10.0.0.2:444".to_owned()],
        client_addresses: Vec::new(),
        admin_addresses: Vec::new(),
        node: None,
    }
}

pub(crate) fn gateway_object(number: u128) -> Appliance {
    Appliance {
        base: EntityBase::new(gateway(number), format!("gateway{number}")),
        hostname: String::new(),
        site: Some(site()),
        controller: Role::default(),
        gateway: GatewayRole { enabled: true, ..GatewayRole::default() },
        client_interface: Default::default(),
        peer_interface: Default::default(),
        activated: false,
        state: ApplianceState::Inactive,
    }
}

pub(crate) fn founding() -> Founding {
    let put = |object: Object| Command::from(PutObject::new(object));
    Founding {
        id: CollectiveId::new(id(0xc0)),
        name: "test".to_owned(),
        incarnation: incarnation(),
        root_certificate: "cm9vdA".to_owned(),
        settings: GlobalSettings::default(),
        controller: ControllerRecord {
            node: NODE,
            appliance: ApplianceId::new(id(0xa1)),
            name: "controller1".to_owned(),
            state: ApplianceState::Active,
            keys: vec![key(1)],
            client_issuer: None,
            appliance_issuer: None,
            peer_addresses: Vec::new(),
            client_addresses: Vec::new(),
            admin_addresses: Vec::new(),
        },
        wrap_key: "wrap-1".to_owned(),
        then: vec![put(site_object().into()), put(pool_object("10.9.0.0/24").into()), put(provider_object(3).into())],
    }
}

pub(crate) fn incarnation() -> Incarnation {
    Incarnation { epoch: 1, id: IncarnationId::new(id(0x11)) }
}

pub(crate) fn register(user_number: u128, device_number: u128) -> RegisterDevice {
    RegisterDevice {
        user_id: user(user_number),
        provider_id: provider(),
        dn: dn(user_number, device_number),
        key: key(9),
        presented_cookie: None,
        new_cookie: format!("cookie-{user_number}-{device_number}"),
        hostname: "laptop".to_owned(),
        mfa_given: false,
        spa_key: None,
    }
}

/// A state that takes commands one after the other, as a log would give them.
pub(crate) struct Replica {
    pub(crate) state: State,
    pub(crate) now: UnixMillis,
}

impl Replica {
    /// Before the founding.
    pub(crate) fn empty() -> Self {
        Self { state: State::default(), now: START }
    }

    /// After it.
    pub(crate) fn founded() -> Self {
        let mut replica = Self::empty();
        assert_eq!(replica.apply(founding()), Reply::Done);
        replica
    }

    pub(crate) fn apply(&mut self, command: impl Into<Command>) -> Reply {
        self.apply_with_events(command).0
    }

    pub(crate) fn apply_with_events(&mut self, command: impl Into<Command>) -> (Reply, Vec<Scoped>) {
        let envelope = CommandEnvelope::new(fresh(), NODE, self.now, command.into());
        let transition = self.apply_envelope(&envelope);
        (transition.outcome.reply, transition.events)
    }

    pub(crate) fn apply_envelope(&mut self, envelope: &CommandEnvelope) -> Transition {
        let index = LogIndex(self.state.index().0 + 1);
        let transition = ringwall_raft::state::apply(&self.state, index, envelope);
        self.state = transition.state.clone();
        transition
    }

    pub(crate) fn refusal(&mut self, command: impl Into<Command>) -> ringwall_raft::Rejection {
        self.apply(command).accepted().expect_err("a refusal")
    }
}
