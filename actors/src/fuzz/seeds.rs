//! The first files of the corpora: frames as both ends of a feed send them, steps that lead somewhere, and steps at random.

use ringwall_protocol::feed::{FeedEvent, FeedPosition, FromController, FromGateway, SessionSummary};
use ringwall_protocol::id::{
    ApplianceId, CommandId, Incarnation, IncarnationId, LogIndex, SessionId, SignInId, SiteId, TokenId, UserId,
};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::error::ErrorCode;
use serde::Serialize;

use super::replay::Seeds;
use crate::scene::{Scene, revocation};
use crate::support::packed::pack;

type Files = Vec<(&'static str, Vec<u8>)>;

pub(super) fn seeds() -> Vec<Seeds> {
    let scene = Scene::new();
    vec![
        ("feed", [feed(), random()].concat()),
        ("feed_frames", frames(&scene)),
        ("link", [link(), random()].concat()),
        ("registry", [registry(), random()].concat()),
        ("session", [session(), random()].concat()),
    ]
}

fn packed(message: &impl Serialize) -> Vec<u8> {
    pack(message).expect("packed")
}

/// Steps that nobody chose, the same each time.
fn random() -> Files {
    let steps = |mut seed: u64, length: usize| {
        let step = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed.to_be_bytes()[0]
        };
        (0..length).map(step).collect::<Vec<u8>>()
    };
    vec![
        ("random-1", steps(1, 4_000)),
        ("random-2", steps(2, 4_000)),
        ("random-3", steps(3, 2_000)),
        ("random-4", steps(4, 1_000)),
    ]
}

fn incarnation() -> Incarnation {
    Incarnation { epoch: 3, id: IncarnationId::from_random([4; 16]) }
}

fn subscribe() -> FromGateway {
    let position = Some(FeedPosition { incarnation: incarnation(), index: LogIndex(9) });
    FromGateway::Subscribe { versions: vec![1], gateway: ApplianceId::from_random([2; 16]), position, witness: false }
}

fn summary() -> SessionSummary {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", 90, 1);
    SessionSummary {
        session: SessionId::from_random([1; 16]),
        dn: "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN"),
        sid: SignInId::from_random([2; 16]),
        sign_in_idx: LogIndex(90),
        connect_seq: 1,
        proof: scene.proof(&alice, scene.gateway.id, 1),
        user_id: UserId::from_random([6; 16]),
        site: SiteId::from_random([3; 16]),
        gateway: ApplianceId::from_random([2; 16]),
        since: UnixMillis(1_800_000_000_000),
        client_address: "192.0.2.1:50000".to_owned(),
        tunnel_addresses: vec![[10, 9, 0, 1].into()],
        entitlements: vec![],
        device: serde_json::from_str(r#"{"os": {"type": "linux"}, "n": [1, -2, 0.5, null]}"#).expect("claims"),
        reasons: Default::default(),
        user: Default::default(),
        step_ups: Default::default(),
        refused_names: vec![],
        rules: 3,
        generation: 2,
    }
}

fn frames(scene: &Scene) -> Files {
    let revoked = |mode| FromController::Change {
        index: LogIndex(11),
        event: FeedEvent::RevocationAdded {
            revocation: revocation(11, RevocationScope::Token(TokenId::from_random([5; 16])), mode),
        },
    };
    let view = scene.view(10);
    let full = FromController::Full { position: view.position, part: 0, parts: 1, bytes: vec![0xc0; 300] };
    let bookmark = FromController::Bookmark { index: LogIndex(12), controller_time: UnixMillis(7), term: 2 };
    let ended = FromGateway::SessionEnded {
        session: SessionId::from_random([1; 16]),
        dn: summary().dn,
        code: ErrorCode::Revoked,
    };
    vec![
        ("view", packed(&view)),
        ("full", packed(&full)),
        ("cut", packed(&revoked(RevocationMode::Cut))),
        ("window", packed(&revoked(RevocationMode::RenewWindow { delay_seconds: 30, slices: 4 }))),
        (
            "site",
            packed(&FromController::Change {
                index: LogIndex(7),
                event: FeedEvent::SiteChanged { site: scene.site() },
            }),
        ),
        (
            "everyone",
            packed(&FromController::Change {
                index: LogIndex(8),
                event: FeedEvent::Reevaluate { scope: DnScope::Everyone },
            }),
        ),
        ("bookmark", packed(&bookmark)),
        ("subscribe", packed(&subscribe())),
        ("opened", packed(&FromGateway::SessionOpened { session: summary() })),
        ("ended", packed(&ended)),
        ("audit", packed(&FromGateway::Audit { seq: 1, records: vec!["{\"kind\":\"x\"}".to_owned()] })),
        (
            "renew",
            packed(&FromGateway::RenewCertificate {
                command_id: CommandId::from_random([6; 16]),
                csr: "AAAA".to_owned(),
            }),
        ),
        ("framed", [&[0, 0, 0, 4][..], &[0xc0; 4]].concat()),
        ("deep", [vec![0x91; 2_000], vec![0xc0]].concat()),
        ("long", vec![0xff; 8]),
    ]
}

