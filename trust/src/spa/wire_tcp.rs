//! The TCP proof: one ALPN entry.

use aws_lc_rs::hmac;
use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;
use subtle::ConstantTimeEq;

use super::handle::{HANDLE_LEN, Handle};
use super::key::{OuterKeys, hint};
use super::{Destination, KnockRequest, SpaKey, VERSION, period_of};
use crate::secret::Random;

/// Version, service and hint.
const HINTED: usize = 1 + 1 + 8;
const TIMED: usize = HINTED + HANDLE_LEN;
/// Where the nonce begins, behind time and destination.
const NONCE_AT: usize = TIMED + 8 + 8;
const NONCE: usize = 13;
/// Bytes under the MAC.
const CLAIMED: usize = NONCE_AT + NONCE;
const MAC: usize = 16;
const PROOF: usize = CLAIMED + MAC;
/// Bytes of the ALPN entry: base64url of 87 bytes; an entry may have 255.
pub(crate) const TCP_PROOF_LEN: usize = PROOF / 3 * 4;

const _: () = assert!(PROOF.is_multiple_of(3) && TCP_PROOF_LEN <= 255);

/// A proof that has the right shape; nothing is proved.
pub(super) struct Claimed {
    pub(super) service: Service,
    pub(super) hint: [u8; 8],
    pub(super) time: UnixMillis,
    pub(super) destination: Destination,
    bytes: [u8; PROOF],
}

pub(super) fn prove(request: &KnockRequest, key: &SpaKey, random: &dyn Random) -> Vec<u8> {
    let nonce = random.array::<NONCE>();
    let mut proof = Vec::with_capacity(PROOF);
    proof.extend([VERSION, request.service as u8]);
    proof.extend(hint(&key.outer.tcp_hint, period_of(request.now)));
    match &key.handle {
        Some(handle) => {
            let mask = key.outer.mask(&nonce);
            proof.extend(handle.as_bytes().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
        None => proof.extend(random.array::<HANDLE_LEN>()),
    }
    proof.extend(request.now.0.to_be_bytes());
    proof.extend(request.destination.0);
    proof.extend(nonce);
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
        hint: bytes[2..HINTED].try_into().ok()?,
        time: UnixMillis(u64::from_be_bytes(bytes[TIMED..TIMED + 8].try_into().ok()?)),
        destination: Destination(bytes[TIMED + 8..NONCE_AT].try_into().ok()?),
        bytes,
    })
}

impl Claimed {
    /// The handle, for a receiver whose keys have handles.
    pub(super) fn handle(&self, outer: &OuterKeys) -> Handle {
        let mut handle: [u8; HANDLE_LEN] = self.bytes[HINTED..TIMED].try_into().expect("cut at the handle's length");
        let mask = outer.mask(&self.bytes[NONCE_AT..CLAIMED]);
        handle.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        Handle::from_bytes(handle)
    }

    /// Whether the MAC is the key's.
    pub(super) fn is_proved(&self, key: &hmac::Key) -> bool {
        let (said, mac) = self.bytes.split_at(CLAIMED);
        let tag = hmac::sign(key, said);
        tag.as_ref()[..MAC].ct_eq(mac).into()
    }
}
