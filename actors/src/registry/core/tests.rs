//! Admission, revocation and order, one property a test.

use std::time::Duration;

use ringwall_protocol::connection::ConnectionProof;
use ringwall_protocol::feed::{FeedEvent, members_digest};
use ringwall_protocol::id::{ApplianceId, IncarnationId, LogIndex, SessionId};
use ringwall_protocol::membership::KeyState;
use ringwall_protocol::name::DnScope;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope};
use ringwall_protocol::wire::error::ErrorCode;

use ringwall_trust::fixtures::TestClient;

use super::*;
use crate::registry::admission::Presentation;
use crate::registry::published::MAX_WAITERS;
use crate::scene::{Scene, SignedIn, device_scope, revocation};
use crate::support::entropy::CountingEntropy;

struct Stage {
    scene: Scene,
    core: RegistryCore,
    entropy: CountingEntropy,
    tickets: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Opened(SessionId),
    Resumed(SessionId),
    Refused(ErrorCode),
    Parked,
}

impl Stage {
    /// A Gateway at index 100 that holds its lease.
    fn current() -> Self {
        let mut stage = Self::fresh();
        let view = stage.scene.view(100);
        stage.core.full(view, stage.scene.at(0), &mut stage.entropy);
        stage.core.lease_renewed(stage.scene.start, Duration::from_secs(3_600), Duration::from_secs(3_600));
        stage
    }

    fn fresh() -> Self {
        let scene = Scene::new();
        let core = RegistryCore::new(scene.gateway.id);
        Self { scene, core, entropy: CountingEntropy::default(), tickets: 0 }
    }

    fn admit(&mut self, admission: Box<Admission>, seconds: u64) -> (Got, Vec<Effect>) {
        self.tickets += 1;
        let effects = self.core.admit(Ticket(self.tickets), admission, self.scene.at(seconds), &mut self.entropy);
        (got(&effects), effects)
    }

    fn open(&mut self, who: &SignedIn, connect_seq: u64, idx: u64) -> SessionId {
        let admission = self.scene.admission(who, connect_seq, idx);
        match self.admit(admission, 0).0 {
            Got::Opened(session) => session,
            other => panic!("not admitted: {other:?}"),
        }
    }

    fn change(&mut self, index: u64, event: FeedEvent) -> Vec<Effect> {
        self.core.change(LogIndex(index), event, self.scene.at(1), &mut self.entropy)
    }

    fn cut_scope(&mut self, index: u64, scope: RevocationScope) -> Vec<Effect> {
        self.change(index, FeedEvent::RevocationAdded { revocation: revocation(index, scope, RevocationMode::Cut) })
    }

    fn caught_up(&mut self, index: u64) -> Vec<Effect> {
        self.core.caught_up(LogIndex(index), self.scene.at(1), &mut self.entropy)
    }
}

fn got(effects: &[Effect]) -> Got {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Open { session, .. } => Some(Got::Opened(*session)),
        Effect::Resume { session, .. } => Some(Got::Resumed(*session)),
        Effect::Refuse { refusal, .. } => Some(Got::Refused(refusal.code)),
        _ => None,
    });
    found.unwrap_or(Got::Parked)
}

fn cuts(effects: &[Effect]) -> Vec<(SessionId, ErrorCode)> {
    let cut = |effect: &Effect| match effect {
        Effect::Cut { session, code, .. } => Some((*session, *code)),
        _ => None,
    };
    effects.iter().filter_map(cut).collect()
}

#[test]
fn nobody_is_admitted_before_the_lease_is_held() {
    let mut stage = Stage::fresh();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let admission = stage.scene.admission(&alice, 1, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::LeaseLapsed));
    let view = stage.scene.view(100);
    stage.core.full(view, stage.scene.at(0), &mut stage.entropy);
    let admission = stage.scene.admission(&alice, 1, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::LeaseLapsed));
    stage.core.lease_renewed(stage.scene.start, Duration::from_secs(15), Duration::from_secs(15));
    let admission = stage.scene.admission(&alice, 1, 100);
    assert!(matches!(stage.admit(admission, 14).0, Got::Opened(_)));
    let bob = stage.scene.sign_in("bob", 90, 2);
    let admission = stage.scene.admission(&bob, 1, 100);
    assert_eq!(stage.admit(admission, 15).0, Got::Refused(ErrorCode::LeaseLapsed));
}