/// A frame as a step of `link`.
fn arrives(frame: &FromGateway) -> Vec<u8> {
    let bytes = packed(frame);
    [&[0, u8::try_from(bytes.len()).expect("short")][..], &bytes].concat()
}

fn link() -> Files {
    let poll = |nonce| arrives(&FromGateway::Poll { nonce });
    let enforced = |index| arrives(&FromGateway::Enforced { index: LogIndex(index), failed: vec![] });
    vec![
        ("confirmed", [arrives(&subscribe()), poll(1), vec![5, 1, 4, 3], poll(2), vec![5, 0]].concat()),
        ("enforced", [arrives(&subscribe()), enforced(10), enforced(u64::MAX)].concat()),
        ("twice", [arrives(&subscribe()), arrives(&subscribe())].concat()),
        ("silent", [arrives(&subscribe()), vec![7, 255, 7, 255]].concat()),
    ]
}

fn feed() -> Files {
    // Dialled, connected, a full state at index 10.
    let begun = [0, 2, 6, 0, 2, 0, 0, 0];
    let then = |steps: &[&[u8]]| [&begun[..], &steps.concat()].concat();
    vec![
        ("changes", then(&[&[6, 2, 3], &[6, 2, 3], &[6, 3, 3, 0], &[6, 4, 1, 4]])),
        ("back", then(&[&[6, 2, 5], &[6, 2, 0]])),
        ("other-time", then(&[&[6, 3, 3, 15]])),
        ("twin", then(&[&[6, 0, 3, 0, 15, 0]])),
        ("newer", then(&[&[6, 0, 3, 15, 0, 0], &[6, 2, 3]])),
        ("silent", then(&[&[1, 255], &[1, 255], &[0, 2]])),
    ]
}

/// Steps of `registry`: a Client comes (who, indexes of both tokens, sign-in, ids, what for, connection).
fn admit(who: u8, idx: u8, connect_seq: u8) -> Vec<u8> {
    vec![0, who, idx, idx, 0, 0, 0, connect_seq]
}

fn registry() -> Files {
    let revoke_device = |who: u8| vec![5, who, 3, 0, 2, 0];
    vec![
        ("resumed", [admit(0, 3, 1), admit(0, 3, 2), admit(0, 3, 1)].concat()),
        ("revoked", [admit(0, 3, 1), revoke_device(0), admit(0, 3, 2), vec![8, 0], admit(0, 4, 3)].concat()),
        ("held", [admit(0, 3, 1), admit(2, 3, 1), vec![11, 0], admit(2, 3, 2), vec![12, 0], admit(2, 3, 3)].concat()),
        ("waits", [admit(1, 5, 1), revoke_device(1), vec![8, 2], vec![10, 60]].concat()),
        ("presented", [admit(0, 2, 1), vec![4, 0, 0, 3, 3, 0, 0, 0, 2], vec![4, 0, 0, 1, 1, 0, 0, 0, 2]].concat()),
        ("key-removed", [admit(0, 3, 1), vec![13, 1, 0], admit(0, 3, 2)].concat()),
        ("elsewhere", [admit(0, 3, 1), vec![14, 1, 0, 0, 5], admit(0, 3, 2), admit(0, 3, 6)].concat()),
        ("restored", [admit(0, 3, 1), vec![15, 0, 9, 200], admit(0, 3, 1), admit(0, 4, 2)].concat()),
        ("renewed", [admit(0, 2, 1), vec![5, 0, 0, 1, 2, 0, 7, 0, 1, 1, 1, 1]].concat()),
    ]
}

fn session() -> Files {
    // Installs are answered by 3 and a byte above 1; 1 and 2 are what the Client says.
    vec![
        ("welcomed", vec![3, 2]),
        ("healthy", vec![3, 2, 1, 0, 1, 7, 3, 2, 1, 0, 0, 8, 3, 2]),
        ("reason", [&[3, 2, 6, 1, 1, 1, 3, 6][..], b"ticket", &[3, 2, 5, 255, 5, 255]].concat()),
        ("tokens", vec![3, 2, 7, 1, 1, 3, 2, 8, 3, 2, 9, 0, 5, 255]),
        ("refused", vec![3, 1]),
        ("message", [&[3, 2, 0, 18][..], br#"{"type":"goodbye"}"#].concat()),
    ]
}
