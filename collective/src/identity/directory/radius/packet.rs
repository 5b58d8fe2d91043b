//! RADIUS packets (RFC 2865), with a Message-Authenticator in both directions (RFC 2869 §5.14; without one, somebody on
//! the way can turn a rejection into an acceptance: CVE-2024-3596). Pure: no socket, no clock, no randomness.

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use ringwall_protocol::object::identity_provider::radius::RadiusProtocol;
use zeroize::Zeroizing;

/// Longest packet (RFC 2865 §3).
pub(crate) const MAX_PACKET: usize = 4096;
/// Header: code, identifier, length, authenticator.
const HEADER: usize = 20;
/// Longest password that can be hidden (RFC 2865 §5.2).
pub(crate) const MAX_PASSWORD: usize = 128;
/// Longest value of an attribute.
const MAX_VALUE: usize = 253;

/// Numbers of attributes (RFC 2865 §5, RFC 2869 §5).
pub(crate) mod attribute {
    /// Name of the user.
    pub(crate) const USER_NAME: u8 = 1;
    /// Hidden password.
    pub(crate) const USER_PASSWORD: u8 = 2;
    /// Answer to a CHAP challenge.
    pub(crate) const CHAP_PASSWORD: u8 = 3;
    /// What kind of service is wanted.
    pub(crate) const SERVICE_TYPE: u8 = 6;
    /// Name of a filter, often of a group.
    pub(crate) const FILTER_ID: u8 = 11;
    /// Text for the user.
    pub(crate) const REPLY_MESSAGE: u8 = 18;
    /// What the server needs again with the answer.
    pub(crate) const STATE: u8 = 24;
    /// Class of the user.
    pub(crate) const CLASS: u8 = 25;
    /// Who asks.
    pub(crate) const NAS_IDENTIFIER: u8 = 32;
    /// CHAP challenge.
    pub(crate) const CHAP_CHALLENGE: u8 = 60;
    /// Whether the answer to a challenge may be shown.
    pub(crate) const PROMPT: u8 = 76;
    /// HMAC over the packet.
    pub(crate) const MESSAGE_AUTHENTICATOR: u8 = 80;
}

/// Codes of packets.
const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCESS_CHALLENGE: u8 = 11;

/// Why bytes are no answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    /// Lengths do not fit.
    #[error("no RADIUS packet")]
    Malformed,
    /// It answers another request.
    #[error("an answer to another request")]
    Stranger,
    /// It has no Message-Authenticator, or several.
    #[error("an answer without Message-Authenticator; the server must send one (CVE-2024-3596)")]
    Unauthenticated,
    /// It was not made with the shared secret for this request.
    #[error("an answer that the shared secret did not make")]
    Forged,
}

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name, password or state is too long for RADIUS")]
pub(crate) struct TooLong;

/// A request that was made, with what its answer is checked against. No `Debug`: it holds a hidden password.
pub(crate) struct Request {
    bytes: Zeroizing<Vec<u8>>,
    pub(super) identifier: u8,
    pub(super) authenticator: [u8; 16],
}

/// What a request asks.
pub(crate) struct Asked<'a> {
    /// The user's name.
    pub(crate) name: &'a str,
    /// Password, code or answer.
    pub(crate) password: &'a str,
    /// What the server gave with its challenge.
    pub(crate) state: Option<&'a [u8]>,
    /// How the password travels.
    pub(crate) protocol: RadiusProtocol,
}

/// Random values of one request.
pub(crate) struct Random {
    /// Of the packet.
    pub(crate) identifier: u8,
    /// Of the packet; also the CHAP challenge.
    pub(crate) authenticator: [u8; 16],
    /// Of the CHAP answer.
    pub(crate) chap: u8,
}

/// An authentic answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// What the server decided.
    pub(crate) decision: Decision,
    /// Attributes in order.
    pub(crate) attributes: Vec<(u8, Vec<u8>)>,
}

/// What a server decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The user is proved.
    Accept,
    /// He is not.
    Reject,
    /// The server asks for more.
    Challenge,
}

