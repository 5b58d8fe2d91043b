//! Certificates, requests for them, and their text forms.

use super::{
    Fingerprint, Leaf, LeafIdentity, PrivateKey, VerifiedRequest, certificates_from_pem, certificates_to_pem, key_of,
    parse_issuer,
};
use crate::secret::SecretKey;
use crate::user_certificate::{UserAuthorities, validity};

/// A certificate in DER, as peers present it: an end certificate has one name, and is no authority's.
#[must_use]
pub fn certificate(bytes: &[u8]) -> bool {
    let (leaf, issuer) = (Leaf::parse(bytes), parse_issuer(bytes));
    assert!(leaf.is_err() || issuer.is_err(), "one certificate is both an end certificate and an issuer's");
    if let Ok(leaf) = &leaf {
        assert!(!matches!(leaf.identity, LeafIdentity::Issuer { .. }));
        assert_eq!(leaf.session.is_some(), matches!(leaf.identity, LeafIdentity::Session { .. }));
        if let (LeafIdentity::Session { device, .. }, Some(dn)) = (leaf.identity, &leaf.session) {
            assert_eq!(device, dn.device);
            assert_eq!(dn.to_string().parse().as_ref(), Ok(dn));
        }
        assert_eq!(key_of(bytes).as_ref(), Ok(&leaf.thumbprint));
        assert_eq!(leaf.identity.to_string().parse(), Ok(leaf.identity));
        assert!(validity(bytes).is_none_or(|(from, until)| (from, until) == (leaf.not_before, leaf.not_after)));
    }
    leaf.is_ok() || issuer.is_ok()
}

/// A request for a certificate (RFC 2986): of all that it says its key alone is taken, and only from who holds it.
#[must_use]
pub fn certificate_request(bytes: &[u8]) -> bool {
    let Ok(verified) = VerifiedRequest::verify(bytes) else { return false };
    assert_eq!(VerifiedRequest::verify(bytes).as_ref(), Ok(&verified));
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(VerifiedRequest::verify(&longer).is_err(), "something follows the request");
    true
}

/// PEM of certificates, keys, authorities and revocation lists: files, and fields of objects.
#[must_use]
pub fn pem(bytes: &[u8]) -> bool {
    let certificates = certificates_from_pem(bytes);
    if let Ok(certificates) = &certificates {
        let again = certificates_from_pem(certificates_to_pem(certificates).as_bytes());
        assert_eq!(again.as_ref(), Ok(certificates));
    }
    let key = PrivateKey::from_pem(bytes);
    if let Ok(key) = &key {
        let again = PrivateKey::from_pem(key.expose_pem().as_bytes());
        assert!(again.is_ok_and(|again| again.thumbprint() == key.thumbprint()));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _read = UserAuthorities::parse(&[text.to_owned()], &[text.to_owned()]);
    }
    certificates.is_ok() || key.is_ok()
}

/// Names in certificates, fingerprints and secrets as text: one value has one spelling.
#[must_use]
pub fn identity(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text.replace(':', "").to_lowercase());
    }
    if let Ok(secret) = text.parse::<SecretKey>() {
        assert_eq!(secret.expose_text().as_str(), text);
    }
    let Ok(identity) = text.parse::<LeafIdentity>() else { return false };
    assert_eq!(identity.to_string(), text);
    true
}
