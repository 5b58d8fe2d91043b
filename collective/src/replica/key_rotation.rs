//! Rotation of the keys that all Controllers share (T72): the key-encryption key, the master key for knocks, and Gateways'
//! knock keys. An administrator orders it; the removal of a Controller does, because it knows them all.
//!
//! The leader makes a further key-encryption key and offers it to each member, wrapped for that member. Every Controller keeps
//! what it is offered and confirms. When all have confirmed, the leader replaces what is derived from stored secrets, seals
//! the rest anew, and retires the former key. Each step is a log entry: whoever leads next goes on where the former one was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use ringwall_raft::State;
use ringwall_raft::state::kek::{ConfirmKek, Kek, MAX_RESEALED, NextKek, OfferKek, Reseal, Resealed, RetireKek};
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::spa::RotateGatewaySpaKey;
use ringwall_raft::state::spa_master::{NotePeerKey, PeerKeyHolder, RotateSpaMaster};
use ringwall_trust::ca::RootCa;
use ringwall_trust::secret::{SecretKey, SystemRandom, WrapKey, wrap};

use super::Replica;
use super::vault::{Purpose, Vault};
use crate::refusal::Refusal;
use crate::setup::data_dir::DataDir;

/// Most bytes of sealed text in one entry.
const MAX_BATCH: usize = 512 * 1024;
/// Entries of resealed secrets at one look.
const BATCHES: usize = 16;
/// Different complaints of a process.
const MAX_SAID: usize = 1_024;

/// What rotates the shared keys. No `Debug` of the secrets.
pub(crate) struct KeyRotation {
    replica: Replica,
    vault: Arc<Vault>,
    data_dir: DataDir,
    wrap: WrapKey,
    /// What was complained of.
    said: Mutex<BTreeSet<String>>,
}

impl KeyRotation {
    /// Rotation at the Controller whose keys lie in `data_dir`.
    pub(crate) const fn new(replica: Replica, vault: Arc<Vault>, data_dir: DataDir, wrap: WrapKey) -> Self {
        Self { replica, vault, data_dir, wrap, said: Mutex::new(BTreeSet::new()) }
    }

    /// This Controller's own part: keeps the key that it is offered, and confirms; forgets keys that nobody needs.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`; `internal` if a key cannot be opened or stored. The next look tries again.
    pub(crate) async fn tend_own(&self, root: Option<&RootCa>) -> Result<(), Refusal> {
        let state = self.replica.state();
        let kek = state.kek();
        self.vault.seal_under(kek.active);
        if let Some(next) = &kek.next {
            self.take(kek, next).await?;
        }
        self.forget(kek, root)?;
        self.note_peer_key(&state).await
    }

    async fn take(&self, kek: &Kek, next: &NextKek) -> Result<(), Refusal> {
        let me = self.replica.me();
        let Some(wrapped) = next.wrapped.get(&me).filter(|_| !next.confirmed.contains(&me)) else { return Ok(()) };
        let key = self.unwrapped(next.generation, wrapped)?;
        let mut ring = self.vault.ring();
        if ring.get(next.generation) != Some(&key) {
            // Former offers are withdrawn; a state that lags behind says nothing of later ones.
            let used = kek.oldest..=kek.active;
            ring.retain(|one| used.contains(&one) || one >= next.generation);
            ring.insert(next.generation, key);
            self.keep(ring)?;
        }
        self.replica.change(ConfirmKek { node: me, generation: next.generation }).await?;
        tracing::info!(generation = next.generation, "this controller holds the next key-encryption key");
        Ok(())
    }

    fn unwrapped(&self, generation: u32, wrapped: &str) -> Result<SecretKey, Refusal> {
        let bytes = BASE64URL_NOPAD.decode(wrapped.as_bytes()).ok();
        let opened = bytes.and_then(|bytes| self.wrap.unwrap(&wrap_label(generation), &bytes).ok());
        let key = opened.and_then(|opened| <[u8; 32]>::try_from(opened.as_slice()).ok());
        key.map(SecretKey::new).ok_or_else(|| {
            self.complain(format!(
                "generation {generation} of the key-encryption key, which is offered, does not open with wrap.key: restore wrap.key from a backup, or remove this controller and join again"
            ));
            Refusal::internal()
        })
    }

    /// Keys older than the oldest that is in use are needed by nobody, in no later state.
    fn forget(&self, kek: &Kek, root: Option<&RootCa>) -> Result<(), Refusal> {
        let mut ring = self.vault.ring();
        if ring.oldest() >= kek.oldest {
            return Ok(());
        }
        let Some(active) = ring.get(kek.active) else {
            self.complain(format!(
                "kek.key lacks generation {}, under which the Collective's secrets are sealed: restore it from a newer backup, or remove this controller and join again",
                kek.active
            ));
            return Err(Refusal::internal());
        };
        // What only this Controller has is sealed anew before the key that opens it goes.
        if let Some(root) = root
            && self.data_dir.root_generation().map_err(not_stored)?.is_some_and(|sealed| sealed != kek.active)
        {
            self.data_dir.write_root(root, kek.active, active, &SystemRandom).map_err(not_stored)?;
        }
        ring.retain(|one| one >= kek.oldest);
        self.keep(ring)?;
        tracing::info!(oldest = kek.oldest, "former key-encryption keys are deleted");
        Ok(())
    }