#[test]
fn tokens_that_do_not_belong_together_are_refused() {
    let mut stage = Stage::current();
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 90, 2));
    let scene = &stage.scene;
    let (claims, entitlement) = (scene.claims(&alice, 100), scene.entitlement(&alice, 100, &[]));
    let mut wrong = vec![];
    // Bob's certificate and key with Alice's tokens: a stolen token.
    let mut stolen = scene.admission_with(&bob, 1, &scene.claims(&bob, 100), &scene.entitlement(&bob, 100, &[]));
    stolen.claims = scene.prove_claims(&claims);
    stolen.entitlement = scene.prove_entitlement(&entitlement);
    wrong.push(stolen);
    // Entitlements of another user, of another sign-in, for another Site, for newer claims.
    wrong.push(scene.admission_with(&alice, 1, &claims, &scene.entitlement(&bob, 100, &[])));
    let mut other = entitlement.clone();
    other.head.sid = ringwall_protocol::id::SignInId::from_random([99; 16]);
    wrong.push(scene.admission_with(&alice, 1, &claims, &other));
    let mut other = entitlement.clone();
    other.head.aud = uuid::Uuid::from_u128(7);
    wrong.push(scene.admission_with(&alice, 1, &claims, &other));
    let mut other = entitlement;
    other.claims_idx = LogIndex(101);
    wrong.push(scene.admission_with(&alice, 1, &claims, &other));
    for (at, admission) in wrong.into_iter().enumerate() {
        assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenMismatch), "case {at}");
    }
    assert!(stage.core.is_empty());
}

#[test]
fn address_outside_of_the_pools_or_held_by_another_device_is_refused() {
    let mut stage = Stage::current();
    let mut alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    let mut bob = stage.scene.sign_in("bob", 90, 2);
    bob.address = alice.address;
    let admission = stage.scene.admission(&bob, 1, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::AddressHeld));
    // Ended, but the kernel has not let go yet.
    let effects = stage.core.end(session, ErrorCode::ClientLeft, "left", stage.scene.start);
    assert_eq!(cuts(&effects), [(session, ErrorCode::ClientLeft)]);
    let admission = stage.scene.admission(&bob, 1, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::AddressHeld));
    let Effect::Cut { addresses, .. } = &effects[0] else { panic!("a cut") };
    stage.core.removed(session, *addresses);
    let admission = stage.scene.admission(&bob, 1, 100);
    assert!(matches!(stage.admit(admission, 0).0, Got::Opened(_)));
    alice.address = std::net::Ipv4Addr::new(10, 10, 0, 1);
    let admission = stage.scene.admission(&alice, 2, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::NoAddress));
}

#[test]
fn revocation_between_check_and_install_wins() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    // The session is registered, its rules may not be installed yet: the change finds it.
    let effects = stage.cut_scope(101, device_scope(&alice.client.subject.dn));
    assert_eq!(cuts(&effects), [(session, ErrorCode::Revoked)]);
    assert!(matches!(effects[0], Effect::Cut { cut_at: LogIndex(101), .. }));
    // The other way round: the check finds the change.
    let admission = stage.scene.admission(&alice, 2, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenRevoked));
}

#[test]
fn revoked_token_never_admits_again() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    stage.cut_scope(101, RevocationScope::Dn(DnScope::Everyone));
    stage.caught_up(101);
    for round in 0..5 {
        let admission = stage.scene.admission(&alice, round + 1, 100);
        assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenRevoked));
    }
    // What was checked after the revocation is good at once.
    let alice = stage.scene.sign_in("alice", 101, 1);
    let admission = stage.scene.admission(&alice, 1, 101);
    assert!(matches!(stage.admit(admission, 0).0, Got::Opened(_)));
}

