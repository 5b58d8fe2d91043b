//! Keys of knocks on this Controller, kept in step with the state: profiles, registered devices, peers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringwall_protocol::id::{DeviceId, LogIndex, UserId};
use ringwall_protocol::name::{SessionDn, UserDn};
use ringwall_protocol::object::ClientProfile;
use ringwall_protocol::time::UnixMillis;
use ringwall_raft::State;
use ringwall_trust::secret::{SecretKey, SystemRandom};
use ringwall_trust::spa::{
    Destination, Handle, JournalError, JournalFile, KeyOwner, KnockSecret, PeerRole, Realm, Receiver, SpaKey,
    SpaWindow, derive_administrators_root, derive_peer_key, derive_profile_key, places,
};

use crate::refusal::Refusal;
use crate::replica::vault::{Purpose, SPA_MASTER, Vault};
use crate::setup::config::Config;
use crate::setup::data_dir::DataDir;

/// How often the addresses of this machine are asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Generation of the Collective's own keys.
pub(crate) const PEER_GENERATION: u32 = 0;

/// Whether the key of this name is for first contact with this profile.
#[must_use]
pub(crate) fn opens(profile: &ClientProfile, name: &str) -> bool {
    profile.enrolment && profile.key_name() == name
}

/// The master secret from which profiles' and peers' keys are derived.
///
/// # Errors
/// `noQuorum` before the founding is known; `internal` if it does not open.
pub(crate) fn master(state: &State, vault: &Vault) -> Result<SecretKey, Refusal> {
    let sealed = state.secret(SPA_MASTER).ok_or_else(Refusal::no_quorum)?;
    vault.open_key(Purpose::SpaMaster, sealed.as_str())
}

/// The present key of a profile, for its link.
///
/// # Errors
/// If the Collective has no master key yet, or the vault cannot open it.
pub fn profile_key(state: &State, vault: &Vault, profile: &ClientProfile) -> Result<SecretKey, Refusal> {
    Ok(derive_profile_key(&master(state, vault)?, profile.key_name(), profile.key_generation))
}

/// The key with which peers of a role knock.
///
/// # Errors
/// If the Collective has no master key yet, or the vault cannot open it.
pub fn peer_key(state: &State, vault: &Vault, role: PeerRole) -> Result<SecretKey, Refusal> {
    Ok(derive_peer_key(&master(state, vault)?, role, PEER_GENERATION))
}

/// A key for the admin port of an administrator's own, for one machine: made anew each time, none is stored (T53).
pub(crate) fn administrators_key(master: &SecretKey, dn: &SessionDn, idx: LogIndex) -> KnockSecret {
    let root = derive_administrators_root(master, PEER_GENERATION);
    KnockSecret::for_session(&root, Handle::new(&root, dn, idx, &SystemRandom))
}

/// The process's one judge of knocks, which knows what an earlier process accepted ahead of the clock.
///
/// # Errors
/// If the journal in the data directory cannot be opened or read.
pub(crate) fn receiver(data: &DataDir, now: UnixMillis) -> Result<Arc<Mutex<Receiver>>, JournalError> {
    let (journal, used) = JournalFile::open(&data.path().join("knocks.journal"), now)?;
    let receiver = Receiver::new(SpaWindow::DEFAULT, None, now).with_journal(Box::new(journal), used);
    Ok(Arc::new(Mutex::new(receiver)))
}

/// Where this Controller's ports can be dialled, as far as this machine knows.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    listeners: Vec<(SocketAddr, Vec<String>)>,
    bound: bool,
}

impl Places {
    /// The places of a configuration.
    #[must_use]
    pub(crate) fn of(config: &Config) -> Self {
        let told = &config.advertise;
        let listeners = vec![
            (config.listen_client, told.client.clone()),
            (config.listen_peer, told.peer.clone()),
            (config.listen_admin, told.admin.clone()),
        ];
        if !config.bind_destination {
            tracing::warn!("spa.bind_destination is off: a captured knock may be used at another appliance once");
        }
        Self { listeners, bound: config.bind_destination }
    }

    /// The destinations that a knock may name; `None`: any.
    fn destinations(&self) -> Option<HashSet<Destination>> {
        self.bound.then(|| self.listeners.iter().flat_map(|(listen, told)| places(*listen, told)).collect())
    }
}

