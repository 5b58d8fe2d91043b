//! Where secrets stand in the state: everything that is sealed under the key-encryption key, in one list, so that a further
//! key reaches all of it.

use std::fmt;

use ringwall_protocol::id::{AdminSessionId, ApplianceId, DeviceId, TransactionId, UserId};
use serde::{Deserialize, Serialize};

use super::State;
use super::secret::{Sealed, split};

/// Place of a sealed secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretPlace {
    /// A named secret.
    Named(String),
    /// A generation of the master key for knocks.
    SpaMaster(u32),
    /// A generation of the key with which Clients knock on a Gateway.
    GatewaySpa(ApplianceId, u32),
    /// A device's key for knocks.
    DeviceSpa(UserId, DeviceId),
    /// A device's former key for knocks.
    FormerDeviceSpa(UserId, DeviceId),
    /// A user's seed of one-time passwords.
    TotpSeed(UserId),
    /// What is kept of a user's security key, by its credential id.
    SecurityKey(UserId, String),
    /// What an identity provider said of an administrator.
    AdminSession(AdminSessionId),
    /// What a Controller needs to go on with a transaction.
    Transaction(TransactionId),
    /// What a factor's provider needs again.
    TransactionState(TransactionId),
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "the secret {name}"),
            Self::SpaMaster(generation) => write!(f, "generation {generation} of the master key for knocks"),
            Self::GatewaySpa(gateway, generation) => {
                write!(f, "generation {generation} of the knock key of gateway {gateway}")
            }
            Self::DeviceSpa(user, device) => write!(f, "the knock key of device {device} of user {user}"),
            Self::FormerDeviceSpa(user, device) => {
                write!(f, "the former knock key of device {device} of user {user}")
            }
            Self::TotpSeed(user) => write!(f, "the one-time password seed of user {user}"),
            Self::SecurityKey(user, key) => write!(f, "security key {key} of user {user}"),
            Self::AdminSession(session) => write!(f, "administrator session {session}"),
            Self::Transaction(id) | Self::TransactionState(id) => write!(f, "transaction {id}"),
        }
    }
}

impl State {
    /// Secrets that are sealed under a key-encryption key before the active one, in the order of the state.
    pub fn secrets_under_former_keys(&self) -> impl Iterator<Item = (SecretPlace, &str)> {
        let active = self.kek.active;
        self.sealed().filter(move |(_, text)| split(text).is_none_or(|(one, _)| one < active))
    }

    /// Everything that is sealed.
    fn sealed(&self) -> impl Iterator<Item = (SecretPlace, &str)> {
        let named = self.secrets.iter().map(|(name, one)| (SecretPlace::Named(name.clone()), one.as_str()));
        let masters =
            self.spa_masters.keys.iter().map(|key| (SecretPlace::SpaMaster(key.generation), key.sealed.as_str()));
        let gateways = self.spa.iter().flat_map(|(gateway, keys)| {
            keys.iter().map(|key| (SecretPlace::GatewaySpa(*gateway, key.generation), key.sealed.as_str()))
        });
        let devices = self.devices().flat_map(|one| {
            let (user, device) = (one.user_id, one.device_id);
            let present = one.spa_key.as_deref().map(|sealed| (SecretPlace::DeviceSpa(user, device), sealed));
            let former = one.former_spa_key.as_ref();
            let former = former.map(|(sealed, _)| (SecretPlace::FormerDeviceSpa(user, device), sealed.as_str()));
            present.into_iter().chain(former)
        });
        let seeds = self.totp.iter().filter_map(|(user, one)| {
            let seed = one.seed.as_ref()?;
            Some((SecretPlace::TotpSeed(*user), seed.seed.as_str()))
        });
        let keys = self.security_keys.iter().flat_map(|(user, known)| {
            known.keys.iter().map(|key| (SecretPlace::SecurityKey(*user, key.id.clone()), key.record.as_str()))
        });
        let sessions = self.admin_sessions.values().filter_map(|one| {
            let claims = one.claims.as_ref()?;
            Some((SecretPlace::AdminSession(one.id), claims.as_str()))
        });
        let transactions = self.transactions.values().flat_map(|one| {
            let context = one.context.as_ref().map(|sealed| (SecretPlace::Transaction(one.id), sealed.as_str()));
            let kept =
                one.provider_state.as_ref().map(|sealed| (SecretPlace::TransactionState(one.id), sealed.as_str()));
            context.into_iter().chain(kept)
        });
        named.chain(masters).chain(gateways).chain(devices).chain(seeds).chain(keys).chain(sessions).chain(transactions)
    }

    /// Replaces a secret that stands as `former`; one that changed meanwhile, or is gone, is left as it is.
    pub(crate) fn replace_secret(&mut self, place: &SecretPlace, former: &Sealed, sealed: &Sealed) {
        let slot = match place {
            SecretPlace::Named(name) => self.secrets.find_mut(name),
            SecretPlace::SpaMaster(generation) => {
                let keys = &mut self.spa_masters.keys;
                keys.iter_mut().find(|key| key.generation == *generation).map(|key| &mut key.sealed)
            }
            SecretPlace::GatewaySpa(gateway, generation) => {
                let keys = self.spa.find_mut(gateway);
                let key = keys.and_then(|keys| keys.iter_mut().find(|key| key.generation == *generation));
                key.map(|key| &mut key.sealed)
            }
            SecretPlace::DeviceSpa(user, device) | SecretPlace::FormerDeviceSpa(user, device) => {
                let Some(known) = self.devices.find_mut(&(*user, *device)) else { return };
                let slot = match place {
                    SecretPlace::DeviceSpa(..) => known.spa_key.as_mut(),
                    _ => known.former_spa_key.as_mut().map(|(text, _)| text),
                };
                if let Some(text) = slot.filter(|text| *text == former.as_str()) {
                    sealed.as_str().clone_into(text);
                }
                return;
            }
            SecretPlace::TotpSeed(user) => {
                self.totp.find_mut(user).and_then(|one| one.seed.as_mut()).map(|seed| &mut seed.seed)
            }
            SecretPlace::SecurityKey(user, id) => {
                let known = self.security_keys.find_mut(user);
                let key = known.and_then(|known| known.keys.iter_mut().find(|key| key.id == *id));
                key.map(|key| &mut key.record)
            }
            SecretPlace::AdminSession(id) => self.admin_sessions.find_mut(id).and_then(|one| one.claims.as_mut()),
            SecretPlace::Transaction(id) => self.transactions.find_mut(id).and_then(|one| one.context.as_mut()),
            SecretPlace::TransactionState(id) => {
                self.transactions.find_mut(id).and_then(|one| one.provider_state.as_mut())
            }
        };
        if let Some(slot) = slot.filter(|slot| *slot == former) {
            *slot = sealed.clone();
        }
    }
}