#[test]
fn renewal_is_told_once_and_cut_when_it_takes_effect() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    let mut renew = revocation(101, RevocationScope::Dn(DnScope::Everyone), RevocationMode::RenewNow);
    renew.told = 1;
    let effects = stage.change(101, FeedEvent::RevocationAdded { revocation: renew });
    assert!(matches!(effects[0], Effect::Renew { session: told, .. } if told == session));
    let effects = stage.change(102, FeedEvent::Reevaluate { scope: DnScope::Everyone });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Renew { .. })));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reevaluate { session: told } if *told == session)));
    let advance = FeedEvent::RevocationAdvanced { revocation: LogIndex(101), told: 1, effective: 1 };
    assert_eq!(cuts(&stage.change(103, advance)), [(session, ErrorCode::Revoked)]);
}

#[test]
fn session_that_renewed_in_time_is_not_cut() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    let mut renew = revocation(101, RevocationScope::Dn(DnScope::Everyone), RevocationMode::RenewNow);
    renew.told = 1;
    stage.change(101, FeedEvent::RevocationAdded { revocation: renew });
    stage.caught_up(101);
    let scene = &stage.scene;
    let presentation = Box::new(Presentation {
        session,
        claims: Some(scene.prove_claims(&scene.claims(&alice, 101))),
        entitlement: Some(scene.prove_entitlement(&scene.entitlement(&alice, 101, &[]))),
    });
    let effects = stage.core.present(Ticket(9), presentation, stage.scene.at(2));
    assert!(matches!(effects[0], Effect::Accept { checked_at: LogIndex(101), .. }));
    let advance = FeedEvent::RevocationAdvanced { revocation: LogIndex(101), told: 1, effective: 1 };
    assert_eq!(cuts(&stage.change(102, advance)), []);
    assert!(stage.core.lives(session));
}

#[test]
fn removal_of_a_key_or_of_its_controller_voids_sessions() {
    for remove_controller in [false, true] {
        let mut stage = Stage::current();
        let alice = stage.scene.sign_in("alice", 90, 1);
        let session = stage.open(&alice, 1, 100);
        let event = if remove_controller {
            let mut controller = stage.scene.collective.controller_records().next().expect("one").clone();
            controller.state = ApplianceState::Removed;
            FeedEvent::ControllerChanged { controller }
        } else {
            let mut key = stage.scene.key_record();
            key.state = KeyState::Removed;
            FeedEvent::KeyChanged { key }
        };
        assert_eq!(cuts(&stage.change(101, event)), [(session, ErrorCode::Revoked)]);
        let admission = stage.scene.admission(&alice, 2, 100);
        assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenRevoked));
    }
}

#[test]
fn feed_behind_waits_then_admits() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 103, 1);
    let admission = stage.scene.admission(&alice, 1, 103);
    assert_eq!(stage.admit(admission, 0).0, Got::Parked);
    // One of several changes of index 103: others of it may still come.
    let effects = stage.change(103, FeedEvent::Reevaluate { scope: DnScope::Everyone });
    assert_eq!(got(&effects), Got::Parked);
    assert!(matches!(got(&stage.caught_up(103)), Got::Opened(_)));
}

#[test]
fn feed_behind_refuses_after_its_time_and_beyond_its_seats() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 103, 1);
    for seat in 0..MAX_WAITERS as u64 {
        let admission = stage.scene.admission(&alice, seat + 1, 103);
        assert_eq!(stage.admit(admission, 0).0, Got::Parked);
    }
    let admission = stage.scene.admission(&alice, 1_000, 103);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::FeedBehind));
    assert_eq!(stage.core.next_deadline(), Some(stage.scene.at(5).instant));
    assert!(stage.core.tick(stage.scene.at(4).instant).is_empty());
    assert_eq!(stage.core.tick(stage.scene.at(5).instant).len(), MAX_WAITERS);
}

#[test]
fn revocation_that_arrives_while_a_client_waits_refuses_it() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 102, 1);
    let admission = stage.scene.admission(&alice, 1, 102);
    assert_eq!(stage.admit(admission, 0).0, Got::Parked);
    stage.cut_scope(103, device_scope(&alice.client.subject.dn));
    // 102 is complete by the change at 103; the revocation was applied before the Client was looked at again.
    assert!(stage.core.is_empty());
}