/// What the receiver was given last: only differences are applied, because a Collective has many devices.
#[derive(Debug)]
pub(crate) struct Followed {
    places: Places,
    window: Option<SpaWindow>,
    looked: Option<Instant>,
    profiles: BTreeSet<(String, u32)>,
    devices: BTreeMap<(UserId, DeviceId), String>,
    peers: bool,
    /// The latest revocation that was taken into account.
    revoked: LogIndex,
    blocked: BTreeSet<UserDn>,
}

impl Followed {
    /// Nothing was given yet.
    #[must_use]
    pub(crate) const fn new(places: Places) -> Self {
        Self {
            places,
            window: None,
            looked: None,
            profiles: BTreeSet::new(),
            devices: BTreeMap::new(),
            peers: false,
            revoked: LogIndex(0),
            blocked: BTreeSet::new(),
        }
    }

    /// Brings `receiver` to what `state` says; true if keys were taken away, with which pinholes may be open. Keys that do
    /// not open are left out, with an error in the log. To be asked every few seconds: former keys have an end.
    pub(crate) fn follow(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault, now: UnixMillis) -> bool {
        let Ok(master) = master(state, vault) else { return false };
        let window = SpaWindow::new(state.settings().spa_time_window_seconds).unwrap_or(SpaWindow::DEFAULT);
        // Interfaces come and go: what this machine's addresses are is asked again now and then.
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) || self.window != Some(window) {
            receiver.configure(window, self.places.destinations());
            (self.window, self.looked) = (Some(window), Some(Instant::now()));
        }
        if !self.peers {
            for role in [PeerRole::Raft, PeerRole::Feed, PeerRole::Join] {
                let key = derive_peer_key(&master, role, PEER_GENERATION);
                receiver.add(KeyOwner::Peer(role), SpaKey::new(&key));
            }
            receiver.add_root(Realm::Administrators, &derive_administrators_root(&master, PEER_GENERATION));
            self.peers = true;
        }
        self.follow_cutoffs(receiver, state);
        let profiles = self.follow_profiles(receiver, state, &master, now);
        let devices = self.follow_devices(receiver, state, vault);
        profiles || devices
    }

    /// Whose keys for the admin port are refused: of users who were cut off since, and of those who are blocked.
    fn follow_cutoffs(&mut self, receiver: &Receiver, state: &State) {
        let cutoffs = receiver.cutoffs();
        // Each change is one insert: a panic of another holder leaves it consistent.
        let mut cutoffs = cutoffs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.revoked;
        for revocation in state.revocations().iter().rev().take_while(|one| one.index > known) {
            cutoffs.add(revocation);
            self.revoked = self.revoked.max(revocation.index);
        }
        let blocked: BTreeSet<UserDn> = state.blocklist().map(|entry| entry.user.clone()).collect();
        if blocked != self.blocked {
            cutoffs.block(&blocked);
            self.blocked = blocked;
        }
    }

    /// Keys of profiles that enrol; of a rotated one the former generation too, for its time (T71).
    fn follow_profiles(&mut self, receiver: &mut Receiver, state: &State, master: &SecretKey, now: UnixMillis) -> bool {
        let enrolling = state.client_profiles().filter(|profile| profile.enrolment);
        let wanted: BTreeSet<(String, u32)> = enrolling
            .flat_map(|profile| {
                let generations = std::iter::once(profile.key_generation).chain(state.former_generation(profile, now));
                generations.map(|one| (profile.key_name().to_owned(), one))
            })
            .collect();
        if wanted == self.profiles {
            return false;
        }
        for (name, _) in &self.profiles {
            receiver.remove(&KeyOwner::Profile(Arc::from(name.as_str())));
        }
        for (name, generation) in &wanted {
            let key = derive_profile_key(master, name, *generation);
            receiver.add(KeyOwner::Profile(Arc::from(name.as_str())), SpaKey::new(&key));
        }
        self.profiles = wanted;
        true
    }

    fn follow_devices(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault) -> bool {
        let gone: Vec<_> = self
            .devices
            .iter()
            .filter(|((user, device), sealed)| {
                state.device(*user, *device).and_then(|known| known.spa_key.as_ref()) != Some(sealed)
            })
            .map(|(key, _)| *key)
            .collect();
        let some_gone = !gone.is_empty();
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
        some_gone
    }
}
