//! A Client's own word on a connection: which number it gave it, at which Gateway, in which sign-in.
//!
//! The order of connections ends sessions (T12), so it is believed only with this proof: whoever reports a connection,
//! a Gateway or a Controller, cannot make one up (T67). Signing and verifying is in `trust/`.

use serde::{Deserialize, Serialize};

use crate::id::{ApplianceId, CollectiveId, Incarnation, LogIndex, SignInId};
use crate::name::SessionDn;
use crate::time::UnixMillis;

/// First bytes of what is signed: no TLS signature (64 spaces, RFC 8446 §4.4.3) and no certificate request (a DER
/// SEQUENCE) begins with them.
const CONTEXT: &[u8] = b"ringwall connection proof 1\0";
/// Longest public key, in bytes: a SubjectPublicKeyInfo of RSA-4096 has 550.
const MAX_KEY: usize = 1_024;
/// Longest signature, in bytes: that of RSA-4096.
const MAX_SIGNATURE: usize = 512;
/// How far the time in a proof may differ from a Gateway's when the Client connects, in seconds: the widest window of
/// knocks.
pub const PROOF_WINDOW_SECONDS: u64 = 3_600;
/// How old a proof may be when its connection is reported, in seconds: a week and an hour, longer than any session.
pub const PROOF_KEPT_SECONDS: u64 = (7 * 24 + 1) * 3_600;

/// What a Client signs, beside the time.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionStatement<'a> {
    /// The Collective.
    pub collective: CollectiveId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The Gateway to which the Client connects.
    pub gateway: ApplianceId,
    /// Provider, user and device.
    pub dn: &'a SessionDn,
    /// The sign-in.
    pub sid: SignInId,
    /// Orders sign-ins.
    pub sign_in_idx: LogIndex,
    /// Orders connections of one sign-in.
    pub connect_seq: u64,
}

impl ConnectionStatement<'_> {
    /// The bytes that are signed: fields of fixed length, big endian, the DN (RFC 4514) last.
    #[must_use]
    pub fn bytes(&self, time: UnixMillis) -> Vec<u8> {
        let mut bytes = CONTEXT.to_vec();
        bytes.extend_from_slice(self.collective.uuid().as_bytes());
        bytes.extend_from_slice(&self.incarnation.epoch.to_be_bytes());
        bytes.extend_from_slice(self.incarnation.id.uuid().as_bytes());
        bytes.extend_from_slice(self.gateway.uuid().as_bytes());
        bytes.extend_from_slice(self.sid.uuid().as_bytes());
        for number in [self.sign_in_idx.0, self.connect_seq, time.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(self.dn.to_string().as_bytes());
        bytes
    }
}

/// A signature over a [`ConnectionStatement`]. Proves nothing until `ringwall-trust` has verified it and the caller has
/// compared the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionProof {
    /// The Client's clock when it signed.
    pub time: UnixMillis,
    /// SubjectPublicKeyInfo (DER) of the key to which the tokens are bound, base64url, at most 1,024 bytes.
    #[serde(with = "key_text")]
    pub key: Vec<u8>,
    /// The signature, base64url, at most 512 bytes: RSA PKCS#1 v1.5 or ECDSA (ASN.1), both with SHA-256.
    #[serde(with = "signature_text")]
    pub signature: Vec<u8>,
}

macro_rules! base64url {
    ($module:ident, $limit:expr) => {
        mod $module {
            use data_encoding::BASE64URL_NOPAD;
            use serde::de::Error;
            use serde::{Deserialize, Deserializer, Serializer};

            pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(&BASE64URL_NOPAD.encode_display(bytes))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
                let text = String::deserialize(from)?;
                let bytes =
                    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("expected base64url"))?;
                if bytes.len() > $limit {
                    return Err(D::Error::custom(format!("expected at most {} bytes, got {}", $limit, bytes.len())));
                }
                Ok(bytes)
            }
        }
    };
}

base64url!(key_text, super::MAX_KEY);
base64url!(signature_text, super::MAX_SIGNATURE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IncarnationId;

    fn statement(dn: &SessionDn) -> ConnectionStatement<'_> {
        ConnectionStatement {
            collective: CollectiveId::from_random([1; 16]),
            incarnation: Incarnation { epoch: 7, id: IncarnationId::from_random([2; 16]) },
            gateway: ApplianceId::from_random([3; 16]),
            dn,
            sid: SignInId::from_random([4; 16]),
            sign_in_idx: LogIndex(5),
            connect_seq: 6,
        }
    }

    #[test]
    fn every_field_is_signed() {
        let dn: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
        let other: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=bob,OU=local".parse().expect("a DN");
        let one = statement(&dn);
        let changed = [
            ConnectionStatement { collective: CollectiveId::from_random([9; 16]), ..one },
            ConnectionStatement { incarnation: Incarnation { epoch: 8, ..one.incarnation }, ..one },
            ConnectionStatement { gateway: ApplianceId::from_random([9; 16]), ..one },
            ConnectionStatement { dn: &other, ..one },
            ConnectionStatement { sid: SignInId::from_random([9; 16]), ..one },
            ConnectionStatement { sign_in_idx: LogIndex(9), ..one },
            ConnectionStatement { connect_seq: u64::MAX, ..one },
        ];
        let signed = one.bytes(UnixMillis(1));
        assert!(changed.iter().all(|other| other.bytes(UnixMillis(1)) != signed));
        assert_ne!(one.bytes(UnixMillis(2)), signed);
    }

    #[test]
    fn a_proof_is_text_and_limited_in_length() {
        let proof = ConnectionProof { time: UnixMillis(1), key: vec![1; MAX_KEY], signature: vec![2; MAX_SIGNATURE] };
        let text = serde_json::to_string(&proof).expect("encoded");
        assert_eq!(serde_json::from_str::<ConnectionProof>(&text).ok(), Some(proof.clone()));
        let long = ConnectionProof { signature: vec![2; MAX_SIGNATURE + 1], ..proof };
        let text = serde_json::to_string(&long).expect("encoded");
        assert!(serde_json::from_str::<ConnectionProof>(&text).is_err());
    }
}
