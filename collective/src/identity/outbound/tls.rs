//! TLS towards a provider's servers: certificates that the provider names, or the system's authorities.
//!
//! A named certificate that is the server's own is a pin: it is accepted as it is, whatever name it bears.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Most certificates in one text.
pub(crate) const MAX_CERTIFICATES: usize = 16;
/// Longest text of certificates, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// The certificates of a list of PEM texts.
///
/// # Errors
/// What is wrong, for operators.
pub(crate) fn certificates(texts: &[String]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for text in texts {
        if text.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
        let before = found.len();
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            found.push(certificate.map_err(|error| format!("no PEM: {error}"))?);
        }
        if found.len() == before {
            return Err("expected -----BEGIN CERTIFICATE-----".to_owned());
        }
        if found.len() > MAX_CERTIFICATES {
            return Err(format!("more than {MAX_CERTIFICATES} certificates"));
        }
    }
    Ok(found)
}

/// A configuration for servers that one of these certificates vouches for; with none, one of the system's authorities.
///
/// # Errors
/// What is wrong, for operators.
pub(crate) fn config(trusted: &[String]) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let named = certificates(trusted)?;
    let mut roots = RootCertStore::empty();
    if named.is_empty() {
        roots.add_parsable_certificates(system_authorities().iter().cloned());
    }
    for certificate in &named {
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("this machine has no certificates of authorities; name the server's".to_owned());
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let verifier = PinnedOrIssued { pinned: named, chain, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The system's authorities, read once.
fn system_authorities() -> &'static [CertificateDer<'static>] {
    static AUTHORITIES: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    AUTHORITIES.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

/// Takes a certificate that is named, or issued by one that is.
#[derive(Debug)]
struct PinnedOrIssued {
    pinned: Vec<CertificateDer<'static>>,
    chain: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedOrIssued {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
