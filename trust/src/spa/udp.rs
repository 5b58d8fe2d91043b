//! The UDP packet: 128 bytes that look random.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use ringwall_protocol::spa::{KNOCK_FIRST_BYTE, KNOCK_LEN, Service};
use ringwall_protocol::time::UnixMillis;

use super::handle::{HANDLE_LEN, Handle};
use super::key::{OuterKeys, hint};
use super::{Destination, KnockRequest, SpaKey, VERSION, period_of};
use crate::secret::Random;

/// First byte and hint.
const HINTED: usize = 1 + 8;
/// With the handle: authenticated, not encrypted.
const HEAD: usize = HINTED + HANDLE_LEN;
/// Where the sealed part begins.
const SEALED: usize = HEAD + NONCE_LEN;
/// Bytes that are sealed.
const PLAIN: usize = 59;
const TAG: usize = 16;
/// Bits of the first byte that are random; the others keep it apart from a DTLS record.
const FIRST_RANDOM: u8 = !KNOCK_FIRST_BYTE;
/// Flag: two connections are asked for.
const TWO_CONNECTIONS: u8 = 1;

const _: () = assert!(SEALED + PLAIN + TAG == KNOCK_LEN);

/// What a sealed packet says.
pub(super) struct Opened {
    pub(super) service: Service,
    pub(super) connections: u8,
    pub(super) time: UnixMillis,
    pub(super) destination: Destination,
}

pub(super) fn seal(request: &KnockRequest, key: &SpaKey, connections: u8, random: &dyn Random) -> [u8; KNOCK_LEN] {
    let mut packet = [0; KNOCK_LEN];
    random.fill(&mut packet);
    packet[0] = KNOCK_FIRST_BYTE | (packet[0] & FIRST_RANDOM);
    packet[1..HINTED].copy_from_slice(&hint(&key.outer.udp_hint, period_of(request.now)));
    if let Some(handle) = &key.handle {
        let mask = key.outer.mask(&packet[HEAD..SEALED]);
        let place = packet[HINTED..HEAD].iter_mut();
        place.zip(handle.as_bytes()).zip(mask).for_each(|((to, byte), mask)| *to = byte ^ mask);
    }
    let (head, sealed) = packet.split_at_mut(SEALED);
    let (plain, tag) = sealed.split_at_mut(PLAIN);
    // What follows keeps the random bytes that are there.
    plain[..4].copy_from_slice(&[VERSION, request.service as u8, flags(connections), 0]);
    plain[4..12].copy_from_slice(&request.now.0.to_be_bytes());
    plain[12..20].copy_from_slice(&request.destination.0);
    let nonce = Nonce::try_assume_unique_for_key(&head[HEAD..]).expect("split at the nonce's length");
    let made = key.udp_seal.seal_in_place_separate_tag(nonce, Aad::from(&head[..HEAD]), plain);
    tag.copy_from_slice(made.expect("AES-GCM seals 59 bytes").as_ref());
    packet
}

/// The hint of something that has the length and first byte of a knock.
pub(super) fn hint_of(packet: &[u8]) -> Option<[u8; 8]> {
    if packet.len() != KNOCK_LEN || packet[0] < KNOCK_FIRST_BYTE {
        return None;
    }
    packet[1..HINTED].try_into().ok()
}

/// The handle of a packet of the right length, for a receiver whose keys have handles.
pub(super) fn handle_of(packet: &[u8], outer: &OuterKeys) -> Option<Handle> {
    let mut handle: [u8; HANDLE_LEN] = packet.get(HINTED..HEAD)?.try_into().ok()?;
    let mask = outer.mask(packet.get(HEAD..SEALED)?);
    handle.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    Some(Handle::from_bytes(handle))
}

/// Opens a packet of the right length.
pub(super) fn open(packet: &[u8], seal: &LessSafeKey) -> Option<Opened> {
    let mut packet = <[u8; KNOCK_LEN]>::try_from(packet).ok()?;
    let (head, sealed) = packet.split_at_mut(SEALED);
    let nonce = Nonce::try_assume_unique_for_key(&head[HEAD..]).ok()?;
    let plain = seal.open_in_place(nonce, Aad::from(&head[..HEAD]), sealed).ok()?;
    if plain[0] != VERSION || plain[2] & !TWO_CONNECTIONS != 0 || plain[3] != 0 {
        return None;
    }
    Some(Opened {
        service: service(plain[1])?,
        connections: 1 + (plain[2] & TWO_CONNECTIONS),
        time: UnixMillis(u64::from_be_bytes(plain[4..12].try_into().ok()?)),
        destination: Destination(plain[12..20].try_into().ok()?),
    })
}

/// The service with this number.
pub(super) const fn service(number: u8) -> Option<Service> {
    Some(match number {
        1 => Service::Client,
        2 => Service::Tunnel,
        3 => Service::Datagram,
        4 => Service::Peer,
        5 => Service::Admin,
        _ => return None,
    })
}

const fn flags(connections: u8) -> u8 {
    if connections >= 2 { TWO_CONNECTIONS } else { 0 }
}
