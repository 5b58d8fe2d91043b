//! What a provider publishes of itself (OpenID Connect Discovery 1.0) and its keys: read when needed, kept for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, ProviderMetadata};
use ringwall_protocol::id::ProviderId;
use ringwall_protocol::object::identity_provider::OidcSettings;
use serde::{Deserialize, Serialize};

use super::http::Line;
use super::unavailable;
use crate::outbound::{Outbound, tls};
use crate::refusal::Refusal;

/// How long what was read counts: keys are rotated with overlap.
const LIFE: Duration = Duration::from_secs(600);
/// A provider's keys are read again before their time at most this often: a token with a made-up key causes no more.
const AGAIN: Duration = Duration::from_secs(60);
/// Most providers that are kept.
const MAX_KEPT: usize = 64;

/// What RFC 9207 §3 adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IssuerInAnswers {
    /// Every answer of the browser names its issuer.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for IssuerInAnswers {}

/// A provider's metadata.
pub(super) type Metadata = ProviderMetadata<
    IssuerInAnswers,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// A provider that was read.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) metadata: Arc<Metadata>,
    /// How to ask it.
    pub(super) line: Line,
    settings: Arc<OidcSettings>,
    read_at: Instant,
}

/// Providers that were read.
pub(super) struct Discovered {
    outbound: Outbound,
    kept: Mutex<BTreeMap<ProviderId, Published>>,
}

impl Discovered {
    /// None so far; they are where `outbound` permits.
    pub(super) const fn new(outbound: Outbound) -> Self {
        Self { outbound, kept: Mutex::new(BTreeMap::new()) }
    }

    /// What the provider publishes, read now if that is not known.
    pub(super) async fn of(&self, id: ProviderId, settings: &OidcSettings) -> Result<Published, Refusal> {
        if let Some(known) = self.known(id, settings).filter(|known| known.read_at.elapsed() < LIFE) {
            return Ok(known);
        }
        self.read(id, settings).await
    }

    /// The same, read again if that was not done just now: a token was signed with a key that is not known.
    pub(super) async fn again(&self, id: ProviderId, settings: &OidcSettings) -> Result<Option<Published>, Refusal> {
        match self.known(id, settings) {
            Some(known) if known.read_at.elapsed() < AGAIN => Ok(None),
            _ => self.read(id, settings).await.map(Some),
        }
    }

    fn known(&self, id: ProviderId, settings: &OidcSettings) -> Option<Published> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).filter(|known| *known.settings == *settings).cloned()
    }

    async fn read(&self, id: ProviderId, settings: &OidcSettings) -> Result<Published, Refusal> {
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|error| unavailable("its issuer", &error))?;
        let tls = tls::config(&settings.trusted_certificates)
            .map_err(|why| unavailable("its authorities", &std::io::Error::other(why)))?;
        let line = Line { tls, outbound: self.outbound.clone() };
        let ask = line.transport();
        let metadata =
            Metadata::discover_async(issuer, &ask).await.map_err(|error| unavailable("its metadata", &error))?;
        let read = Published {
            metadata: Arc::new(metadata),
            line,
            settings: Arc::new(settings.clone()),
            read_at: Instant::now(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| known.read_at.elapsed() < LIFE);
        if kept.len() < MAX_KEPT {
            kept.insert(id, read.clone());
        }
        Ok(read)
    }
}