#[test]
fn newer_connection_supersedes_and_order_does_not_depend_on_arrival() {
    for newer_first in [false, true] {
        let mut stage = Stage::current();
        let old = stage.scene.sign_in("alice", 90, 1);
        let new = SignedIn {
            client: stage.scene.collective.client_of(
                ringwall_protocol::id::NodeId(1),
                "alice",
                ringwall_trust::identity::KeyKind::P256,
            ),
            sid: ringwall_protocol::id::SignInId::from_random([2; 16]),
            sign_in: LogIndex(95),
            address: old.address,
        };
        // The same device with another key, after a new sign-in.
        let mut new = new;
        new.client.subject = old.client.subject.clone();
        let admit = |stage: &mut Stage, who: &SignedIn| {
            let mut admission = stage.scene.admission(who, 1, 100);
            admission.identity =
                ringwall_trust::identity::Leaf::parse(&old.client.own.chain[0]).expect("a leaf").identity;
            stage.admit(admission, 0)
        };
        if newer_first {
            assert!(matches!(admit(&mut stage, &new).0, Got::Opened(_)));
            assert_eq!(admit(&mut stage, &old).0, Got::Refused(ErrorCode::Superseded));
        } else {
            let Got::Opened(first) = admit(&mut stage, &old).0 else { panic!("not admitted") };
            let (got, effects) = admit(&mut stage, &new);
            assert!(matches!(got, Got::Opened(_)));
            assert_eq!(cuts(&effects), [(first, ErrorCode::Superseded)]);
        }
        assert_eq!(stage.core.len(), 1);
        let survivor = stage.core.sessions.values().next().expect("one").order;
        assert_eq!(survivor.sign_in, LogIndex(95));
    }
}

#[test]
fn same_sign_in_and_key_resumes_and_an_old_connection_is_refused() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 5, 100);
    let admission = stage.scene.admission(&alice, 6, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Resumed(session));
    for old in [5, 6] {
        let admission = stage.scene.admission(&alice, old, 100);
        assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::Superseded));
    }
    // Also after the session has ended: an old connection does not come back to life.
    stage.core.end(session, ErrorCode::ClientLeft, "left", stage.scene.start);
    let admission = stage.scene.admission(&alice, 6, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::Superseded));
}

#[test]
fn cloned_installation_that_flaps_is_held_off() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    stage.open(&alice, 1, 100);
    for seq in 2..=6 {
        let admission = stage.scene.admission(&alice, seq, 100);
        assert!(matches!(stage.admit(admission, seq).0, Got::Resumed(_)));
    }
    let admission = stage.scene.admission(&alice, 7, 100);
    let (got, effects) = stage.admit(admission, 7);
    assert_eq!(got, Got::Refused(ErrorCode::Flapping));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Audit { kind: "session_flapping", .. })));
    let admission = stage.scene.admission(&alice, 8, 100);
    assert_eq!(stage.admit(admission, 66).0, Got::Refused(ErrorCode::Flapping));
    let admission = stage.scene.admission(&alice, 9, 100);
    assert!(matches!(stage.admit(admission, 68).0, Got::Resumed(_)));
}

#[test]
fn claims_cannot_be_rolled_back() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 99);
    let present = |stage: &mut Stage, idx| {
        let claims = Some(stage.scene.prove_claims(&stage.scene.claims(&alice, idx)));
        let presentation = Box::new(Presentation { session, claims, entitlement: None });
        got(&stage.core.present(Ticket(1), presentation, stage.scene.at(1)))
    };
    assert_eq!(present(&mut stage, 98), Got::Refused(ErrorCode::TokenMismatch));
    assert_eq!(present(&mut stage, 100), Got::Parked, "accepted");
    assert_eq!(present(&mut stage, 99), Got::Refused(ErrorCode::TokenMismatch));
    let admission = stage.scene.admission(&alice, 2, 99);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenMismatch), "nor by coming back with them");
}

#[test]
fn entitlements_made_for_newer_claims_wait_for_them() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 99);
    let mut entitlement = stage.scene.entitlement(&alice, 100, &[]);
    entitlement.claims_idx = LogIndex(100);
    let entitlement = Some(stage.scene.prove_entitlement(&entitlement));
    let presentation = Box::new(Presentation { session, claims: None, entitlement });
    let effects = stage.core.present(Ticket(1), presentation, stage.scene.at(1));
    assert_eq!(got(&effects), Got::Refused(ErrorCode::TokenMismatch));
}

