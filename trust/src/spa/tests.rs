//! Knocks from end to end: sender and receiver with a clock of the test's own.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::spa::{KNOCK_FIRST_BYTE, KNOCK_LEN, Service};
use ringwall_protocol::time::UnixMillis;

mod sharing;

use super::wire_tcp::TCP_PROOF_LEN;
use super::*;
use crate::secret::{SecretKey, SystemRandom};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

fn here() -> Destination {
    Destination::of("192.0.2.1:443".parse::<SocketAddr>().expect("an address"))
}

fn secret() -> SecretKey {
    SecretKey::new([5; 32])
}

fn profile() -> KeyOwner {
    KeyOwner::Profile("staff".into())
}

fn receiver() -> Receiver {
    let started = NOW.minus(Duration::from_secs(3_600));
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, Some(HashSet::from([here()])), started);
    receiver.add(profile(), SpaKey::new(&secret()));
    receiver
}

fn request(now: UnixMillis) -> KnockRequest {
    KnockRequest { service: Service::Client, destination: here(), now }
}

fn packet(request: KnockRequest) -> [u8; KNOCK_LEN] {
    request.packet(&SpaKey::new(&secret()), 2, &SystemRandom)
}

fn entry(request: KnockRequest) -> Vec<u8> {
    request.alpn_entry(&SpaKey::new(&secret()), &SystemRandom)
}

#[test]
fn knock_works_once() {
    let mut receiver = receiver();
    let (packet, entry) = (packet(request(NOW)), entry(request(NOW)));
    let expected = Knock { owner: profile(), service: Service::Client, connections: 2, time: NOW };
    assert_eq!(receiver.packet(&packet, FROM, NOW), Ok(expected.clone()));
    assert_eq!(receiver.packet(&packet, FROM, NOW), Err(KnockError::Replayed));
    assert_eq!(receiver.alpn_entry(&entry, FROM, NOW), Ok(Knock { connections: 1, ..expected }));
    assert_eq!(receiver.alpn_entry(&entry, FROM, NOW), Err(KnockError::Replayed));
    assert_eq!(entry.len(), TCP_PROOF_LEN);
}

#[test]
fn a_used_knock_stays_used_when_keys_windows_and_destinations_change() {
    let mut receiver = receiver();
    let (packet, entry) = (packet(request(NOW)), entry(request(NOW)));
    receiver.packet(&packet, FROM, NOW).expect("accepted");
    receiver.alpn_entry(&entry, FROM, NOW).expect("accepted");
    receiver.remove(&profile());
    receiver.add(profile(), SpaKey::new(&secret()));
    assert_eq!(receiver.packet(&packet, FROM, NOW), Err(KnockError::Replayed));
    for seconds in [30, 3_600, 300] {
        receiver.configure(SpaWindow::new(seconds).expect("in range"), None);
        for at in [NOW, NOW.plus(Duration::from_secs(29)), NOW.minus(Duration::from_secs(29))] {
            // With another window the hint is another one's period; never is it accepted.
            assert!(receiver.packet(&packet, FROM, at).is_err(), "window {seconds}");
            assert!(receiver.alpn_entry(&entry, FROM, at).is_err(), "window {seconds}");
        }
    }
    assert_eq!(receiver.packet(&packet, FROM, NOW), Err(KnockError::Replayed));
}

#[test]
fn a_replay_is_refused_as_long_as_its_time_is_acceptable_and_when_the_clock_goes_back() {
    let mut receiver = receiver();
    let ahead = NOW.plus(Duration::from_secs(300));
    let from_the_future = packet(request(ahead));
    receiver.packet(&from_the_future, FROM, NOW).expect("accepted");
    for second in (0..=600).step_by(50) {
        let at = NOW.plus(Duration::from_secs(second));
        assert_eq!(receiver.packet(&from_the_future, FROM, at), Err(KnockError::Replayed), "after {second} s");
    }
    let later = NOW.plus(Duration::from_secs(5_000));
    receiver.packet(&packet(request(later)), FROM, later).expect("accepted");
    assert_eq!(receiver.packet(&from_the_future, FROM, NOW), Err(KnockError::BeforeStart));
}

#[test]
fn altered_knocks_are_refused_in_every_bit() {
    let mut receiver = receiver();
    let (packet, entry) = (packet(request(NOW)), entry(request(NOW)));
    for bit in 0..KNOCK_LEN * 8 {
        let mut altered = packet;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(receiver.packet(&altered, FROM, NOW).is_err(), "bit {bit}");
    }
    for bit in 0..entry.len() * 8 {
        let mut altered = entry.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(receiver.alpn_entry(&altered, FROM, NOW).is_err(), "bit {bit}");
    }
    receiver.packet(&packet, FROM, NOW).expect("the original is still unused");
    receiver.alpn_entry(&entry, FROM, NOW).expect("the original is still unused");
}