    /// On disk first: a key that is in use and lost would cost every stored secret.
    fn keep(&self, ring: super::key_ring::KeyRing) -> Result<(), Refusal> {
        self.data_dir.write_keks(&ring).map_err(not_stored)?;
        self.vault.replace(ring);
        Ok(())
    }

    async fn note_peer_key(&self, state: &State) -> Result<(), Refusal> {
        let holder = PeerKeyHolder::Controller(self.replica.me());
        let generation = state.spa_masters().generation();
        if generation == 0 || state.knows_peer_key(holder) {
            return Ok(());
        }
        self.replica.change(NotePeerKey { holder, generation }).await.map(drop)
    }

    /// The leader's part.
    ///
    /// # Errors
    /// As [`KeyRotation::tend_own`].
    pub(crate) async fn lead(&self) -> Result<(), Refusal> {
        let state = self.replica.state();
        let kek = state.kek();
        if wants_offer(&state) {
            return self.offer(&state).await;
        }
        // Its own part comes first: nothing is sealed under a key that counts no more.
        if self.vault.sealing() != kek.active {
            return Ok(());
        }
        self.replace_derived(&state).await?;
        if kek.has_former() { self.reseal().await } else { Ok(()) }
    }

    async fn offer(&self, state: &State) -> Result<(), Refusal> {
        let generation = state.kek().following();
        let key = SecretKey::generate(&SystemRandom);
        let mut wrapped = BTreeMap::new();
        for node in state.living_controllers().map(|one| one.node) {
            let public = state.wrap_key(node).unwrap_or_default();
            let one = wrap(public, &wrap_label(generation), key.expose()).map_err(|error| {
                self.complain(format!(
                    "no key-encryption key can be offered to controller {node} ({error}): remove it and let it join again"
                ));
                Refusal::internal()
            })?;
            wrapped.insert(node, BASE64URL_NOPAD.encode(&one));
        }
        self.replica.change(OfferKek { generation, wrapped }).await?;
        tracing::info!(generation, "a further key-encryption key is offered to all controllers");
        Ok(())
    }

    /// Whoever knew the former key-encryption key knows what was made before it was replaced.
    async fn replace_derived(&self, state: &State) -> Result<(), Refusal> {
        let since = state.kek().at;
        let fresh = |purpose| self.vault.seal(purpose, SecretKey::generate(&SystemRandom).expose());
        let masters = state.spa_masters();
        if masters.generation() > 0 && masters.at() < since {
            let rotate = RotateSpaMaster { replaces: masters.generation(), key: fresh(Purpose::SpaMaster) };
            self.replica.change(rotate).await?;
            tracing::info!("the master key for knocks is replaced");
        }
        for gateway in state.living_gateways() {
            let Some(newest) = state.spa_keys(gateway.appliance).first().filter(|key| key.at < since) else { continue };
            let rotate = RotateGatewaySpaKey {
                gateway: gateway.appliance,
                replaces: newest.generation,
                key: fresh(Purpose::GatewaySpa(gateway.appliance)),
            };
            self.replica.change(rotate).await?;
            tracing::info!(gateway = %gateway.appliance, "a gateway's knock key is replaced");
        }
        Ok(())
    }

    async fn reseal(&self) -> Result<(), Refusal> {
        for _ in 0..BATCHES {
            let state = self.replica.state();
            let (secrets, left) = self.resealed(&state);
            if secrets.is_empty() {
                if left {
                    return Ok(());
                }
                self.replica.change(RetireKek { active: state.kek().active }).await?;
                tracing::info!(
                    active = state.kek().active,
                    "all stored secrets are sealed under the new key-encryption key"
                );
                return Ok(());
            }
            self.replica.change(Reseal { secrets }).await?;
        }
        Ok(())
    }

    /// A batch of secrets in their new seals, and whether there are some that do not open.
    fn resealed(&self, state: &State) -> (Vec<Resealed>, bool) {
        let (mut batch, mut bytes, mut damaged) = (Vec::new(), 0, false);
        for (place, text) in state.secrets_under_former_keys() {
            if batch.len() >= MAX_RESEALED || bytes >= MAX_BATCH {
                break;
            }
            match self.vault.reseal(&place, text) {
                Ok(sealed) => {
                    bytes += 2 * text.len();
                    batch.push(Resealed { place, former: Sealed::from_text(text), sealed });
                }
                Err(error) => {
                    damaged = true;
                    self.complain(format!(
                        "{place} does not open ({error}) and keeps the former key-encryption key in use: set it again or remove it"
                    ));
                }
            }
        }
        (batch, damaged)
    }

    /// Says what keeps a rotation from going on; each once, because it is met at every look.
    fn complain(&self, what: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < MAX_SAID && !said.contains(&what) {
            tracing::error!("{what}");
            said.insert(what);
        }
    }
}

/// A further key is wanted and can be offered, or the present offer is not to exactly the members.
fn wants_offer(state: &State) -> bool {
    let kek = state.kek();
    match &kek.next {
        Some(next) => !next.wrapped.keys().copied().eq(state.living_controllers().map(|one| one.node)),
        None => kek.wanted.is_some() && !kek.has_former(),
    }
}

fn wrap_label(generation: u32) -> String {
    format!("kek/{generation}")
}

fn not_stored(error: crate::setup::data_dir::DataDirError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "key-encryption keys were not stored");
    Refusal::internal()
}