fn bound(who: &SignedIn, connect_seq: u64, gateway: ApplianceId, proof: ConnectionProof) -> FeedEvent {
    let dn = who.client.subject.dn.clone();
    FeedEvent::SessionBound { dn, gateway, sign_in_idx: who.sign_in, connect_seq, sid: who.sid, proof }
}

#[test]
fn a_connection_elsewhere_ends_no_session_without_the_clients_own_proof() {
    let mut stage = Stage::current();
    let (alice, mallory) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("mallory", 90, 2));
    let session = stage.open(&alice, 3, 100);
    let (me, other) = (stage.scene.gateway.id, ApplianceId::from_random([9; 16]));
    let mut foreign = stage.scene.proof(&mallory, other, u64::MAX);
    foreign.key = stage.scene.proof(&alice, other, 1).key;
    let as_alice =
        SignedIn { client: TestClient { subject: alice.client.subject.clone(), own: mallory.client.own }, ..alice };
    let proofs = [
        ("a proof of a lower number", stage.scene.proof(&alice, other, 2)),
        ("a proof for another Gateway", stage.scene.proof(&alice, me, u64::MAX)),
        ("another device's signature", foreign),
        ("another device's key", stage.scene.proof(&as_alice, other, u64::MAX)),
    ];
    for (nth, (what, proof)) in proofs.into_iter().enumerate() {
        let effects = stage.change(101 + nth as u64, bound(&alice, u64::MAX, other, proof));
        assert_eq!(cuts(&effects), [], "{what}");
        let audited = |effect: &Effect| matches!(effect, Effect::Audit { kind: "connection_not_proved", .. });
        assert!(effects.iter().any(audited), "{what}: {effects:?}");
    }
    let resumed = stage.admit(stage.scene.admission(&alice, 4, 100), 0).0;
    assert_eq!(resumed, Got::Resumed(session), "and none of them keeps the device out");
}

#[test]
fn a_client_proves_the_number_of_its_connection_to_this_gateway_now() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let (me, other) = (stage.scene.gateway.id, ApplianceId::from_random([9; 16]));
    for (what, gateway, seq) in [("another Gateway", other, 3), ("another number", me, 2)] {
        let mut admission = stage.scene.admission(&alice, 3, 100);
        admission.proof = stage.scene.proof(&alice, gateway, seq);
        assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenMismatch), "{what}");
    }
    // The tokens of the scene live for an hour, as long as a proof counts.
    let admission = stage.scene.admission(&alice, 3, 100);
    assert!(matches!(stage.admit(admission, 0).0, Got::Opened(_)));
}

#[test]
fn session_claimed_by_another_gateway_moves_away_and_stays_away() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 3, 100);
    let proof = |connect_seq, gateway| stage.scene.proof(&alice, gateway, connect_seq);
    let (me, other) = (stage.scene.gateway.id, ApplianceId::from_random([9; 16]));
    let proofs = [(9, me), (2, other), (4, other)].map(|(seq, gateway)| proof(seq, gateway));
    let [own, older, newer] = proofs;
    let bound = |connect_seq, gateway, proof| bound(&alice, connect_seq, gateway, proof);
    assert_eq!(cuts(&stage.change(101, bound(9, me, own))), [], "our own report");
    assert_eq!(cuts(&stage.change(102, bound(2, other, older))), [], "an older connection there");
    assert_eq!(cuts(&stage.change(103, bound(4, other, newer))), [(session, ErrorCode::MovedAway)]);
    let admission = stage.scene.admission(&alice, 4, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::MovedAway));
    let admission = stage.scene.admission(&alice, 5, 100);
    assert!(matches!(stage.admit(admission, 0).0, Got::Opened(_)));
}

#[test]
fn suspended_gateway_keeps_sessions_and_takes_no_new_ones() {
    let mut stage = Stage::current();
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 90, 2));
    let session = stage.open(&alice, 1, 100);
    let mut gateway = stage.scene.collective.gateway_records().next().expect("one").clone();
    gateway.state = ApplianceState::Suspended;
    assert_eq!(cuts(&stage.change(101, FeedEvent::GatewayChanged { gateway: gateway.clone() })), []);
    let admission = stage.scene.admission(&bob, 1, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::Suspended));
    let admission = stage.scene.admission(&alice, 2, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Resumed(session));
    gateway.state = ApplianceState::Removed;
    assert_eq!(cuts(&stage.change(102, FeedEvent::GatewayChanged { gateway })).len(), 1);
}