#[test]
fn expired_and_early_knocks_are_refused() {
    let mut receiver = receiver();
    let edge = Duration::from_secs(300);
    for (sent, fresh) in [
        (NOW.minus(edge), true),
        (NOW.plus(edge), true),
        (NOW.minus(edge + Duration::from_millis(1)), false),
        (NOW.plus(edge + Duration::from_millis(1)), false),
    ] {
        assert_eq!(receiver.packet(&packet(request(sent)), FROM, NOW).is_ok(), fresh, "{sent}");
        assert_eq!(receiver.alpn_entry(&entry(request(sent)), FROM, NOW).is_ok(), fresh, "{sent}");
    }
}

#[test]
fn a_knock_works_at_one_place_only() {
    let elsewhere = Destination::of("192.0.2.2:443".parse::<SocketAddr>().expect("an address"));
    let foreign = KnockRequest { destination: elsewhere, ..request(NOW) };
    let mut receiver = receiver();
    assert_eq!(receiver.packet(&packet(foreign), FROM, NOW), Err(KnockError::Destination));
    assert_eq!(receiver.alpn_entry(&entry(foreign), FROM, NOW), Err(KnockError::Destination));
    receiver.configure(SpaWindow::DEFAULT, None);
    assert!(receiver.packet(&packet(foreign), FROM, NOW).is_ok(), "unless destinations are not bound");
}

#[test]
fn a_key_that_was_removed_or_never_known_opens_nothing() {
    let mut receiver = receiver();
    let other = SpaKey::new(&SecretKey::new([6; 32]));
    let foreign = request(NOW).packet(&other, 1, &SystemRandom);
    assert_eq!(receiver.packet(&foreign, FROM, NOW), Err(KnockError::UnknownHint));
    receiver.add(KeyOwner::Device(UserId::from_random([1; 16]), DeviceId::from_random([2; 16])), other);
    assert!(receiver.packet(&foreign, FROM, NOW).is_ok());
    receiver.remove(&profile());
    assert_eq!(receiver.packet(&packet(request(NOW)), FROM, NOW), Err(KnockError::UnknownHint));
    assert_eq!(receiver.len(), 1);
}

#[test]
fn a_hint_borrowed_from_a_true_knock_does_not_help_a_forger() {
    let mut receiver = receiver();
    let mut forged = request(NOW).packet(&SpaKey::new(&SecretKey::new([6; 32])), 1, &SystemRandom);
    forged[1..9].copy_from_slice(&packet(request(NOW))[1..9]);
    assert_eq!(receiver.packet(&forged, FROM, NOW), Err(KnockError::Forged));
}

#[test]
fn a_profiles_key_does_not_open_the_peer_port() {
    let mut receiver = receiver();
    let wrong = KnockRequest { service: Service::Peer, ..request(NOW) };
    assert_eq!(receiver.packet(&packet(wrong), FROM, NOW), Err(KnockError::Service));
    receiver.add(KeyOwner::Peer(PeerRole::Feed), SpaKey::new(&SecretKey::new([9; 32])));
    let feed = SpaKey::new(&SecretKey::new([9; 32]));
    assert!(receiver.alpn_entry(&wrong.alpn_entry(&feed, &SystemRandom), FROM, NOW).is_ok());
}

#[test]
fn knocks_from_before_the_process_are_refused() {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, NOW);
    receiver.add(profile(), SpaKey::new(&secret()));
    let started = NOW.plus(START_MARGIN);
    let before = started.minus(Duration::from_millis(1));
    assert_eq!(receiver.packet(&packet(request(before)), FROM, started), Err(KnockError::BeforeStart));
    assert!(receiver.packet(&packet(request(started)), FROM, started).is_ok());
}

#[test]
fn junk_is_no_knock_and_a_dtls_record_never_looks_like_one() {
    let mut receiver = receiver();
    assert_eq!(receiver.packet(&[0xFF; KNOCK_LEN], FROM, NOW), Err(KnockError::UnknownHint));
    assert_eq!(receiver.packet(&[0xFF; KNOCK_LEN - 1], FROM, NOW), Err(KnockError::Shape));
    assert_eq!(receiver.packet(&[22; KNOCK_LEN], FROM, NOW), Err(KnockError::Shape));
    assert_eq!(receiver.alpn_entry(b"http/1.1", FROM, NOW), Err(KnockError::Shape));
    assert_eq!(receiver.alpn_entry(&[b'!'; TCP_PROOF_LEN], FROM, NOW), Err(KnockError::Shape));
    assert_eq!(receiver.alpn_entry(&[b'A'; TCP_PROOF_LEN], FROM, NOW), Err(KnockError::Shape), "version 0");
    for _ in 0..100 {
        assert!(packet(request(NOW))[0] >= KNOCK_FIRST_BYTE);
    }
}

