//! Path building with webpki, for the purposes and with the algorithms that our certificates have.

use std::time::Duration;

use ringwall_protocol::time::UnixMillis;
use rustls::pki_types::SignatureVerificationAlgorithm;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::{Anchors, Refused};

/// `id-kp-serverAuth` (RFC 5280 §4.2.1.12), as the content of an OID.
const SERVER_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 1];
/// `id-kp-clientAuth`.
const CLIENT_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];
/// Issuers sign with P-256 or P-384.
static ISSUER_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::ECDSA_P384_SHA384];

/// What the certificate is used for; must stand in it, and in the intermediate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// Whether an anchor issued the leaf, through the intermediates if there are any.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &Anchors,
    purpose: Purpose,
    now: UnixTime,
) -> Result<(), Refused> {
    let usage = KeyUsage::required(match purpose {
        Purpose::Server => SERVER_AUTH,
        Purpose::Client => CLIENT_AUTH,
    });
    let certificate = EndEntityCert::try_from(leaf).map_err(Refused::Chain)?;
    certificate
        .verify_for_usage(ISSUER_ALGORITHMS, anchors.all(), intermediates, now, usage, None, None)
        .map_err(Refused::Chain)?;
    Ok(())
}

/// rustls's time as ours.
pub(super) fn millis(now: UnixTime) -> UnixMillis {
    UnixMillis(0).plus(Duration::from_secs(now.as_secs()))
}

/// The signature methods of a verifier: TLS 1.3 only, with the provider's algorithms.
macro_rules! tls13_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls_pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Err(rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls_pki_types::CertificateDer<'_>,
            signed: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(
                message,
                certificate,
                signed,
                &self.provider.signature_verification_algorithms,
            )
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}
pub(super) use tls13_signatures;
