//! Certificate signing requests from untrusted peers (RFC 2986): the signature is checked, the key is judged, and of all
//! that the request says only the key is kept. A request for `CA:TRUE` therefore cannot become a CA (T16).

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Thumbprint, thumbprint_of_spki};

/// Largest request that is parsed: RSA-4096 needs some 1,100 bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = 8 << 10;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More bytes than any request needs.
    #[error("expected a certificate request of at most {MAX_REQUEST_BYTES} bytes, got {0}")]
    TooLarge(usize),
    /// Not a PKCS#10 request, or something follows it.
    #[error("expected a PKCS#10 certificate request in DER")]
    Malformed,
    /// A key that is not accepted.
    #[error("expected an RSA key of 3072 to 4096 bits with exponent 65537, or one on P-256")]
    Key,
    /// The request was not signed by its own key.
    #[error("certificate request is not signed by the key in it")]
    Signature,
}

/// A public key whose holder signed a request for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest {
    spki: Vec<u8>,
    raw: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl VerifiedRequest {
    /// Checks a request in DER.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn verify(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge(der.len()));
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| RequestError::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        let info = &request.certification_request_info;
        let algorithm = accepted_key(&info.subject_pki)?;
        let raw = info.subject_pki.subject_public_key.data.to_vec();
        let scheme = signature_scheme(&request.signature_algorithm.algorithm, algorithm)?;
        UnparsedPublicKey::new(scheme, &raw)
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_| RequestError::Signature)?;
        let verified = Self { spki: Vec::new(), raw, algorithm };
        Ok(Self { spki: verified.subject_public_key_info(), ..verified })
    }

    /// The name of the key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        thumbprint_of_spki(&self.spki)
    }
}

impl PublicKeyData for VerifiedRequest {
    fn der_bytes(&self) -> &[u8] {
        &self.raw
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

/// Which kind of key it is: RSA of 3,072 to 4,096 bits with exponent 65537, or P-256.
///
/// # Errors
/// [`RequestError::Key`] for every other key.
pub(crate) fn accepted_key(spki: &SubjectPublicKeyInfo<'_>) -> Result<&'static SignatureAlgorithm, RequestError> {
    match spki.parsed().map_err(|_| RequestError::Key)? {
        PublicKey::RSA(key) if spki.algorithm.algorithm == oid::OID_PKCS1_RSAENCRYPTION => {
            let modulus = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
            let exponent = key.exponent.strip_prefix(&[0]).unwrap_or(key.exponent);
            let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
            let sound = (3072..=4096).contains(&bits) && exponent == [1, 0, 1] && usable(modulus, exponent);
            if sound { Ok(&rcgen::PKCS_RSA_SHA256) } else { Err(RequestError::Key) }
        }
        PublicKey::EC(_) if spki.algorithm.algorithm == oid::OID_KEY_TYPE_EC_PUBLIC_KEY => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            if curve == Some(oid::OID_EC_P256) { Ok(&rcgen::PKCS_ECDSA_P256_SHA256) } else { Err(RequestError::Key) }
        }
        _ => Err(RequestError::Key),
    }
}

/// Whether AWS-LC takes the modulus (odd, of an accepted size); a malformed one would fail every later handshake.
fn usable(n: &[u8], e: &[u8]) -> bool {
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).is_ok()
}

fn signature_scheme(
    algorithm: &x509_parser::der_parser::Oid<'_>,
    key: &'static SignatureAlgorithm,
) -> Result<&'static dyn VerificationAlgorithm, RequestError> {
    let rsa = *key == rcgen::PKCS_RSA_SHA256;
    let scheme: &'static dyn VerificationAlgorithm = match (rsa, algorithm) {
        (true, id) if *id == oid::OID_PKCS1_SHA256WITHRSA => &signature::RSA_PKCS1_2048_8192_SHA256,
        (true, id) if *id == oid::OID_PKCS1_SHA384WITHRSA => &signature::RSA_PKCS1_2048_8192_SHA384,
        (true, id) if *id == oid::OID_PKCS1_SHA512WITHRSA => &signature::RSA_PKCS1_2048_8192_SHA512,
        (false, id) if *id == oid::OID_SIG_ECDSA_WITH_SHA256 => &signature::ECDSA_P256_SHA256_ASN1,
        _ => return Err(RequestError::Signature),
    };
    Ok(scheme)
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateSigningRequestDer;

    use super::super::{KeyKind, PrivateKey, pem};
    use super::*;

    #[test]
    fn a_request_gives_the_thumbprint_of_its_key() {
        for kind in [KeyKind::P256, KeyKind::Rsa3072] {
            let key = PrivateKey::generate(kind).expect("generated");
            let request = key.request().expect("signed");
            let verified = VerifiedRequest::verify(&request).expect("accepted");
            assert_eq!(verified.thumbprint(), key.thumbprint(), "{kind:?}");
            let text = pem::encode("CERTIFICATE REQUEST", &request);
            let der: CertificateSigningRequestDer<'static> =
                pem::decode(text.as_bytes(), "CERTIFICATE REQUEST").expect("decoded");
            assert_eq!(VerifiedRequest::verify(&der), Ok(verified));
        }
    }

    #[test]
    fn a_request_signed_by_another_key_is_refused() {
        let key = PrivateKey::generate(KeyKind::P256).expect("generated");
        let mut request = key.request().expect("signed");
        let last = request.len() - 1;
        request[last] ^= 1;
        assert_eq!(VerifiedRequest::verify(&request), Err(RequestError::Signature));
    }

    #[test]
    fn keys_of_other_kinds_and_sizes_are_refused() {
        let p384 = PrivateKey::generate(KeyKind::P384).expect("generated").request().expect("signed");
        assert_eq!(VerifiedRequest::verify(&p384), Err(RequestError::Key));
        let small = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519);
        for key in [small.expect("generated"), ed25519.expect("generated")] {
            let request = rcgen::CertificateParams::default().serialize_request(&key).expect("signed");
            assert_eq!(VerifiedRequest::verify(request.der()), Err(RequestError::Key));
        }
    }

    #[test]
    fn junk_and_oversized_requests_are_refused() {
        assert_eq!(VerifiedRequest::verify(b"junk"), Err(RequestError::Malformed));
        assert_eq!(VerifiedRequest::verify(&[0; MAX_REQUEST_BYTES + 1]), Err(RequestError::TooLarge(8193)));
        let mut trailing = PrivateKey::generate(KeyKind::P256).expect("generated").request().expect("signed");
        trailing.push(0);
        assert_eq!(VerifiedRequest::verify(&trailing), Err(RequestError::Malformed));
    }
}
