//! Names of profiles' knock keys, and how far their generations have come (T71). A name is never forgotten: a profile that
//! is made again under it has another key than the one that was removed.

use std::time::Duration;

use ringwall_protocol::object::{ClientProfile, Object, ObjectKind};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::step::Step;

/// Most names, those of removed profiles included: one a day for a hundred years.
const MAX_NAMES: usize = 36_525;

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpaName {
    /// The highest generation that was ever in use.
    highest: u32,
    /// The one before, if a living profile was rotated; a profile that was made again has none.
    former: Option<u32>,
    /// Since when that is.
    since: UnixMillis,
}

impl Step<'_> {
    /// Gives a profile that is to be written the generation that it can have: the one that it names, if its name is new or
    /// that generation is still in use; otherwise one that nobody had. Other profiles with the same key follow.
    pub(crate) fn settle_generation(&mut self, profile: &mut ClientProfile) -> Result<(), Rejection> {
        let name = profile.key_name().to_owned();
        let known = self.state.spa_names.find(&name).copied();
        if known.is_none() && self.state.spa_names.len() >= MAX_NAMES {
            return Err(Rejection::too_many("names of knock keys", MAX_NAMES));
        }
        let living: Vec<_> = self.state.client_profiles().filter(|one| one.key_name() == name).collect();
        let former = living.iter().map(|one| one.key_generation).max();
        let sharing: Vec<_> = living.iter().map(|one| one.base.id).filter(|id| *id != profile.base.id).collect();
        let lowest = former.or_else(|| known.map(|known| known.highest.saturating_add(1))).unwrap_or(0);
        profile.key_generation = profile.key_generation.max(lowest);
        let generation = profile.key_generation;
        if known.is_none_or(|known| known.highest < generation) {
            self.state.spa_names.insert(name, SpaName { highest: generation, former, since: self.now });
        }
        for other in sharing {
            self.state.objects.amend(ObjectKind::ClientProfile, other.uuid(), self.index, |object| {
                if let Object::ClientProfile(other) = object {
                    other.key_generation = generation;
                }
            });
        }
        Ok(())
    }
}

impl State {
    /// The generation before the present one of a profile's key, while it is still accepted at `now`.
    #[must_use]
    pub fn former_generation(&self, profile: &ClientProfile, now: UnixMillis) -> Option<u32> {
        let name = self.spa_names.find(&profile.key_name().to_owned())?;
        let kept = Duration::from_secs(u64::from(profile.former_key_hours) * 3_600);
        name.former.filter(|_| now < name.since.plus(kept))
    }
}