#[test]
fn new_incarnation_ends_every_session_and_an_older_one_changes_nothing() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    let known = stage.scene.collective.incarnation;
    let mut view = stage.scene.view(3);
    for (epoch, id) in [(known.epoch - 1, known.id), (known.epoch, IncarnationId::from_random([8; 16]))] {
        view.position.incarnation = ringwall_protocol::id::Incarnation { epoch, id };
        assert!(stage.core.full(view.clone(), stage.scene.at(1), &mut stage.entropy).is_empty());
    }
    view.position.incarnation.epoch = known.epoch + 1;
    let effects = stage.core.full(view, stage.scene.at(1), &mut stage.entropy);
    assert_eq!(cuts(&effects), [(session, ErrorCode::TokenRevoked)]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::EndLease)));
    assert_eq!(stage.core.complete(), LogIndex(3));
    // Tokens of the former incarnation are invalid in this one.
    let admission = stage.scene.admission(&alice, 2, 2);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::TokenRevoked));
}

#[test]
fn full_state_with_a_revocation_cuts_what_it_covers() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    let session = stage.open(&alice, 1, 100);
    let mut view = stage.scene.view(200);
    view.revocations.push(revocation(150, device_scope(&alice.client.subject.dn), RevocationMode::Cut));
    let effects = stage.core.full(view, stage.scene.at(1), &mut stage.entropy);
    assert_eq!(cuts(&effects), [(session, ErrorCode::Revoked)]);
    let cut = effects.iter().position(|effect| matches!(effect, Effect::Cut { .. })).expect("cut");
    let progress = effects.iter().position(|effect| matches!(effect, Effect::Progress(_))).expect("progress");
    assert!(cut < progress, "the removal is handed over before the progress that vouches for it");
}

#[test]
fn a_session_older_than_a_forgotten_revocation_is_cut() {
    let mut stage = Stage::current();
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 90, 2));
    let old = stage.open(&alice, 1, 95);
    stage.caught_up(110);
    let new = stage.open(&bob, 1, 110);
    let effects = stage.change(111, FeedEvent::RevocationForgotten { revocation: LogIndex(100) });
    assert_eq!(cuts(&effects), [(old, ErrorCode::Revoked)], "whether it was revoked is not known any more");
    assert!(stage.core.lives(new));
    assert_eq!(stage.admit(stage.scene.admission(&alice, 2, 95), 0).0, Got::Refused(ErrorCode::TokenRevoked));
    let mut view = stage.scene.view(120);
    view.forgotten_up_to = LogIndex(115);
    let effects = stage.core.full(view, stage.scene.at(0), &mut stage.entropy);
    assert_eq!(cuts(&effects), [(new, ErrorCode::Revoked)], "the full state says so as well");
}

#[test]
fn lease_is_not_renewed_while_the_feed_lags() {
    let mut stage = Stage::current();
    let alice = stage.scene.sign_in("alice", 90, 1);
    stage.open(&alice, 1, 100);
    stage.cut_scope(101, device_scope(&alice.client.subject.dn));
    let effects = stage.core.confirmed(LogIndex(101), stage.scene.start, stage.scene.at(1), &mut stage.entropy);
    // Progress up to the read index goes to the enforcer before the renewal that needs it.
    assert!(matches!(effects[0], Effect::Progress(LogIndex(101))));
    assert!(matches!(effects[1], Effect::RenewLease { read_index: LogIndex(101), .. }));
}

fn switches(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::SwitchFeed(_)))
}

fn members_of(view: &FeedView) -> String {
    members_digest(view.controllers.values(), view.keys.values())
}

