//! Keys of knocks on this Controller, kept in step with the state: profiles, registered devices, peers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringwall_protocol::device::DeviceRegistration;
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
use crate::replica::vault::{Purpose, Vault};
use crate::setup::config::Config;
use crate::setup::data_dir::DataDir;

/// How often the addresses of this machine are asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Part of the derivation of keys of peers and administrators: they change with the master key.
pub(crate) const PEER_GENERATION: u32 = 0;

/// Whether the key of this name is for first contact with this profile.
#[must_use]
pub(crate) fn opens(profile: &ClientProfile, name: &str) -> bool {
    profile.enrolment && profile.key_name() == name
}

/// The present master secret, from which profiles' and peers' keys are derived.
///
/// # Errors
/// `noQuorum` before the founding is known; `internal` if it does not open.
pub(crate) fn master(state: &State, vault: &Vault) -> Result<SecretKey, Refusal> {
    let present = state.spa_masters().keys.first().ok_or_else(Refusal::no_quorum)?;
    vault.open_key(Purpose::SpaMaster, present.sealed.as_str())
}

/// The master secrets whose keys are accepted, newest first, with their generations.
fn masters(state: &State, vault: &Vault) -> Vec<(u32, SecretKey)> {
    let held = |key: &&ringwall_raft::state::spa::SpaKey| vault.holds_key_of(key.sealed.as_str());
    let open = |key: &ringwall_raft::state::spa::SpaKey| {
        let secret = vault.open_key(Purpose::SpaMaster, key.sealed.as_str()).ok()?;
        Some((key.generation, secret))
    };
    state.spa_masters().keys.iter().filter(held).filter_map(open).collect()
}

/// Whether knocks can be judged by this state: not by one that is replayed from before a rotation of the shared keys, whose
/// secrets do not open any more.
pub(crate) fn can_judge(state: &State, vault: &Vault) -> bool {
    state.spa_masters().keys.iter().any(|key| vault.holds_key_of(key.sealed.as_str()))
}

/// The present key of a profile, for its link.
///
/// # Errors
/// If the Collective has no master key yet, or the vault cannot open it.
pub fn profile_key(state: &State, vault: &Vault, profile: &ClientProfile) -> Result<SecretKey, Refusal> {
    Ok(derive_profile_key(&master(state, vault)?, profile.key_name(), profile.key_generation))
}

/// The key with which this Controller knocks on others: of the former master while there is one, because a Controller that
/// lags behind knows no other yet, and every one accepts it.
pub(crate) fn controllers_key(state: &State, vault: &Vault) -> Option<SecretKey> {
    let (_, oldest) = masters(state, vault).pop()?;
    Some(derive_peer_key(&oldest, PeerRole::Raft, PEER_GENERATION))
}

/// The present key with which peers of a role knock.
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

/// A device's keys as the receiver is given them: when they were made, and not how they are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DeviceKeys {
    present: Option<LogIndex>,
    former: Option<LogIndex>,
}

impl DeviceKeys {
    /// Those that were made at `since` or later.
    fn of(device: &DeviceRegistration, since: LogIndex) -> Self {
        let present = device.spa_key.as_ref().map(|_| device.spa_key_at);
        let former = device.former_spa_key.as_ref().map(|(_, at)| *at);
        Self { present: present.filter(|at| *at >= since), former: former.filter(|at| *at >= since) }
    }

    const fn is_empty(self) -> bool {
        self.present.is_none() && self.former.is_none()
    }
}

