//! This Controller's own keys in the state: the one that signs tokens (7 days, then a new one), the one of its
//! certificate, and its addresses.

use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::membership::KeyState;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_raft::state::member::{EndFormerControllerKey, UpdateController};
use ringwall_raft::state::signing_key::AddKey;
use ringwall_trust::identity::{KeyKind, Leaf, PrivateKey, VerifiedRequest};
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::tls::Presented;
use ringwall_trust::token::TokenSigner;
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;

use super::intermediates::Intermediates;
use super::signers::Signers;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::setup::config::Advertise;
use crate::setup::data_dir::DataDir;

/// By then every Gateway and Controller has heard of a new key.
const KEY_IS_KNOWN: Duration = Duration::from_secs(5);
/// Lifetime of a signing key.
pub(crate) const SIGNING_KEY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a Controller holds of its own: keys, certificate, addresses.
pub struct OwnKeys {
    replica: Replica,
    data_dir: DataDir,
    signers: Arc<Signers>,
    intermediates: Arc<Intermediates>,
    presented: Arc<Presented>,
    /// One renewal of the own certificate at a time.
    renewing: Arc<Semaphore>,
}

impl OwnKeys {
    /// Keys that lie in `data_dir`; `presented` is what peers and Clients are shown.
    pub(crate) fn new(
        replica: Replica,
        data_dir: DataDir,
        signers: Arc<Signers>,
        intermediates: Arc<Intermediates>,
        presented: Arc<Presented>,
    ) -> Self {
        Self { replica, data_dir, signers, intermediates, presented, renewing: Arc::new(Semaphore::new(1)) }
    }

    /// Makes the newest signing key known, if the state does not know it, and replaces one that has become old.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`; the next look tries again.
    pub async fn tend_signing_key(&self, now: UnixMillis) -> Result<(), Refusal> {
        let state = self.replica.state();
        if !self.may_sign(&state) {
            return Ok(());
        }
        let Some(newest) = self.signers.newest() else { return Ok(()) };
        match state.key_since(newest.kid()) {
            None => self.announce(&newest).await,
            Some(since) if since.plus(SIGNING_KEY_LIFE) <= now => self.rotate_signing_key().await,
            Some(_) => Ok(()),
        }
    }

    /// Begins to sign with a new key. Tokens of the former one stay valid for what was checked before.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`; `internal` if the key cannot be stored.
    pub async fn rotate_signing_key(&self) -> Result<(), Refusal> {
        let signer = TokenSigner::generate().map_err(|error| {
            tracing::error!(%error, "no signing key was made");
            Refusal::internal()
        })?;
        // On disk first: a key that everyone knows and that is lost would leave this Controller without one.
        self.data_dir.write_signer(&signer).map_err(|error| {
            tracing::error!(%error, "signing key was not stored");
            Refusal::internal()
        })?;
        self.signers.add(signer);
        match self.signers.newest() {
            Some(newest) => self.announce(&newest).await,
            None => Ok(()),
        }
    }

    async fn announce(&self, signer: &TokenSigner) -> Result<(), Refusal> {
        let record = signer.record(self.replica.me(), self.replica.state().index());
        let add = AddKey { kid: record.kid, controller: self.replica.me(), public_key: record.public_key };
        self.replica.change(add).await?;
        tracing::info!(kid = signer.kid(), "signing key is active");
        Ok(())
    }

    /// A Controller that is on its way out issues nothing new.
    fn may_sign(&self, state: &State) -> bool {
        let record = state.controller(self.replica.me());
        record.is_some_and(|record| matches!(record.state, ApplianceState::Active | ApplianceState::Joining))
    }

    /// Replaces this Controller's own certificate, with a new key, when two thirds of its life are over, or when it was made by
    /// a clock that was ahead and is not valid yet. Everyone hears of the new key some seconds before it is shown.
    ///
    /// # Errors
    /// `busy` without issuer, `noQuorum`, `unknownOutcome`; the next look tries again.
    pub async fn tend_certificate(self: &Arc<Self>, now: UnixMillis) -> Result<(), Refusal> {
        let chain = self.presented.chain();
        let Some(leaf) = chain.first().and_then(|der| Leaf::parse(der).ok()) else { return Ok(()) };
        let record = self.replica.state().controller(self.replica.me()).map(|record| record.keys.clone());
        if record.is_some_and(|keys| keys.len() > 1 && keys.first() == Some(&leaf.thumbprint)) {
            // The next key is shown: whoever has the former one is nobody from now on.
            let end = EndFormerControllerKey { node: self.replica.me(), used: leaf.thumbprint };
            return self.replica.change(end).await.map(drop);
        }
        let life = leaf.not_before.until(leaf.not_after);
        if leaf.not_before <= now && now < leaf.not_before.plus(life * 2 / 3) {
            return Ok(());
        }
        let Ok(renewing) = Arc::clone(&self.renewing).try_acquire_owned() else { return Ok(()) };
        let state = self.replica.current().await?;
        let issuer = self.intermediates.appliance(&state)?;
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "own certificate was not renewed");
            Refusal::internal()
        };
        let key = PrivateKey::generate(KeyKind::P256).map_err(|error| failed(&error))?;
        let request = key.request().map_err(|error| failed(&error))?;
        let request = VerifiedRequest::verify(&request).map_err(|error| failed(&error))?;
        let renewed = issuer.issue_controller(&request, self.replica.me(), &[], now, &SystemRandom);
        let renewed = renewed.map_err(|error| failed(&error))?;
        let keys = Some(vec![key.thumbprint(), leaf.thumbprint]);
        let node = self.replica.me();
        let update =
            UpdateController { node, keys, peer_addresses: None, client_addresses: None, admin_addresses: None };
        self.replica.change(update).await?;
        let root = chain.last().cloned().unwrap_or_else(|| issuer.certificate().clone());
        let chain = vec![renewed, issuer.certificate().clone(), root];
        let own = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEY_IS_KNOWN).await;
            own.show(&key, chain);
            drop(renewing);
        });
        Ok(())
    }

    fn show(&self, key: &PrivateKey, chain: Vec<CertificateDer<'static>>) {
        if let Err(error) = self.data_dir.write_own_certificate(key, &chain) {
            tracing::error!(%error, "renewed certificate was not stored; the former one stays");
            return;
        }
        match self.presented.replace(chain, key) {
            Ok(()) => tracing::info!("own certificate renewed"),
            Err(error) => tracing::error!(%error, "renewed certificate cannot be shown"),
        }
    }

    /// Tells the Collective where this Controller is reached, if that is not what it knows.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub async fn tend_addresses(&self, wanted: &Advertise) -> Result<(), Refusal> {
        let state = self.replica.state();
        let Some(record) = state.controller(self.replica.me()) else { return Ok(()) };
        let differs =
            |wanted: &[String], known: &[String]| (!wanted.is_empty() && wanted != known).then(|| wanted.to_vec());
        let update = UpdateController {
            node: self.replica.me(),
            keys: None,
            peer_addresses: differs(&wanted.peer, &record.peer_addresses),
            client_addresses: differs(&wanted.client, &record.client_addresses),
            admin_addresses: differs(&wanted.admin, &record.admin_addresses),
        };
        if update.peer_addresses.is_none() && update.client_addresses.is_none() && update.admin_addresses.is_none() {
            return Ok(());
        }
        self.replica.change(update).await.map(|_| ())
    }

    /// Whether this Controller has a key that signs, as the state knows it.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        let state = self.replica.state();
        let me = self.replica.me();
        state.keys().any(|key| key.controller == me && key.state == KeyState::Active)
    }
}