#[test]
fn two_knocks_of_one_sender_share_a_hint_within_a_period_only() {
    let first = packet(request(NOW));
    assert_eq!(first[1..9], packet(request(NOW.plus(Duration::from_secs(1))))[1..9]);
    assert_ne!(first[1..9], packet(request(NOW.plus(Duration::from_secs(300))))[1..9]);
    assert_ne!(first[1..9], entry(request(NOW))[2..10], "the two forms have keys of their own");
}

#[test]
fn windows_are_bounded() {
    assert!(SpaWindow::new(29).is_err());
    assert!(SpaWindow::new(3_601).is_err());
    assert_eq!(SpaWindow::new(300), Ok(SpaWindow::DEFAULT));
}

#[test]
fn a_thousand_keys_cost_junk_one_look_up() {
    let mut receiver = receiver();
    for number in 0..1_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        receiver.add(KeyOwner::Profile(number.to_string().into()), SpaKey::new(&SecretKey::new(bytes)));
    }
    receiver.packet(&[0xFF; KNOCK_LEN], FROM, NOW).expect_err("junk"); // builds the table
    let start = Instant::now();
    for _ in 0..100_000 {
        assert_eq!(receiver.packet(&[0xFF; KNOCK_LEN], FROM, NOW), Err(KnockError::UnknownHint));
    }
    // One HMAC for each key would be some 30 s; a look-up is some 10 ms. The bound is wide for busy machines.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// A journal in memory, shared with the test.
#[derive(Clone, Default)]
struct Kept(std::sync::Arc<std::sync::Mutex<Vec<(Used, UnixMillis)>>>);

impl Journal for Kept {
    fn keep(&mut self, used: Used, time: UnixMillis, _now: UnixMillis) -> std::io::Result<()> {
        self.0.lock().expect("no panic").push((used, time));
        Ok(())
    }
}

struct Broken;

impl Journal for Broken {
    fn keep(&mut self, _used: Used, _time: UnixMillis, _now: UnixMillis) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_knock_from_the_future_is_not_accepted_again_by_the_next_process() {
    let kept = Kept::default();
    let mut before = receiver().with_journal(Box::new(kept.clone()), []);
    let ahead = NOW.plus(Duration::from_secs(60));
    let (packet, entry) = (packet(request(ahead)), entry(request(ahead)));
    before.packet(&packet, FROM, NOW).expect("accepted");
    before.alpn_entry(&entry, FROM, NOW).expect("accepted");
    let restarted = NOW.plus(Duration::from_secs(1));
    let mut forgetful = Receiver::new(SpaWindow::DEFAULT, None, restarted);
    forgetful.add(profile(), SpaKey::new(&secret()));
    assert!(forgetful.packet(&packet, FROM, restarted).is_ok(), "what the journal is there for");
    let used = kept.0.lock().expect("no panic").clone();
    assert_eq!(used.len(), 2);
    let mut after = Receiver::new(SpaWindow::DEFAULT, None, restarted).with_journal(Box::new(kept), used);
    after.add(profile(), SpaKey::new(&secret()));
    for second in 1..600 {
        let at = NOW.plus(Duration::from_secs(second));
        assert!(after.packet(&packet, FROM, at).is_err(), "after {second} s");
        assert!(after.alpn_entry(&entry, FROM, at).is_err(), "after {second} s");
    }
}

#[test]
fn a_knock_that_cannot_be_written_down_is_refused() {
    let mut receiver = receiver().with_journal(Box::new(Broken), []);
    let ahead = NOW.plus(Duration::from_secs(60));
    assert_eq!(receiver.packet(&packet(request(ahead)), FROM, NOW), Err(KnockError::Journal));
    assert!(receiver.packet(&packet(request(NOW)), FROM, NOW).is_ok(), "knocks of the present need no journal");
}

#[test]
fn a_sender_needs_not_know_the_window() {
    for seconds in [30, 300, 3_600] {
        let window = SpaWindow::new(seconds).expect("in range");
        let started = NOW.minus(Duration::from_secs(2 * 3_600));
        let mut receiver = Receiver::new(window, None, started);
        receiver.add(profile(), SpaKey::new(&secret()));
        for sent in [NOW.minus(window.span()), NOW, NOW.plus(window.span())] {
            assert!(receiver.packet(&packet(request(sent)), FROM, NOW).is_ok(), "window {seconds}, sent {sent}");
        }
    }
}
