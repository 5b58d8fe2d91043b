//! The master key for knocks, from which the keys of profiles, peers and administrators are derived: the present generation,
//! and former ones until everybody who has their keys has had the time to learn the new ones (T72).

use std::fmt;
use std::time::Duration;

use ringwall_protocol::id::{ApplianceId, LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::spa::SpaKey;
use super::step::Step;

/// Most generations that are accepted: each removal of a Controller makes one, and each lasts a week at least.
const GENERATIONS: usize = 16;
/// A former generation is accepted for at least so long: administrators learn their new keys when they sign in.
const FORMER_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Generations of the master key for knocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaMasters {
    /// The generations that are accepted, newest first; at most 16.
    pub keys: Vec<SpaKey>,
    /// The newest generation that a member has said it knows.
    known: Map<PeerKeyHolder, u32>,
}

/// A member that knocks on Controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeerKeyHolder {
    /// A Controller, which reads the key in the state.
    Controller(NodeId),
    /// A Gateway, which keeps it on its disk.
    Gateway(ApplianceId),
}

/// The master key for knocks is replaced; the present one becomes a former one. Keys of profiles, peers and administrators are
/// others from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateSpaMaster {
    /// The generation that is replaced, 0 for none: a repeated order changes nothing.
    pub replaces: u32,
    /// The new key.
    pub key: Sealed,
}

/// A member knows the keys that are derived from a generation, and needs none of the former.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotePeerKey {
    /// The member.
    pub holder: PeerKeyHolder,
    /// The newest generation whose keys it has.
    pub generation: u32,
}

/// Former generations are accepted no more: what knows only their keys opens no port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndFormerSpaMaster {
    /// The newest that ends, and all before it; the present one never does.
    pub generation: u32,
}

impl fmt::Display for PeerKeyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(node) => write!(f, "controller {node}"),
            Self::Gateway(gateway) => write!(f, "gateway {gateway}"),
        }
    }
}

impl SpaMasters {
    /// The present generation; 0 before the founding.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.keys.first().map_or(0, |key| key.generation)
    }

    /// The newest generation that a member has said it knows; 0 for none.
    fn known_by(&self, holder: PeerKeyHolder) -> u32 {
        self.known.find(&holder).copied().unwrap_or(0)
    }

    /// Entry that made the present generation.
    #[must_use]
    pub fn at(&self) -> LogIndex {
        self.keys.first().map_or(LogIndex(0), |key| key.at)
    }
}

impl RotateSpaMaster {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        self.key.check_active("key", &step.state.kek)?;
        let present = step.state.spa_masters.generation();
        if present != self.replaces {
            let state = format!("at generation {present}");
            return Err(Rejection::WrongState { what: "the master key for knocks".to_owned(), state });
        }
        let key = SpaKey { generation: present + 1, sealed: self.key.clone(), since: step.now, at: step.index };
        step.state.spa_masters.keys.insert(0, key);
        step.state.spa_masters.keys.truncate(GENERATIONS);
        step.tell_spa_of_all();
        Ok(Reply::Done)
    }
}

impl NotePeerKey {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if !step.state.peer_key_holders().any(|one| one == self.holder) {
            return Err(Rejection::not_found("member", self.holder));
        }
        // An older report may come late.
        let masters = &mut step.state.spa_masters;
        let newest = masters.known_by(self.holder).max(self.generation);
        masters.known.insert(self.holder, newest);
        Ok(Reply::Done)
    }
}

impl EndFormerSpaMaster {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let present = step.state.spa_masters.generation();
        step.state.spa_masters.keys.retain(|key| key.generation == present || key.generation > self.generation);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    pub(crate) fn forget_peer_key(&mut self, holder: PeerKeyHolder) {
        self.state.spa_masters.known.remove(&holder);
    }
}

impl State {
    /// Generations of the master key for knocks.
    #[must_use]
    pub const fn spa_masters(&self) -> &SpaMasters {
        &self.spa_masters
    }

    fn peer_key_holders(&self) -> impl Iterator<Item = PeerKeyHolder> {
        let controllers = self.living_controllers().map(|one| PeerKeyHolder::Controller(one.node));
        controllers.chain(self.living_gateways().map(|one| PeerKeyHolder::Gateway(one.appliance)))
    }

    /// Whether a member has said that it knows the keys of the present generation.
    #[must_use]
    pub fn knows_peer_key(&self, holder: PeerKeyHolder) -> bool {
        self.spa_masters.known_by(holder) >= self.spa_masters.generation()
    }

    /// Members that have not said yet that they know the keys of the present generation.
    pub fn members_with_former_peer_key(&self) -> impl Iterator<Item = PeerKeyHolder> {
        self.peer_key_holders().filter(|one| !self.knows_peer_key(*one))
    }

    /// The newest generation of the master key that nobody needs at `now`: every member knows a newer one, links of profiles
    /// have ended, and administrators had a week to sign in since it was replaced.
    #[must_use]
    pub fn former_spa_master_due(&self, now: UnixMillis) -> Option<u32> {
        let hours = self.client_profiles().map(|one| one.former_key_hours).max().unwrap_or(0);
        let kept = FORMER_KEPT.max(Duration::from_secs(u64::from(hours) * 3_600));
        let known = self.peer_key_holders().map(|one| self.spa_masters.known_by(one)).min().unwrap_or(0);
        let mut pairs = self.spa_masters.keys.windows(2);
        let due = pairs.find(|pair| now >= pair[0].since.plus(kept) && known >= pair[0].generation)?;
        Some(due[1].generation)
    }
}
