//! What holders of keys can do to each other: nothing. Keys of sessions at a Gateway, and floods with right keys (T48).

use ringwall_protocol::id::{ApplianceId, LogIndex};
use ringwall_protocol::name::{DnScope, SessionDn};
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};

use super::*;

fn gateway_key() -> SecretKey {
    SecretKey::new([9; 32])
}

fn gateway() -> ApplianceId {
    ApplianceId::from_random([3; 16])
}

fn dn(user: &str) -> SessionDn {
    format!("CN=4c07bc6757ea42ddb702c2d6c45419fc,CN={user},OU=local").parse().expect("a DN")
}

/// What the entitlement token of a user who signed in at `idx` holds.
fn in_token(user: &str, idx: u64) -> KnockSecret {
    let handle = Handle::new(&gateway_key(), &dn(user), LogIndex(idx), &SystemRandom);
    let text = KnockSecret::for_session(&gateway_key(), handle).expose_text();
    text.parse().expect("own text")
}

fn at_gateway(secret: &SecretKey) -> Receiver {
    let started = NOW.minus(Duration::from_secs(3_600));
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, Some(HashSet::from([here()])), started);
    receiver.replace_roots(Realm::Gateway(gateway()), [secret]);
    receiver
}

fn tunnel(now: UnixMillis) -> KnockRequest {
    KnockRequest { service: Service::Tunnel, ..request(now) }
}

fn knock(secret: &KnockSecret) -> [u8; KNOCK_LEN] {
    tunnel(NOW).packet(&SpaKey::of(secret), 1, &SystemRandom)
}

fn proof(secret: &KnockSecret) -> Vec<u8> {
    tunnel(NOW).alpn_entry(&SpaKey::of(secret), &SystemRandom)
}

#[test]
fn a_gateway_knows_the_key_of_every_token_without_a_list_of_them() {
    let mut receiver = at_gateway(&gateway_key());
    let (alice, bob) = (in_token("alice", 1), in_token("bob", 1));
    let of_alice = receiver.packet(&knock(&alice), FROM, NOW).expect("right").owner;
    assert_eq!(receiver.alpn_entry(&proof(&alice), FROM, NOW).expect("right").owner, of_alice);
    assert_eq!(receiver.packet(&knock(&in_token("alice", 2)), FROM, NOW).expect("right").owner, of_alice, "renewed");
    assert_ne!(receiver.packet(&knock(&bob), FROM, NOW).expect("right").owner, of_alice);
    assert_eq!(receiver.len(), 1);
    let mut other = at_gateway(&SecretKey::new([8; 32]));
    assert_eq!(other.packet(&knock(&alice), FROM, NOW), Err(KnockError::UnknownHint), "another Gateway's");
}

#[test]
fn a_knock_with_somebody_elses_handle_is_forged() {
    let mut receiver = at_gateway(&gateway_key());
    let own = knock(&in_token("alice", 1));
    for bit in 9 * 8..(9 + 32) * 8 {
        let mut altered = own;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(receiver.packet(&altered, FROM, NOW), Err(KnockError::Forged), "bit {bit}");
    }
    assert!(receiver.packet(&own, FROM, NOW).is_ok(), "the original is still unused");
}

#[test]
fn nothing_on_the_wire_tells_two_devices_apart_or_one_again() {
    let (alice, bob) = (in_token("alice", 1), in_token("bob", 1));
    let handle = |packet: &[u8; KNOCK_LEN]| -> [u8; 32] { packet[9..41].try_into().expect("32 bytes") };
    let seen: HashSet<[u8; 32]> = (0..100).flat_map(|_| [handle(&knock(&alice)), handle(&knock(&bob))]).collect();
    assert_eq!(seen.len(), 200);
    assert_eq!(knock(&alice)[1..9], knock(&bob)[1..9], "the hint is the Gateway's");
}

#[test]
fn a_device_that_was_cut_off_is_refused_alone_until_it_signs_in_again() {
    let cutoffs = std::sync::Arc::new(std::sync::Mutex::new(HandleCutoffs::default()));
    let mut receiver = at_gateway(&gateway_key()).with_cutoffs(std::sync::Arc::clone(&cutoffs));
    let (alice, bob) = (in_token("alice", 50), in_token("bob", 50));
    assert!(receiver.packet(&knock(&alice), FROM, NOW).is_ok());
    cutoffs.lock().expect("no panic").add(&Revocation {
        index: LogIndex(100),
        scope: RevocationScope::Dn(DnScope::Device(dn("alice"))),
        kinds: TokenKind::ALL.into(),
        site: None,
        mode: RevocationMode::Cut,
        reason: String::new(),
        at: NOW,
        told: 1,
        effective: 1,
    });
    assert_eq!(receiver.packet(&knock(&alice), FROM, NOW), Err(KnockError::Revoked));
    assert_eq!(receiver.alpn_entry(&proof(&alice), FROM, NOW), Err(KnockError::Revoked));
    assert!(receiver.packet(&knock(&bob), FROM, NOW).is_ok());
    assert!(receiver.packet(&knock(&in_token("alice", 101)), FROM, NOW).is_ok(), "signed in again");
}

#[test]
fn right_knocks_of_one_device_from_everywhere_leave_the_others_theirs() {
    let mut receiver = at_gateway(&gateway_key());
    let (flooder, other) = (SpaKey::of(&in_token("mallory", 1)), in_token("alice", 1));
    let mut accepted = 0;
    for n in 0..5_000_u32 {
        let packet = tunnel(NOW).packet(&flooder, 1, &SystemRandom);
        accepted += usize::from(receiver.packet(&packet, Ipv4Addr::from(n).into(), NOW).is_ok());
    }
    assert_eq!(accepted, 40, "one device's share of a second, whatever sources it writes");
    assert!(receiver.packet(&knock(&other), FROM, NOW).is_ok());
    assert!(receiver.alpn_entry(&proof(&other), FROM, NOW).is_ok());
}

#[test]
fn a_captured_knock_sent_again_spends_nothing() {
    let mut receiver = receiver();
    let captured = packet(request(NOW));
    receiver.packet(&captured, FROM, NOW).expect("right");
    for _ in 0..5_000 {
        assert_eq!(receiver.packet(&captured, FROM, NOW), Err(KnockError::Replayed));
    }
    assert!(receiver.packet(&packet(request(NOW)), FROM, NOW).is_ok(), "its source and its key have the rest");
}

#[test]
fn an_administrators_key_opens_the_admin_port_and_nothing_else_until_he_is_blocked() {
    let root = SecretKey::new([7; 32]);
    let cutoffs = std::sync::Arc::new(std::sync::Mutex::new(HandleCutoffs::default()));
    let mut receiver = receiver().with_cutoffs(std::sync::Arc::clone(&cutoffs));
    receiver.add_root(Realm::Administrators, &root);
    let own = KnockSecret::for_session(&root, Handle::new(&root, &dn("root"), LogIndex(1), &SystemRandom));
    let mut ask = |service| {
        let asked = KnockRequest { service, ..request(NOW) };
        receiver.packet(&asked.packet(&SpaKey::of(&own), 1, &SystemRandom), FROM, NOW)
    };
    assert!(ask(Service::Admin).is_ok());
    assert_eq!(ask(Service::Client), Err(KnockError::Service));
    assert_eq!(ask(Service::Peer), Err(KnockError::Service));
    cutoffs.lock().expect("no panic").block([&dn("root").user]);
    assert_eq!(ask(Service::Admin), Err(KnockError::Revoked));
}
