//! Keys with which Clients knock on Gateways: each Gateway its own, sealed, the former one beside it.

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, LogIndex};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::KnockKey;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::signing_key::RETIRED_KEPT;
use super::step::Step;

/// Most generations that are accepted: the present one, and former ones while tokens carry them.
const GENERATIONS: usize = 16;

/// One generation of a Gateway's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaKey {
    /// Counts up from 1.
    pub generation: u32,
    /// The key, sealed.
    pub sealed: Sealed,
    /// Since when.
    pub(crate) since: UnixMillis,
    /// Entry that made it.
    pub at: LogIndex,
}

/// A Gateway's key is replaced; the present one becomes the former.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateGatewaySpaKey {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// The generation that is replaced: a repeated order changes nothing.
    pub replaces: u32,
    /// The new key.
    pub key: Sealed,
}

/// Former keys of a Gateway are accepted no more: no living token carries them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndFormerGatewaySpaKey {
    /// Id of the Gateway.
    pub gateway: ApplianceId,
    /// The newest that ends, and all before it; the present one never does.
    pub generation: u32,
}

impl RotateGatewaySpaKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.key.check_active("key", &step.state.kek)?;
        step.living_gateway(self.gateway)?;
        let mut keys = step.state.spa_keys(self.gateway).to_vec();
        let present = keys.first().map_or(0, |key| key.generation);
        if present != self.replaces {
            let state = format!("at generation {present}");
            return Err(Rejection::WrongState { what: format!("key of gateway {}", self.gateway), state });
        }
        let key = SpaKey { generation: present + 1, sealed: self.key.clone(), since: step.now, at: step.index };
        keys.insert(0, key);
        keys.truncate(GENERATIONS);
        step.state.spa.insert(self.gateway, keys);
        step.tell_spa(self.gateway);
        Ok(Reply::Done)
    }
}

impl EndFormerGatewaySpaKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let known = step.state.spa_keys(self.gateway);
        let present = known.first().map_or(0, |key| key.generation);
        let kept = |key: &&SpaKey| key.generation == present || key.generation > self.generation;
        let keys: Vec<_> = known.iter().filter(kept).cloned().collect();
        if keys.len() < known.len() {
            step.state.spa.insert(self.gateway, keys);
            step.tell_spa(self.gateway);
        }
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    pub(crate) fn tell_spa(&mut self, gateway: ApplianceId) {
        if let Some((mode, keys, window_seconds)) = self.state.spa_of(gateway) {
            self.tell_gateway(gateway, FeedEvent::SpaChanged { mode, keys, window_seconds, peer_key: None });
        }
    }

    pub(crate) fn tell_spa_of_all(&mut self) {
        let gateways: Vec<_> = self.state.gateways().map(|gateway| gateway.appliance).collect();
        gateways.into_iter().for_each(|gateway| self.tell_spa(gateway));
    }
}

impl State {
    /// Generations of a Gateway's key, newest first.
    #[must_use]
    pub fn spa_keys(&self, gateway: ApplianceId) -> &[SpaKey] {
        self.spa.find(&gateway).map_or(&[], Vec::as_slice)
    }

    /// Former keys of Gateways that no living token carries at `now`.
    pub(crate) fn outlived_spa_keys(&self, now: UnixMillis) -> impl Iterator<Item = EndFormerGatewaySpaKey> {
        self.spa.iter().filter_map(move |(gateway, keys)| {
            let over = keys.windows(2).find(|pair| pair[0].since.plus(RETIRED_KEPT) < now)?;
            Some(EndFormerGatewaySpaKey { gateway: *gateway, generation: over[1].generation })
        })
    }

    /// How an appliance wants to be knocked on: its own override, or the Collective's setting.
    #[must_use]
    pub fn spa_mode_of(&self, appliance: ApplianceId) -> SpaMode {
        let own = self.appliance(appliance).and_then(|one| one.client_interface.override_spa_mode);
        own.unwrap_or(self.settings().spa_mode)
    }

    /// Mode, sealed keys and window of knocks on a Gateway.
    pub(crate) fn spa_of(&self, gateway: ApplianceId) -> Option<(SpaMode, Vec<KnockKey>, u32)> {
        self.appliance(gateway)?;
        let keys = self.spa_keys(gateway).iter().map(|key| key.sealed.as_str().to_owned().into()).collect();
        Some((self.spa_mode_of(gateway), keys, self.settings().spa_time_window_seconds))
    }
}
