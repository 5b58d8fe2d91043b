//! The first files of the corpora: a small Collective, its commands, its log, its snapshot, what its nodes say.

use ringwall_protocol::id::{
    ApplianceId, CollectiveId, CommandId, DeviceId, Incarnation, IncarnationId, LogIndex, NodeId, ProviderId,
    Thumbprint, UserId,
};
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::object::{GlobalSettings, Object, ObjectKind};
use ringwall_protocol::revocation::{RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use serde_json::json;
use uuid::Uuid;

use super::replay::Seeds;
use crate::codec::encode;
use crate::network::message::{Blob, Chunk, Reconfigure, Request, RequestRefusal, Response};
use crate::state::address::AllocateAddresses;
use crate::state::apply;
use crate::state::blocklist::BlockUser;
use crate::state::collective::Founding;
use crate::state::device::{RegisterDevice, RemoveDevice};
use crate::state::gateway::AdmitGateway;
use crate::state::join_token::{CreateJoinToken, JoinTokenHash};
use crate::state::object::PutObject;
use crate::state::object::batch::{AppliedFields, ApplyObjects, FieldDigest, NoteApplied, RevokeOwed};
use crate::state::revocation::Revoke;
use crate::state::secret::Sealed;
use crate::types::{Entry, LogId, Proposal, SnapshotMeta};
use crate::{Command, CommandEnvelope, State};

type Files = Vec<(&'static str, Vec<u8>)>;

const START: UnixMillis = UnixMillis(1_800_000_000_000);

pub(super) fn seeds() -> Vec<Seeds> {
    let envelopes = envelopes();
    vec![
        ("commands", commands(&envelopes)),
        ("log_entry", log(&envelopes)),
        ("peer_frames", peers(&envelopes)),
        ("snapshot", snapshots(&envelopes)),
    ]
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn dn(device: u128) -> SessionDn {
    format!("CN={},CN=user1,OU=local", id(device).simple()).parse().expect("a DN")
}

fn object(value: serde_json::Value) -> Command {
    PutObject::new(serde_json::from_value::<Object>(value).expect("an object")).into()
}

fn founding() -> Founding {
    let made = "2026-01-01T00:00:00Z";
    let site = json!({"kind": "Site", "id": id(0x51), "name": "office", "created": made, "updated": made});
    let pool = json!({"kind": "IpPool", "id": id(0x90), "name": "pool", "ranges": [{"cidr": "10.9.0.0/30"}],
        "created": made, "updated": made});
    let provider = json!({"kind": "IdentityProvider", "id": id(0x1d), "name": "local", "type": "LocalDatabase",
        "ipPoolV4": id(0x90), "deviceLimitPerUser": 3, "created": made, "updated": made});
    Founding {
        id: CollectiveId::new(id(0xc0)),
        name: "test".to_owned(),
        incarnation: Incarnation { epoch: 1, id: IncarnationId::new(id(0x11)) },
        root_certificate: "cm9vdA".to_owned(),
        settings: GlobalSettings::default(),
        controller: ControllerRecord {
            node: NodeId(1),
            appliance: ApplianceId::new(id(0xa1)),
            name: "controller1".to_owned(),
            state: ApplianceState::Active,
            keys: vec![Thumbprint([1; 32])],
            client_issuer: None,
            appliance_issuer: None,
            peer_addresses: Vec::new(),
            client_addresses: Vec::new(),
            admin_addresses: Vec::new(),
        },
        wrap_key: "wrap-1".to_owned(),
        then: vec![object(site), object(pool), object(provider)],
    }
}

fn register(device: u128) -> RegisterDevice {
    RegisterDevice {
        user_id: UserId::new(id(0x1001)),
        provider_id: ProviderId::new(id(0x1d)),
        dn: dn(device),
        key: Thumbprint([9; 32]),
        presented_cookie: None,
        new_cookie: format!("cookie-{device}"),
        hostname: "laptop".to_owned(),
        mfa_given: false,
        spa_key: None,
    }
}

fn allocate(device: u128) -> AllocateAddresses {
    let (user_id, provider_id) = (UserId::new(id(0x1001)), ProviderId::new(id(0x1d)));
    AllocateAddresses { user_id, provider_id, device_id: DeviceId::new(id(device)) }
}

/// From the founding to a revocation, with a Gateway that joins.
fn envelopes() -> Vec<CommandEnvelope> {
    let token = JoinTokenHash::new([4; 32]);
    let gateway = json!({"kind": "Appliance", "id": id(0x6001), "name": "gateway1", "site": id(0x51),
        "gateway": {"enabled": true}, "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z"});
    let everyone = Revoke {
        scope: RevocationScope::Dn(DnScope::Everyone),
        kinds: TokenKind::ALL.into(),
        site: None,
        mode: RevocationMode::RenewWindow { delay_seconds: 30, slices: 2 },
        reason: "seed".to_owned(),
    };
    let remove = RemoveDevice {
        user_id: UserId::new(id(0x1001)),
        device_id: DeviceId::new(id(0xd001)),
        reason: "lost".to_owned(),
    };
    let commands: Vec<Command> = vec![
        founding().into(),
        object(gateway),
        CreateJoinToken {
            appliance: ApplianceId::new(id(0x6001)),
            token: token.clone(),
            not_after: UnixMillis(u64::MAX),
        }
        .into(),
        AdmitGateway { token, key: Thumbprint([6; 32]), spa_key: Sealed::new(1, "sealed") }.into(),
        register(0xd001).into(),
        allocate(0xd001).into(),
        register(0xd002).into(),
        allocate(0xd002).into(),
        everyone.into(),
        BlockUser { user: dn(0xd001).user, reason: "seed".to_owned() }.into(),
        remove.into(),
    ];
    let envelope =
        |(number, command)| CommandEnvelope::new(CommandId::new(id(0x5eed_0000 + number)), NodeId(1), START, command);
    (0_u128..).zip(commands).map(envelope).collect()
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    encode(value).expect("written")
}

/// Envelopes as steps of `commands`.
fn steps(envelopes: &[CommandEnvelope]) -> Vec<u8> {
    envelopes.iter().fold(Vec::new(), |mut steps, envelope| {
        let bytes = encoded(envelope);
        let length = u16::try_from(bytes.len()).expect("a short command");
        steps.extend([&[0][..], &length.to_be_bytes(), &bytes].concat());
        steps
    })
}

fn commands(envelopes: &[CommandEnvelope]) -> Files {
    let devices = [steps(&envelopes[..1]), steps(&envelopes[4..8])].concat();
    vec![
        ("founded", steps(&envelopes[..1])),
        ("gateway", [steps(&envelopes[..4]), steps(&envelopes[8..9]), vec![2, 200, 4, 3, 3]].concat()),
        ("addresses", [devices.clone(), vec![2, 0, 2, 2, 0, 4, 3, 1, 3, 4]].concat()),
        ("removed", [devices, steps(&envelopes[10..]), vec![2, 255, 2, 2, 255, 4]].concat()),
        ("blocked", [steps(&envelopes[..1]), steps(&envelopes[9..10]), vec![3, 1]].concat()),
        ("batch", [steps(&envelopes[..1]), steps(&batch()), vec![3, 1]].concat()),
    ]
}

/// Objects written together with a note, and a revocation that is owed no more.
fn batch() -> Vec<CommandEnvelope> {
    let made = "2026-01-01T00:00:00Z";
    let site = json!({"kind": "Site", "id": id(0x52), "name": "lab", "created": made, "updated": made});
    let fields = AppliedFields([("name".to_owned(), FieldDigest([7; 8]))].into());
    let note = NoteApplied { kind: ObjectKind::Site, id: id(0x52), fields };
    let commands: [Command; 2] = [
        ApplyObjects { parts: vec![object(site), note.into()] }.into(),
        RevokeOwed { batch: LogIndex(2), nth: 0 }.into(),
    ];
    let envelope =
        |(number, command)| CommandEnvelope::new(CommandId::new(id(0xba7c_0000 + number)), NodeId(1), START, command);
    (0_u128..).zip(commands).map(envelope).collect()
}

fn entries(envelopes: &[CommandEnvelope]) -> Vec<Entry> {
    use openraft::entry::RaftEntry as _;
    (1_u64..)
        .zip(envelopes)
        .map(|(index, envelope)| {
            let log_id = LogId::new_term_index(1, index);
            Entry::new(log_id, openraft::EntryPayload::Normal(Proposal(std::sync::Arc::new(envelope.clone()))))
        })
        .collect()
}

fn log(envelopes: &[CommandEnvelope]) -> Files {
    let entries = entries(envelopes);
    vec![
        ("founding", encoded(&entries[0])),
        ("revoke", encoded(&entries[8])),
        ("envelope", encoded(&envelopes[5])),
        ("meta", encoded(&SnapshotMeta::default())),
        ("deep", vec![0x91; 1_000]),
    ]
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("a short frame");
    [&length.to_be_bytes()[..], &7_u64.to_be_bytes(), body].concat()
}

fn peers(envelopes: &[CommandEnvelope]) -> Files {
    let chunk = Chunk { offset: 7, bytes: Blob(vec![3; 100]) };
    vec![
        ("propose", framed(&encoded(&Request::Propose(std::sync::Arc::new(envelopes[5].clone()))))),
        ("chunk", framed(&encoded(&Request::SnapshotChunk(chunk)))),
        ("read-index", framed(&encoded(&Request::ReadIndex))),
        ("reconfigure", encoded(&Request::Reconfigure(Reconfigure::Promote(NodeId(2))))),
        ("refused", encoded(&Response::Refused(RequestRefusal::NotLeader(Some(NodeId(2)))))),
        ("index", encoded(&Response::ReadIndex(LogIndex(9)))),
        ("long", vec![0xff; 16]),
    ]
}

fn snapshots(envelopes: &[CommandEnvelope]) -> Files {
    let states: Vec<State> = envelopes
        .iter()
        .scan(State::default(), |state, envelope| {
            *state = apply(state, LogIndex(state.index().0 + 1), envelope).state;
            Some(state.clone())
        })
        .collect();
    let meta = encoded(&SnapshotMeta::default());
    let length = u32::try_from(meta.len()).expect("a short header");
    let state = states[0].to_bytes().expect("written");
    let file = [&b"ringwall state 1"[..], &length.to_be_bytes(), &meta, &state].concat();
    let summed = [&file[..], blake3::hash(&file).as_bytes()].concat();
    vec![
        ("unsummed", file),
        ("whole", summed),
        ("empty", State::default().to_bytes().expect("written")),
        ("newer", encoded(&json!({"version": 2, "state": {}}))),
    ]
}
