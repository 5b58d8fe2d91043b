//! When the link of a client profile was last given out (S4).
//!
//! Kept beside the profile, not in it: giving a link out is no change to the profile's version.

use ringwall_protocol::id::ProfileId;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// The link of a profile was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteProfileExport {
    /// Id of the client profile.
    pub profile: ProfileId,
}

impl NoteProfileExport {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if step.state.client_profile(self.profile).is_none() {
            return Err(Rejection::not_found("client profile", self.profile));
        }
        step.state.profile_exports.insert(self.profile, step.now);
        Ok(Reply::Done)
    }
}

impl State {
    /// When a profile's link was last given out.
    #[must_use]
    pub fn profile_exported(&self, profile: ProfileId) -> Option<UnixMillis> {
        self.profile_exports.find(&profile).copied()
    }
}
