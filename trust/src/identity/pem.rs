//! PEM text (RFC 7468) of certificates, requests and keys: written in 64-character lines, read with a size limit.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Largest PEM text that is read.
const MAX_PEM: usize = 128 << 10;
/// Most certificates in one text: a chain, or the issuers of a large Collective.
const MAX_CERTIFICATES: usize = 64;

/// A text was not the PEM that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No such section, or damaged.
    #[error("expected PEM with a {0} section")]
    Section(&'static str),
    /// Longer than anything we write.
    #[error("expected at most {MAX_PEM} bytes and {MAX_CERTIFICATES} certificates of PEM")]
    TooLarge,
}

/// One PEM section.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The first section of the type that is wanted.
pub(crate) fn decode<T: PemObject>(text: &[u8], label: &'static str) -> Result<T, PemError> {
    if text.len() > MAX_PEM {
        return Err(PemError::TooLarge);
    }
    T::from_pem_slice(text).map_err(|_| PemError::Section(label))
}

/// A chain or list of certificates as PEM.
#[must_use]
pub fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| encode("CERTIFICATE", certificate)).collect()
}

/// All certificates of a PEM text, in order; at least one.
///
/// # Errors
/// [`PemError`].
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    if text.len() > MAX_PEM {
        return Err(PemError::TooLarge);
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .take(MAX_CERTIFICATES + 1)
        .collect::<Result<_, _>>()
        .map_err(|_| PemError::Section("CERTIFICATE"))?;
    match certificates.len() {
        0 => Err(PemError::Section("CERTIFICATE")),
        1..=MAX_CERTIFICATES => Ok(certificates),
        _ => Err(PemError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_survive_pem_and_foreign_text_is_refused() {
        let chain = [CertificateDer::from(vec![1; 100]), CertificateDer::from(vec![2; 48])];
        assert_eq!(certificates_from_pem(certificates_to_pem(&chain).as_bytes()), Ok(chain.to_vec()));
        assert_eq!(certificates_from_pem(b"hello"), Err(PemError::Section("CERTIFICATE")));
        assert_eq!(certificates_from_pem(&vec![b' '; MAX_PEM + 1]), Err(PemError::TooLarge));
    }
}
