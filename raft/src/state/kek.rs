//! Generations of the key-encryption key, under which all secrets of the state are sealed (T72). The key itself is never in
//! the state in the clear: each Controller keeps it in its data directory, and a further one is offered to every member
//! wrapped for that member alone (RFC 9180).
//!
//! ```text
//! wanted ──OfferKek──▶ next ──ConfirmKek by every member──▶ active ──Reseal…──▶ RetireKek: oldest = active
//! ```
//! A member confirms when it holds the key on its disk; only then is anything sealed under it, so that no member ever meets a
//! secret that it cannot open. Who is removed meanwhile was offered the key: the offer is withdrawn and another
//! one is made.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::secret_place::SecretPlace;
use super::spa_master::PeerKeyHolder;
use super::step::Step;

/// Longest wrapped key as text: HPKE over X25519 makes 32 + 32 + 16 bytes of a key, 107 characters.
const MAX_WRAPPED: usize = 256;
/// Longest public key as text: X25519 has 32 bytes, 43 characters.
const MAX_PUBLIC: usize = 64;
/// Most secrets that one entry seals anew.
pub const MAX_RESEALED: usize = 256;
/// The first generation, made with the Collective.
pub const FIRST_GENERATION: u32 = 1;

/// Which key-encryption keys are in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kek {
    /// New secrets are sealed under it.
    pub active: u32,
    /// No stored secret is sealed under an older one.
    pub oldest: u32,
    /// Highest number that was ever given.
    highest: u32,
    /// Entry that made `active` so: what was made before it is known to whoever knew the former key.
    pub at: LogIndex,
    /// When that was; 0 for the first.
    pub since: UnixMillis,
    /// A further one is wanted, since when.
    pub wanted: Option<UnixMillis>,
    /// The offer that members are to confirm.
    pub next: Option<NextKek>,
}

/// A key-encryption key that is not in use yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextKek {
    /// Its number: one more than the highest that was ever given.
    pub generation: u32,
    /// It, wrapped for each member, base64url.
    pub wrapped: BTreeMap<NodeId, String>,
    /// Members that hold it.
    pub confirmed: BTreeSet<NodeId>,
    /// Since when it is offered.
    pub offered_at: UnixMillis,
}

impl Default for Kek {
    fn default() -> Self {
        Self {
            active: FIRST_GENERATION,
            oldest: FIRST_GENERATION,
            highest: FIRST_GENERATION,
            at: LogIndex(0),
            since: UnixMillis(0),
            wanted: None,
            next: None,
        }
    }
}

impl Kek {
    /// The number that a further key gets.
    #[must_use]
    pub const fn following(&self) -> u32 {
        self.highest.saturating_add(1)
    }

    /// Whether secrets may still be sealed under a key before `active`.
    #[must_use]
    pub const fn has_former(&self) -> bool {
        self.oldest < self.active
    }
}

/// Wants a further key-encryption key, and with it further keys of everything that is derived from secrets of the Collective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderKeyRotation {}

/// Offers a further key-encryption key to all members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferKek {
    /// [`Kek::following`]: a repeated offer changes nothing.
    pub generation: u32,
    /// It, wrapped for each member that is not removed, and for nobody else.
    pub wrapped: BTreeMap<NodeId, String>,
}

/// A member holds the key that is offered. The last one's makes it the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmKek {
    /// The member that has the key on its disk.
    pub node: NodeId,
    /// Number of the key that is offered.
    pub generation: u32,
}

/// Secrets are sealed under the active key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reseal {
    /// At most [`MAX_RESEALED`].
    pub secrets: Vec<Resealed>,
}

/// A secret in two seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resealed {
    /// Where it stands.
    pub place: SecretPlace,
    /// As it stood; if it does not any more, it is left as it is.
    pub former: Sealed,
    /// As it is to stand.
    pub sealed: Sealed,
}

/// No secret is sealed under a former key any more: nobody needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetireKek {
    /// The active generation; refused if it is another, or if a secret is still sealed under a former one.
    pub active: u32,
}

impl OrderKeyRotation {
    #[expect(clippy::unused_self, reason = "every command has the same form")]
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let now = step.now;
        step.state.collective_mut()?;
        let kek = &mut step.state.kek;
        // One that is under way is what is ordered.
        if kek.next.is_none() && !kek.has_former() {
            kek.wanted.get_or_insert(now);
        }
        Ok(Reply::Done)
    }
}

