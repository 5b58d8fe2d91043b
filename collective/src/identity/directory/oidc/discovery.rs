//! What a provider publishes of itself (OpenID Connect Discovery 1.0) and its keys: read when needed, kept for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, JsonWebKey, ProviderMetadata};
use ringwall_protocol::id::ProviderId;
use ringwall_protocol::object::identity_provider::OidcSettings;
use serde::{Deserialize, Serialize};

use super::Trouble;
use super::http::Line;
use super::redeem::ALGORITHMS;
use crate::identity::outbound::{Outbound, tls};
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
    pub(super) settings: Arc<OidcSettings>,
    pub(super) read_at: Instant,
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
        self.read_and_keep(id, settings).await
    }

    /// The same, read again if that was not done just now: a token was signed with a key that is not known.
    pub(super) async fn again(&self, id: ProviderId, settings: &OidcSettings) -> Result<Option<Published>, Refusal> {
        match self.known(id, settings) {
            Some(known) if known.read_at.elapsed() < AGAIN => Ok(None),
            _ => self.read_and_keep(id, settings).await.map(Some),
        }
    }

    fn known(&self, id: ProviderId, settings: &OidcSettings) -> Option<Published> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).filter(|known| *known.settings == *settings).cloned()
    }

    async fn read_and_keep(&self, id: ProviderId, settings: &OidcSettings) -> Result<Published, Refusal> {
        let read = self.read(settings).await.map_err(|trouble| trouble.refuse())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, known| known.read_at.elapsed() < LIFE);
        if kept.len() < MAX_KEPT {
            kept.insert(id, read.clone());
        }
        Ok(read)
    }

    /// What the provider publishes now: metadata and keys.
    pub(super) async fn read(&self, settings: &OidcSettings) -> Result<Published, Trouble> {
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|error| Trouble::of("its issuer", &error))?;
        let tls =
            tls::config(&settings.trusted_certificates).map_err(|why| Trouble::missing("its authorities", &why))?;
        let line = Line { tls, outbound: self.outbound.clone() };
        let ask = line.transport();
        let metadata =
            Metadata::discover_async(issuer, &ask).await.map_err(|error| Trouble::of("its metadata", &error))?;
        let settings = Arc::new(settings.clone());
        Ok(Published { metadata: Arc::new(metadata), line, settings, read_at: Instant::now() })
    }
}

impl Published {
    /// Whether a sign-in finds what it needs.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check(&self, settings: &OidcSettings) -> Result<(), Trouble> {
        let metadata = &self.metadata;
        if metadata.authorization_endpoint().url().scheme() != "https" {
            return Err(Trouble::missing("its authorization endpoint", "expected an https URL"));
        }
        match metadata.token_endpoint() {
            None => return Err(Trouble::missing("its token endpoint", "there is none")),
            Some(endpoint) if endpoint.url().scheme() != "https" => {
                return Err(Trouble::missing("its token endpoint", "expected an https URL"));
            }
            Some(_) => {}
        }
        if settings.user_info && metadata.userinfo_endpoint().is_none() {
            return Err(Trouble::missing("its user info endpoint", "userInfo is wanted, but there is none"));
        }
        let signs = |key: &CoreJsonWebKey| {
            !matches!(key.key_type(), CoreJsonWebKeyType::Symmetric)
                && key.key_use().is_none_or(|usage| *usage == CoreJsonWebKeyUse::Signature)
        };
        if !metadata.jwks().keys().iter().any(signs) {
            return Err(Trouble::missing("its keys", "none of them is a public key for signatures"));
        }
        let algorithms = metadata.id_token_signing_alg_values_supported();
        if !algorithms.is_empty() && !algorithms.iter().any(|one| ALGORITHMS.contains(one)) {
            return Err(Trouble::missing("its ID tokens", "none of its signature algorithms is accepted"));
        }
        Ok(())
    }
}
