//! The TCP proof: one ALPN entry.

use aws_lc_rs::hmac;
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use subtle::ConstantTimeEq;

use super::key::hint;
use super::{Destination, KnockRequest, SpaKey, VERSION, period_of};
use crate::secret::Random;

/// Bytes under the MAC: version, service, hint, time, destination, nonce.
const CLAIMED: usize = 1 + 1 + 8 + 8 + 8 + 12;
const MAC: usize = 16;
const PROOF: usize = CLAIMED + MAC;
/// Bytes of the ALPN entry: base64url of 54 bytes; an entry may have 255.
pub(crate) const TCP_PROOF_LEN: usize = PROOF / 3 * 4;

const _: () = assert!(PROOF.is_multiple_of(3));

/// A proof that has the right shape; nothing is proved.
pub(super) struct Claimed {
    pub(super) service: Service,
    pub(super) hint: [u8; 8],
    pub(super) time: UnixMillis,
    pub(super) destination: Destination,
    bytes: [u8; PROOF],
}

pub(super) fn prove(request: &KnockRequest, key: &SpaKey, random: &dyn Random) -> Vec<u8> {
    let mut proof = Vec::with_capacity(PROOF);
    proof.extend([VERSION, request.service as u8]);
    proof.extend(hint(&key.tcp_hint, period_of(request.now)));
    proof.extend(request.now.0.to_be_bytes());
    proof.extend(request.destination.0);
    proof.extend(random.array::<12>());
    let tag = hmac::sign(&key.tcp_mac, &proof);
    proof.extend(&tag.as_ref()[..MAC]);
    data_encoding::BASE64URL_NOPAD.encode(&proof).into_bytes()
}

/// Reads the shape of a proof.
pub(super) fn parse(entry: &[u8]) -> Option<Claimed> {
    if entry.len() != TCP_PROOF_LEN {
        return None;
    }
    let mut bytes = [0; PROOF];
    data_encoding::BASE64URL_NOPAD.decode_mut(entry, &mut bytes).ok()?;
    if bytes[0] != VERSION {
        return None;
    }
    Some(Claimed {
        service: super::udp::service(bytes[1])?,
        hint: bytes[2..10].try_into().ok()?,
        time: UnixMillis(u64::from_be_bytes(bytes[10..18].try_into().ok()?)),
        destination: Destination(bytes[18..26].try_into().ok()?),
        bytes,
    })
}

/// Whether the MAC is the key's.
pub(super) fn is_proved(claimed: &Claimed, key: &SpaKey) -> bool {
    let (said, mac) = claimed.bytes.split_at(CLAIMED);
    let tag = hmac::sign(&key.tcp_mac, said);
    tag.as_ref()[..MAC].ct_eq(mac).into()
}
