//! Proofs of connections (T67): a Client signs with the key of its certificate, Gateways and Controllers verify.
//!
//! Which key may speak for a device is left to the caller: it compares the thumbprint that [`verify`] returns.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rcgen::{PublicKeyData, SigningKey};
use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement};
use ringwall_protocol::id::Thumbprint;
use ringwall_protocol::time::UnixMillis;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::identity::{KeyError, PrivateKey, accepted_key, thumbprint_of_spki};

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionProofError {
    /// Not a key of a Client.
    #[error("expected an RSA key of 3072 to 4096 bits with exponent 65537, or one on P-256")]
    Key,
    /// Another key signed, or something else was signed.
    #[error("the connection's number is not signed by the key in its proof")]
    Signature,
}

/// Signs a statement as of `time`.
///
/// # Errors
/// [`KeyError::Generation`] if signing failed.
pub fn sign(
    statement: &ConnectionStatement<'_>,
    time: UnixMillis,
    key: &PrivateKey,
) -> Result<ConnectionProof, KeyError> {
    let signature = key.sign(&statement.bytes(time)).map_err(|_| KeyError::Generation)?;
    Ok(ConnectionProof { time, key: key.subject_public_key_info(), signature })
}

/// The key that signed this statement.
///
/// # Errors
/// [`ConnectionProofError`].
pub fn verify(
    statement: &ConnectionStatement<'_>,
    proof: &ConnectionProof,
) -> Result<Thumbprint, ConnectionProofError> {
    let (rest, spki) = SubjectPublicKeyInfo::from_der(&proof.key).map_err(|_| ConnectionProofError::Key)?;
    let kind = accepted_key(&spki).map_err(|_| ConnectionProofError::Key)?;
    if !rest.is_empty() {
        return Err(ConnectionProofError::Key);
    }
    let algorithm: &'static dyn VerificationAlgorithm = if *kind == rcgen::PKCS_RSA_SHA256 {
        &signature::RSA_PKCS1_2048_8192_SHA256
    } else {
        &signature::ECDSA_P256_SHA256_ASN1
    };
    UnparsedPublicKey::new(algorithm, spki.subject_public_key.data.as_ref())
        .verify(&statement.bytes(proof.time), &proof.signature)
        .map_err(|_| ConnectionProofError::Signature)?;
    Ok(thumbprint_of_spki(&proof.key))
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::id::{ApplianceId, CollectiveId, Incarnation, IncarnationId, LogIndex, SignInId};
    use ringwall_protocol::name::SessionDn;

    use super::*;
    use crate::identity::KeyKind;

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
    fn only_the_clients_own_key_proves_the_number_of_a_connection() {
        let dn: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
        let statement = statement(&dn);
        for kind in [KeyKind::P256, KeyKind::Rsa3072] {
            let key = PrivateKey::generate(kind).expect("a key");
            let proof = sign(&statement, UnixMillis(9), &key).expect("signed");
            assert_eq!(verify(&statement, &proof), Ok(key.thumbprint()), "{kind:?}");
            let highest = ConnectionStatement { connect_seq: u64::MAX, ..statement };
            assert_eq!(verify(&highest, &proof), Err(ConnectionProofError::Signature));
            let later = ConnectionProof { time: UnixMillis(10), ..proof.clone() };
            assert_eq!(verify(&statement, &later), Err(ConnectionProofError::Signature));
            let other = PrivateKey::generate(KeyKind::P256).expect("a key");
            let foreign = ConnectionProof { key: other.subject_public_key_info(), ..proof };
            assert_eq!(verify(&statement, &foreign), Err(ConnectionProofError::Signature));
        }
    }

    #[test]
    fn keys_that_no_client_has_are_refused() {
        let dn: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
        let statement = statement(&dn);
        let root = PrivateKey::generate(KeyKind::P384).expect("a key");
        let proof = sign(&statement, UnixMillis(9), &root).expect("signed");
        assert_eq!(verify(&statement, &proof), Err(ConnectionProofError::Key));
        let junk = ConnectionProof { key: vec![0x30; 1_024], ..proof };
        assert_eq!(verify(&statement, &junk), Err(ConnectionProofError::Key));
    }
}