#[test]
fn a_feed_that_keeps_something_from_the_gateway_is_left() {
    let mut stage = Stage::current();
    let members = members_of(stage.core.view().expect("a view"));
    let (start, second) = (stage.scene.start, Duration::from_secs(1));
    let witnessed = |stage: &mut Stage, index: u64, members: &str, after: Duration| {
        stage.core.witnessed(LogIndex(index), members.to_owned(), start + after, start + after)
    };
    assert!(!switches(&witnessed(&mut stage, 100, &members, second)), "both know the same");
    // The witness is ahead: the feed has a second to bring it.
    assert!(!switches(&witnessed(&mut stage, 105, &members, second * 2)));
    assert_eq!(stage.core.next_deadline(), Some(start + second * 3));
    assert!(!switches(&stage.caught_up(105)), "it came in time");
    assert!(!switches(&stage.core.tick(start + second * 4)));
    witnessed(&mut stage, 110, &members, second * 5);
    assert!(switches(&stage.core.tick(start + second * 6)), "it did not");
    // It claims to be as far, and knows other members: that is no change on its way.
    assert!(!switches(&witnessed(&mut stage, 105, "other", second * 7)));
    assert!(!switches(&witnessed(&mut stage, 105, &members, second * 8)), "once means nothing");
    assert!(!switches(&witnessed(&mut stage, 105, "other", second * 9)));
    assert!(switches(&witnessed(&mut stage, 105, "other", second * 10)));
}

#[test]
fn a_lease_that_wants_two_witnesses_counts_from_the_older_confirmation() {
    let mut stage = Stage::current();
    let mut site = stage.scene.site();
    site.witnesses = 2;
    stage.change(101, FeedEvent::SiteChanged { site });
    let members = members_of(stage.core.view().expect("a view"));
    let (start, second) = (stage.scene.start, Duration::from_secs(1));
    let renewals = |effects: &[Effect]| -> Vec<Instant> {
        let renewed = effects.iter().filter_map(|effect| match effect {
            Effect::RenewLease { sent_at, .. } => Some(*sent_at),
            _ => None,
        });
        renewed.collect()
    };
    let confirmed = |stage: &mut Stage, after: Duration| {
        let now = stage.scene.at(after.as_secs());
        stage.core.confirmed(LogIndex(101), start + after, now, &mut stage.entropy)
    };
    assert!(renewals(&confirmed(&mut stage, second)).is_empty(), "the feed's word alone does not count");
    let effects = stage.core.witnessed(LogIndex(101), members.clone(), start + second * 2, start + second * 2);
    assert_eq!(renewals(&effects), [start + second], "the older of both");
    assert_eq!(renewals(&confirmed(&mut stage, second * 6)), [start + second * 2]);
    let effects = stage.core.witnessed(LogIndex(101), "other".to_owned(), start + second * 7, start + second * 7);
    assert!(renewals(&effects).is_empty(), "a witness that knows other members confirms nothing");
    let effects = stage.core.witnessed(LogIndex(101), members, start + second * 8, start + second * 8);
    assert_eq!(renewals(&effects), [start + second * 6]);
}

#[test]
fn in_grace_only_known_devices_come_back() {
    let mut stage = Stage::current();
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 90, 2));
    let session = stage.open(&alice, 1, 100);
    stage.core.lease = LeaseState::default();
    stage.core.lease_renewed(stage.scene.start, Duration::from_secs(15), Duration::from_secs(3_600));
    stage.core.end(session, ErrorCode::ConnectionLost, "lost", stage.scene.at(20).instant);
    let admission = stage.scene.admission(&alice, 2, 100);
    assert!(matches!(stage.admit(admission, 30).0, Got::Opened(_)));
    let admission = stage.scene.admission(&bob, 1, 100);
    assert_eq!(stage.admit(admission, 30).0, Got::Refused(ErrorCode::LeaseLapsed));
}

#[test]
fn draining_ends_all_and_admits_nobody() {
    let mut stage = Stage::current();
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 103, 2));
    let session = stage.open(&alice, 1, 100);
    let admission = stage.scene.admission(&bob, 1, 103);
    assert_eq!(stage.admit(admission, 0).0, Got::Parked);
    let effects = stage.core.drain(stage.scene.start);
    assert_eq!(cuts(&effects), [(session, ErrorCode::ShuttingDown)]);
    assert_eq!(got(&effects), Got::Refused(ErrorCode::ShuttingDown));
    let admission = stage.scene.admission(&alice, 2, 100);
    assert_eq!(stage.admit(admission, 0).0, Got::Refused(ErrorCode::ShuttingDown));
}