impl OfferKek {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let kek = &step.state.kek;
        if self.generation != kek.following() {
            return Err(wrong_state(format!("at generation {}", kek.highest)));
        }
        if kek.has_former() {
            return Err(wrong_state("being replaced".to_owned()));
        }
        let living = members(step.state);
        if !self.wrapped.keys().eq(&living) {
            return Err(Rejection::invalid("wrapped", "is for other Controllers than the members"));
        }
        if self.wrapped.values().any(|text| text.is_empty() || text.len() > MAX_WRAPPED) {
            return Err(Rejection::invalid("wrapped", format!("have 1 to {MAX_WRAPPED} characters each")));
        }
        let next = NextKek {
            generation: self.generation,
            wrapped: self.wrapped.clone(),
            confirmed: BTreeSet::new(),
            offered_at: step.now,
        };
        let kek = &mut step.state.kek;
        (kek.highest, kek.wanted, kek.next) = (self.generation, None, Some(next));
        Ok(Reply::Done)
    }
}

impl ConfirmKek {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let living = members(step.state);
        if !living.contains(&self.node) {
            return Err(Rejection::not_found("controller", self.node));
        }
        let (index, now) = (step.index, step.now);
        let kek = &mut step.state.kek;
        let Some(next) = kek.next.as_mut().filter(|next| next.generation == self.generation) else {
            return Err(wrong_state(format!("at generation {}", kek.highest)));
        };
        next.confirmed.insert(self.node);
        if next.confirmed.is_superset(&living) {
            (kek.active, kek.at, kek.since, kek.next) = (self.generation, index, now, None);
        }
        Ok(Reply::Done)
    }
}

impl Reseal {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.secrets.len() > MAX_RESEALED {
            return Err(Rejection::too_many("secrets in an entry", MAX_RESEALED));
        }
        for one in &self.secrets {
            // The number of the generation may have a digit more than the former one's.
            if one.sealed.as_str().len() > one.former.as_str().len() + 8 {
                return Err(Rejection::invalid("sealed", "is longer than what it replaces"));
            }
            if one.sealed.generation() != Some(step.state.kek.active) {
                return Err(wrong_state(format!("at generation {}", step.state.kek.active)));
            }
        }
        for one in &self.secrets {
            step.state.replace_secret(&one.place, &one.former, &one.sealed);
        }
        Ok(Reply::Done)
    }
}

impl RetireKek {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.active != step.state.kek.active {
            return Err(wrong_state(format!("at generation {}", step.state.kek.active)));
        }
        if let Some((place, _)) = step.state.secrets_under_former_keys().next() {
            return Err(wrong_state(format!("still needed for {place}")));
        }
        step.state.kek.oldest = self.active;
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    /// A Controller that is removed knows the present keys, and one that is offered to it: further ones are wanted.
    pub(crate) fn distrust_keys_of(&mut self, node: NodeId) {
        self.state.wrap_keys.remove(&node);
        self.forget_peer_key(PeerKeyHolder::Controller(node));
        self.state.kek.next = None;
        self.state.kek.wanted = Some(self.now);
    }

    /// A member's key for wrapping.
    pub(crate) fn note_wrap_key(&mut self, node: NodeId, public: &str) -> Result<(), Rejection> {
        if public.is_empty() || public.len() > MAX_PUBLIC {
            return Err(Rejection::invalid("wrapKey", format!("has 1 to {MAX_PUBLIC} characters")));
        }
        self.state.wrap_keys.insert(node, public.to_owned());
        Ok(())
    }
}

impl State {
    /// Which key-encryption keys are in use.
    #[must_use]
    pub const fn kek(&self) -> &Kek {
        &self.kek
    }

    /// The public key with which secrets are wrapped for a member, X25519, base64url.
    #[must_use]
    pub fn wrap_key(&self, node: NodeId) -> Option<&str> {
        self.wrap_keys.find(&node).map(String::as_str)
    }
}

/// Who is offered a key, and confirms it.
fn members(state: &State) -> BTreeSet<NodeId> {
    state.living_controllers().map(|one| one.node).collect()
}

fn wrong_state(state: String) -> Rejection {
    Rejection::WrongState { what: "the key-encryption key".to_owned(), state }
}