impl Request {
    /// An Access-Request.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(crate) fn new(asked: &Asked<'_>, secret: &[u8], random: &Random) -> Result<Self, TooLong> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend([ACCESS_REQUEST, random.identifier, 0, 0]);
        bytes.extend(random.authenticator);
        // First of all, as the draft against CVE-2024-3596 wants it.
        put(&mut bytes, attribute::MESSAGE_AUTHENTICATOR, &[0; 16])?;
        put(&mut bytes, attribute::USER_NAME, asked.name.as_bytes())?;
        match asked.protocol {
            RadiusProtocol::Pap => {
                put(&mut bytes, attribute::USER_PASSWORD, &hide(asked.password, secret, &random.authenticator)?)?;
            }
            RadiusProtocol::Chap => {
                let digest = chap(random.chap, asked.password, &random.authenticator);
                let mut answer = [random.chap; 17];
                answer[1..].copy_from_slice(&digest);
                put(&mut bytes, attribute::CHAP_PASSWORD, &answer)?;
                put(&mut bytes, attribute::CHAP_CHALLENGE, &random.authenticator)?;
            }
        }
        // 8: authenticate only, no session is to be accounted for.
        put(&mut bytes, attribute::SERVICE_TYPE, &8_u32.to_be_bytes())?;
        put(&mut bytes, attribute::NAS_IDENTIFIER, b"ringwall")?;
        if let Some(state) = asked.state {
            put(&mut bytes, attribute::STATE, state)?;
        }
        let length = u16::try_from(bytes.len()).map_err(|_| TooLong)?;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let signature = signature(secret, &bytes);
        bytes[HEADER + 2..HEADER + 18].copy_from_slice(&signature);
        Ok(Self { bytes, identifier: random.identifier, authenticator: random.authenticator })
    }

    /// What is sent; the same bytes each time (RFC 5080 §2.2.1).
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads an answer to this request.
    ///
    /// # Errors
    /// [`PacketError`]: whatever is wrong, the answer does not count, and a better one may still come.
    pub(crate) fn response(&self, bytes: &[u8], secret: &[u8]) -> Result<Response, PacketError> {
        let (packet, attributes) = split(bytes)?;
        if packet[1] != self.identifier {
            return Err(PacketError::Stranger);
        }
        let decision = match packet[0] {
            ACCESS_ACCEPT => Decision::Accept,
            ACCESS_REJECT => Decision::Reject,
            ACCESS_CHALLENGE => Decision::Challenge,
            _ => return Err(PacketError::Stranger),
        };
        let mut hash = Md5::new();
        hash.update(&packet[..4]);
        hash.update(self.authenticator);
        hash.update(&packet[HEADER..]);
        hash.update(secret);
        if !same(&hash.finalize(), &packet[4..HEADER]) {
            return Err(PacketError::Forged);
        }
        let mut signed = attributes.iter().filter(|one| one.kind == attribute::MESSAGE_AUTHENTICATOR);
        let (Some(one), None) = (signed.next(), signed.next()) else { return Err(PacketError::Unauthenticated) };
        if one.length != 16 {
            return Err(PacketError::Unauthenticated);
        }
        let mut cleared = packet.to_vec();
        cleared[4..HEADER].copy_from_slice(&self.authenticator);
        cleared[one.at..one.at + 16].fill(0);
        if !same(&signature(secret, &cleared), &packet[one.at..one.at + 16]) {
            return Err(PacketError::Forged);
        }
        let attributes =
            attributes.iter().map(|one| (one.kind, packet[one.at..one.at + one.length].to_vec())).collect();
        Ok(Response { decision, attributes })
    }
}

impl Response {
    /// Values of an attribute.
    pub(crate) fn values(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.attributes.iter().filter(move |(known, _)| *known == kind).map(|(_, value)| value.as_slice())
    }

    /// What the user is to read, as a screen may show it.
    #[must_use]
    pub(crate) fn message(&self) -> String {
        let texts: Vec<_> = self.values(attribute::REPLY_MESSAGE).map(String::from_utf8_lossy).collect();
        texts.join(" ").chars().filter(|c| !c.is_control()).take(512).collect()
    }
}

/// Where an attribute's value lies.
struct Placed {
    kind: u8,
    at: usize,
    length: usize,
}

/// The packet without what follows it, and its attributes.
fn split(bytes: &[u8]) -> Result<(&[u8], Vec<Placed>), PacketError> {
    let length = bytes.get(2..4).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    let length = length.filter(|length| (HEADER..=MAX_PACKET).contains(length)).ok_or(PacketError::Malformed)?;
    let packet = bytes.get(..length).ok_or(PacketError::Malformed)?;
    let mut attributes = Vec::new();
    let mut at = HEADER;
    while at < length {
        let [kind, size] = packet.get(at..at + 2).and_then(|two| two.try_into().ok()).ok_or(PacketError::Malformed)?;
        let size = usize::from(size);
        if size < 2 || at + size > length {
            return Err(PacketError::Malformed);
        }
        attributes.push(Placed { kind, at: at + 2, length: size - 2 });
        at += size;
    }
    Ok((packet, attributes))
}

fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) -> Result<(), TooLong> {
    if value.is_empty() || value.len() > MAX_VALUE {
        return Err(TooLong);
    }
    let size = u8::try_from(value.len() + 2).map_err(|_| TooLong)?;
    bytes.extend([kind, size]);
    bytes.extend_from_slice(value);
    Ok(())
}

/// RFC 2865 §5.2: each block is hidden by a hash over the secret and the block before.
fn hide(password: &str, secret: &[u8], authenticator: &[u8; 16]) -> Result<Zeroizing<Vec<u8>>, TooLong> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(TooLong);
    }
    let mut hidden = Zeroizing::new(password.as_bytes().to_vec());
    hidden.resize(password.len().next_multiple_of(16), 0);
    let mut before = *authenticator;
    for block in hidden.chunks_exact_mut(16) {
        let mask = Md5::new().chain_update(secret).chain_update(before).finalize();
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        before.copy_from_slice(block);
    }
    Ok(hidden)
}

/// RFC 1994 §4.1: the hash over identifier, password and challenge.
fn chap(identifier: u8, password: &str, challenge: &[u8; 16]) -> [u8; 16] {
    Md5::new().chain_update([identifier]).chain_update(password).chain_update(challenge).finalize().into()
}

pub(super) fn signature(secret: &[u8], packet: &[u8]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(packet);
    mac.finalize().into_bytes().into()
}

/// Comparison whose time does not tell where the difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests;