/// What the receiver was given last: only differences are applied, because a Collective has many devices.
#[derive(Debug)]
pub(crate) struct Followed {
    places: Places,
    window: Option<SpaWindow>,
    looked: Option<Instant>,
    /// Generation of the master, name, generation of the name.
    profiles: BTreeSet<(u32, String, u32)>,
    devices: BTreeMap<(UserId, DeviceId), DeviceKeys>,
    /// Generations of the master whose keys of peers and administrators are accepted.
    masters: Vec<u32>,
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
            masters: Vec::new(),
            revoked: LogIndex(0),
            blocked: BTreeSet::new(),
        }
    }

    /// Brings `receiver` to what `state` says; true if keys were taken away, with which pinholes may be open. Keys that do
    /// not open are left out, with an error in the log. To be asked every few seconds: former keys have an end.
    pub(crate) fn follow(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault, now: UnixMillis) -> bool {
        let masters = masters(state, vault);
        if masters.is_empty() {
            return false;
        }
        let window = SpaWindow::new(state.settings().spa_time_window_seconds).unwrap_or(SpaWindow::DEFAULT);
        // Interfaces come and go: what this machine's addresses are is asked again now and then.
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) || self.window != Some(window) {
            receiver.configure(window, self.places.destinations());
            (self.window, self.looked) = (Some(window), Some(Instant::now()));
        }
        self.follow_cutoffs(receiver, state);
        let peers = self.follow_masters(receiver, &masters);
        let profiles = self.follow_profiles(receiver, state, &masters, now);
        let devices = self.follow_devices(receiver, state, vault);
        peers || profiles || devices
    }

    /// Keys of peers and administrators, of the present master and the former one (T72).
    fn follow_masters(&mut self, receiver: &mut Receiver, masters: &[(u32, SecretKey)]) -> bool {
        let wanted: Vec<u32> = masters.iter().map(|(generation, _)| *generation).collect();
        if wanted == self.masters {
            return false;
        }
        for role in [PeerRole::Raft, PeerRole::Feed, PeerRole::Join] {
            receiver.remove(&KeyOwner::Peer(role));
            for (_, master) in masters {
                receiver.add(KeyOwner::Peer(role), SpaKey::new(&derive_peer_key(master, role, PEER_GENERATION)));
            }
        }
        receiver.remove_roots(Realm::Administrators);
        for (_, master) in masters {
            receiver.add_root(Realm::Administrators, &derive_administrators_root(master, PEER_GENERATION));
        }
        let some_gone = self.masters.iter().any(|one| !wanted.contains(one));
        self.masters = wanted;
        some_gone
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

    /// Keys of profiles that enrol, of every master that is accepted; of a rotated profile the former generation too, for its
    /// time (T71).
    fn follow_profiles(
        &mut self,
        receiver: &mut Receiver,
        state: &State,
        masters: &[(u32, SecretKey)],
        now: UnixMillis,
    ) -> bool {
        let enrolling = state.client_profiles().filter(|profile| profile.enrolment);
        let named: BTreeSet<(String, u32)> = enrolling
            .flat_map(|profile| {
                let generations = std::iter::once(profile.key_generation).chain(state.former_generation(profile, now));
                generations.map(|one| (profile.key_name().to_owned(), one))
            })
            .collect();
        let of_master = |(master, _): &(u32, SecretKey)| {
            let master = *master;
            named.iter().map(move |(name, generation)| (master, name.clone(), *generation))
        };
        let wanted: BTreeSet<_> = masters.iter().flat_map(of_master).collect();
        if wanted == self.profiles {
            return false;
        }
        for (_, name, _) in &self.profiles {
            receiver.remove(&KeyOwner::Profile(Arc::from(name.as_str())));
        }
        for (_, master) in masters {
            for (name, generation) in &named {
                let key = derive_profile_key(master, name, *generation);
                receiver.add(KeyOwner::Profile(Arc::from(name.as_str())), SpaKey::new(&key));
            }
        }
        self.profiles = wanted;
        true
    }

    /// Keys of registered devices: the present one, and the one before it until the device has shown that it has the present
    /// one. Keys from before the oldest master that is accepted end with the keys of that time (T72).
    fn follow_devices(&mut self, receiver: &mut Receiver, state: &State, vault: &Vault) -> bool {
        let since = state.spa_masters().keys.last().map_or(LogIndex(0), |oldest| oldest.at);
        let gone: Vec<_> = self
            .devices
            .iter()
            .filter(|((user, device), had)| {
                state.device(*user, *device).map(|known| DeviceKeys::of(known, since)) != Some(**had)
            })
            .map(|(key, _)| *key)
            .collect();
        let some_gone = !gone.is_empty();
        for (user, device) in gone {
            receiver.remove(&KeyOwner::Device(user, device));
            self.devices.remove(&(user, device));
        }
        for device in state.devices() {
            let (id, keys) = ((device.user_id, device.device_id), DeviceKeys::of(device, since));
            if keys.is_empty() || self.devices.contains_key(&id) {
                continue;
            }
            let present = device.spa_key.as_ref().filter(|_| keys.present.is_some());
            let former = device.former_spa_key.as_ref().map(|(sealed, _)| sealed).filter(|_| keys.former.is_some());
            let sealed: Vec<&String> = present.into_iter().chain(former).collect();
            // Looked at again in a later state.
            if !sealed.iter().all(|one| vault.holds_key_of(one)) {
                continue;
            }
            for one in sealed {
                if let Ok(key) = vault.open_key(Purpose::DeviceSpa(id.0, id.1), one) {
                    receiver.add(KeyOwner::Device(id.0, id.1), SpaKey::new(&key));
                }
            }
            self.devices.insert(id, keys);
        }
        some_gone
    }
}
