//! The certificate that this side shows, replaceable while connections come and go.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::identity::{KeyError, LeafError, PrivateKey, check_chain_size, key_of};

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PresentedError {
    /// No certificate, too many, or malformed.
    #[error(transparent)]
    Chain(#[from] LeafError),
    /// The key cannot sign handshakes.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Key and certificate do not belong together.
    #[error("private key does not belong to the certificate")]
    ForeignKey,
}

/// A chain with its key, leaf first. Controllers add the root as the last certificate: clients pin it.
#[derive(Debug)]
pub struct Presented(ArcSwap<CertifiedKey>);

impl Presented {
    /// Shows this chain.
    ///
    /// # Errors
    /// [`PresentedError`].
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKey) -> Result<Arc<Self>, PresentedError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(chain, key)?))))
    }

    /// Shows another chain from the next handshake on.
    ///
    /// # Errors
    /// [`PresentedError`]; the former chain stays.
    pub fn replace(&self, chain: Vec<CertificateDer<'static>>, key: &PrivateKey) -> Result<(), PresentedError> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }

    /// The chain that is shown now, leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.load().cert.clone()
    }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &PrivateKey) -> Result<CertifiedKey, PresentedError> {
    let (leaf, others) = chain.split_first().ok_or(LeafError::ChainSize { certificates: 0, bytes: 0 })?;
    check_chain_size(leaf, others)?;
    if key_of(leaf)? != key.thumbprint() {
        return Err(PresentedError::ForeignKey);
    }
    Ok(CertifiedKey::new(chain, key.for_tls()?))
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = self.0.load_full();
        certified.key.choose_scheme(schemes).is_some().then_some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
