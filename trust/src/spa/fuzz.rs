//! Knocks of anybody, and the file in which used ones are kept.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use ringwall_protocol::id::{ApplianceId, DeviceId, LogIndex, UserId};
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;

use super::budget::Form;
use super::{
    Destination, Handle, KeyOwner, Knock, KnockError, KnockRequest, KnockSecret, PeerRole, Realm, Receiver,
    START_MARGIN, SessionTag, SpaKey, SpaWindow, journal_file,
};
use crate::fuzz::Fixed;
use crate::fuzz::choices::Choices;
use crate::secret::SecretKey;

/// The receiver's clock, and when its process began.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const STARTED: UnixMillis = UnixMillis(NOW.0 - 200_000);
const SERVICES: [Service; 5] = [Service::Client, Service::Tunnel, Service::Datagram, Service::Peer, Service::Admin];

/// Keys that the receiver holds, one that it does not, and one of a session.
static KEYS: LazyLock<[SpaKey; 6]> = LazyLock::new(|| {
    std::array::from_fn(|number| match number {
        5 => SpaKey::of(&KnockSecret::for_session(&root(), handle())),
        _ => SpaKey::new(&SecretKey::new([number as u8 + 5; 32])),
    })
});

/// From which this Gateway's sessions have their keys.
const fn root() -> SecretKey {
    SecretKey::new([77; 32])
}

const fn gateway() -> ApplianceId {
    ApplianceId::from_random([3; 16])
}

fn handle() -> Handle {
    let dn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
    Handle::new(&root(), &dn, LogIndex(90), &Fixed(9))
}

fn owners() -> [KeyOwner; 4] {
    [
        KeyOwner::Profile("staff".into()),
        KeyOwner::Device(UserId::from_random([1; 16]), DeviceId::from_random([2; 16])),
        KeyOwner::Administrator(SessionTag([3; 8])),
        KeyOwner::Peer(PeerRole::Join),
    ]
}

/// Where it can be dialled, and another place.
pub(crate) fn places() -> [SocketAddr; 2] {
    [SocketAddr::from(([192, 0, 2, 1], 443)), SocketAddr::from(([192, 0, 2, 2], 443))]
}

/// Where knocks come from.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A receiver that has judged nothing.
pub(crate) fn receiver() -> Receiver {
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, Some([Destination::of(places()[0])].into()), STARTED);
    for (number, owner) in owners().into_iter().enumerate() {
        receiver.add(owner, SpaKey::new(&SecretKey::new([number as u8 + 5; 32])));
    }
    receiver.add_root(Realm::Gateway(gateway()), &root());
    receiver
}

/// A first byte, then: bytes as a packet or as an ALPN entry; or what to make a knock of, and what to change in it.
#[must_use]
pub fn knock(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    match choices.below(4) {
        0 => judged_twice(choices.rest(), Form::Packet).is_ok(),
        1 => judged_twice(choices.rest(), Form::Proof).is_ok(),
        form => made(&mut choices, if form == 2 { Form::Packet } else { Form::Proof }),
    }
}

/// What a receiver says of bytes. The second time it never accepts them.
fn judged_twice(bytes: &[u8], form: Form) -> Result<Knock, KnockError> {
    let mut receiver = receiver();
    let first = judged(&mut receiver, bytes, form);
    if let Ok(knock) = &first {
        assert_eq!(judged(&mut receiver, bytes, form), Err(KnockError::Replayed));
        assert!((1..=2).contains(&knock.connections) && knock.owner.may_ask_for(knock.service), "{knock:?}");
        assert!(knock.time >= STARTED.plus(START_MARGIN), "{knock:?}");
    }
    first
}

fn judged(receiver: &mut Receiver, bytes: &[u8], form: Form) -> Result<Knock, KnockError> {
    match form {
        Form::Packet => receiver.packet(bytes, SOURCE, NOW),
        Form::Proof => receiver.alpn_entry(bytes, SOURCE, NOW),
    }
}

/// A knock that was made with a key: accepted exactly if nothing in it is wrong and nothing was changed.
fn made(choices: &mut Choices<'_>, form: Form) -> bool {
    let (key, place) = (usize::from(choices.below(6)), usize::from(choices.below(2)));
    let service = SERVICES[usize::from(choices.below(5))];
    let seconds = i64::from(choices.byte()) * 3 - 384;
    let span = Duration::from_secs(seconds.unsigned_abs());
    let now = if seconds < 0 { NOW.minus(span) } else { NOW.plus(span) };
    let request = KnockRequest { service, destination: Destination::of(places()[place]), now };
    let random = Fixed(choices.byte());
    let connections = 1 + choices.below(2);
    let mut bytes = match form {
        Form::Packet => request.packet(&KEYS[key], connections, &random).to_vec(),
        Form::Proof => request.alpn_entry(&KEYS[key], &random),
    };
    let whole = bytes.clone();
    while !choices.is_over() {
        let (at, change) = (usize::from(choices.byte()), choices.byte());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= change;
        }
    }
    let sound = bytes == whole
        && place == 0
        && match key {
            5 => matches!(service, Service::Tunnel | Service::Datagram),
            _ => owners().get(key).is_some_and(|owner| owner.may_ask_for(service)),
        }
        && now >= NOW.minus(SpaWindow::DEFAULT.span())
        && now <= NOW.plus(SpaWindow::DEFAULT.span())
        && now >= STARTED.plus(START_MARGIN);
    let judged = judged_twice(&bytes, form);
    assert_eq!(judged.is_ok(), sound, "{request:?} with key {key}: {judged:?}");
    if let Ok(knock) = judged {
        let bought = if form == Form::Packet { connections } else { 1 };
        assert_eq!((knock.service, knock.time, knock.connections), (service, now, bought));
    }
    sound
}

/// The file of used knocks.
#[must_use]
pub fn knock_journal(bytes: &[u8]) -> bool {
    let Some(kept) = journal_file::parse(bytes) else { return false };
    let written = journal_file::encode(&kept);
    assert!(bytes.starts_with(&written), "what is read is what stands there");
    assert!(bytes.len() - written.len() < journal_file::RECORD, "only a torn record is disregarded");
    let mut receiver = Receiver::new(SpaWindow::DEFAULT, None, STARTED);
    let ahead = kept.iter().filter(|(_, time)| *time >= NOW).count();
    receiver = receiver.with_journal(Box::new(Nowhere), kept);
    assert!(receiver.is_empty());
    ahead > 0
}

/// A journal that keeps nothing.
struct Nowhere;

impl super::Journal for Nowhere {
    fn keep(&mut self, _: super::Used, _: UnixMillis, _: UnixMillis) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}
