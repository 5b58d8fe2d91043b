//! Keys of knocks on this Controller, kept in step with the state: profiles, registered devices, peers (review 3.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::object::ClientProfile;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_raft::State;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{KeyOwner, PeerRole, Receiver, SpaKey, SpaWindow, derive_peer_key, derive_profile_key};

use crate::refusal::Refusal;
use crate::vault::{Purpose, SPA_MASTER, Vault};

/// Generation of the Collective's own keys.
pub const PEER_GENERATION: u32 = 0;

/// Name of a profile's SPA key: equal names are equal keys (S8).
#[must_use]
pub fn key_name(profile: &ClientProfile) -> &str {
    if profile.spa_key_name.is_empty() { &profile.base.name } else { &profile.spa_key_name }
}

/// The master secret from which profiles' and peers' keys are derived.
///
/// # Errors
/// `noQuorum` before the founding is known; `internal` if it does not open.
pub fn master(state: &State, vault: &Vault) -> Result<SecretKey, Refusal> {
    let sealed = state.secret(SPA_MASTER).ok_or_else(Refusal::no_quorum)?;
    vault.open_key(Purpose::SpaMaster, sealed.as_str())
}

/// The present key of a profile, for its link.
///
/// # Errors
/// As [`master`].
pub fn profile_key(state: &State, vault: &Vault, profile: &ClientProfile) -> Result<SecretKey, Refusal> {
    Ok(derive_profile_key(&master(state, vault)?, key_name(profile), profile.key_generation))
}

/// The key with which peers of a role knock.
///
/// # Errors
/// As [`master`].
pub fn peer_key(state: &State, vault: &Vault, role: PeerRole) -> Result<SecretKey, Refusal> {
    Ok(derive_peer_key(&master(state, vault)?, role, PEER_GENERATION))
}

/// What the receiver was given last: only differences are applied, because a Collective has many devices.
#[derive(Debug, Default)]
pub struct Followed {
    window: Option<SpaWindow>,
    profiles: BTreeSet<(String, u32)>,
    devices: BTreeMap<(UserId, DeviceId), String>,
    peers: bool,
}

impl Followed {
    /// Brings `receiver` to what `state` says. Keys that do not open are left out, with an error in the log.
    pub fn follow(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault) {
        if state.settings().spa_mode == SpaMode::Open && self.window.is_none() {
            return;
        }
        let Ok(master) = master(state, vault) else { return };
        let window = SpaWindow::new(state.settings().spa_time_window_seconds).unwrap_or(SpaWindow::DEFAULT);
        if self.window != Some(window) {
            receiver.configure(window, None);
            self.window = Some(window);
        }
        if !self.peers {
            for role in [PeerRole::Raft, PeerRole::Feed, PeerRole::Join, PeerRole::Admin] {
                let key = derive_peer_key(&master, role, PEER_GENERATION);
                receiver.add(KeyOwner::Peer(role), SpaKey::new(&key));
            }
            self.peers = true;
        }
        self.follow_profiles(receiver, state, &master);
        self.follow_devices(receiver, state, vault);
    }

    /// Keys of profiles that enrol; of a rotated one the former generation too.
    fn follow_profiles(&mut self, receiver: &mut Receiver, state: &State, master: &SecretKey) {
        let enrolling = state.client_profiles().filter(|profile| profile.enrolment);
        let wanted: BTreeSet<(String, u32)> = enrolling
            .flat_map(|profile| {
                let generation = profile.key_generation;
                [generation, generation.saturating_sub(1)].map(|one| (key_name(profile).to_owned(), one))
            })
            .collect();
        if wanted == self.profiles {
            return;
        }
        for (name, _) in &self.profiles {
            receiver.remove(&KeyOwner::Profile(Arc::from(name.as_str())));
        }
        for (name, generation) in &wanted {
            let key = derive_profile_key(master, name, *generation);
            receiver.add(KeyOwner::Profile(Arc::from(name.as_str())), SpaKey::new(&key));
        }
        self.profiles = wanted;
    }

    fn follow_devices(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault) {
        let gone: Vec<_> = self
            .devices
            .iter()
            .filter(|((user, device), sealed)| {
                state.device(*user, *device).and_then(|known| known.spa_key.as_ref()) != Some(sealed)
            })
            .map(|(key, _)| *key)
            .collect();
        for (user, device) in gone {
            receiver.remove(&KeyOwner::Device(user, device));
            self.devices.remove(&(user, device));
        }
        for device in state.devices() {
            let id = (device.user_id, device.device_id);
            let Some(sealed) = device.spa_key.as_ref().filter(|_| !self.devices.contains_key(&id)) else { continue };
            if let Ok(key) = vault.open_key(Purpose::DeviceSpa(id.0, id.1), sealed) {
                receiver.add(KeyOwner::Device(id.0, id.1), SpaKey::new(&key));
            }
            self.devices.insert(id, sealed.clone());
        }
    }
}
