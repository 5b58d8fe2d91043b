//! On-boarding pages: what a newcomer reads in a browser before there is a Client (S4).
//!
//! A page is named by a token that nobody can guess: profile, key generation and end, sealed under the Collective's
//! key. Any Controller knows it, nothing is stored, and it is invalid once its time is over, the profile's key is
//! rotated, its enrolment closed or the profile deleted. Every wrong name gets the same answer, and is counted. Pages are
//! served at the admin port, which is as dark as ever: only to the sources that may reach it without a knock. Who is
//! elsewhere gets the page as a file, or the link by mail.

pub(crate) mod page;

use std::net::IpAddr;

use ringwall_protocol::id::ProfileId;
use ringwall_protocol::object::ClientProfile;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::administration::profiles::Profiles;
use crate::audit::event::Event;
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;
use crate::sign_in::attempter::Attempter;

/// Below the admin port, beside `/admin`.
pub(crate) const PATH: &str = "/on-boarding";
/// Longest token that is looked at, in bytes: ours have some 200.
const MAX_TOKEN: usize = 512;

/// What a page's name says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    profile: ProfileId,
    generation: u32,
    expires: UnixMillis,
}

impl Profiles {
    /// The path of a profile's page until `expires`.
    pub(crate) fn on_boarding_path(&self, profile: &ClientProfile, expires: UnixMillis) -> String {
        let named = Named { profile: profile.base.id, generation: profile.key_generation, expires };
        let named = serde_json::to_vec(&named).expect("ids and numbers serialise");
        format!("{PATH}/{}", self.vault.seal(Purpose::OnBoarding, &named).as_str())
    }

    /// The page of this name, as HTML.
    ///
    /// # Errors
    /// `notFound` whatever is wrong with the name; `busy` for a source that tried too many; `noQuorum`.
    pub(crate) async fn on_boarding_page(&self, from: IpAddr, token: &str, now: UnixMillis) -> Result<String, Refusal> {
        self.lockout.failures.may_try(Attempter::Source(from), now)?;
        let state = self.replica.current().await?;
        let named = self.named_by(token).filter(|named| named.expires > now);
        let profile = named.as_ref().and_then(|named| {
            let profile = state.client_profile(named.profile)?;
            (profile.enrolment && profile.key_generation == named.generation).then_some(profile)
        });
        let (Some(named), Some(profile)) = (named, profile) else {
            self.lockout.failures.count(Attempter::Source(from), now);
            return Err(unknown());
        };
        let told = self.tell_profile(&state, profile).map_err(|denial| {
            tracing::warn!(%denial, profile = profile.base.name, "on-boarding page cannot be made");
            unknown()
        })?;
        let collective = state.collective().map(|collective| collective.id);
        Event::new("on_boarding_page_shown", collective, None, from).with("entity_name", told.profile.as_str()).emit();
        Ok(page::document(&told, Some(named.expires)))
    }

    fn named_by(&self, token: &str) -> Option<Named> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let named = self.vault.open_foreign(Purpose::OnBoarding, token)?;
        serde_json::from_slice(&named).ok()
    }
}

fn unknown() -> Refusal {
    Refusal::new(
        ringwall_protocol::wire::error::ErrorCode::NotFound,
        "there is no such page, or no longer; ask your administrator for a new one",
    )
}
