//! Whose rights are compared: devices with a live session first, then registered ones, each with the claims that are
//! known now, in the state as it is and as it would be.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{ProviderId, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::wire::what_if::{Examined, MAX_EXAMINED};
use ringwall_raft::State;

use crate::administration::questions::Questions;
use crate::identity::directory::claims_of_local_user;

/// One device of one user.
pub(super) struct Person {
    pub(super) dn: SessionDn,
    pub(super) user: UserId,
    pub(super) provider: IdentityProvider,
    pub(super) session: Option<SessionSummary>,
    /// Claims now; absent if the user may not sign in.
    pub(super) before: Option<ClaimMap>,
    /// Claims after the draft.
    pub(super) after: Option<ClaimMap>,
}

impl Questions {
    /// Everybody whom a draft could concern, and how many there are.
    pub(super) async fn people(
        &self,
        before: &State,
        after: &State,
        sessions: Vec<SessionSummary>,
        deadline: Instant,
    ) -> (Vec<Person>, Examined) {
        let mut examined = Examined::default();
        let mut people = Vec::new();
        let mut asked: BTreeMap<UserId, Option<Option<ClaimMap>>> = BTreeMap::new();
        for (dn, (user, provider), session) in candidates(before, sessions) {
            if people.len() >= MAX_EXAMINED || Instant::now() >= deadline {
                examined.left_out += 1;
                continue;
            }
            let Some(provider) = before.identity_provider(provider).cloned() else {
                examined.unknown += 1;
                continue;
            };
            let claims = if provider.kind() == IdentityProviderKind::LocalDatabase {
                Some((local_claims(before, user), local_claims(after, user)))
            } else {
                let told = match asked.entry(user) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => {
                        unknown.insert(self.claims_of(before, &provider, &dn, session.as_ref()).await.ok())
                    }
                };
                told.clone().map(|claims| (claims.clone(), claims))
            };
            let Some((before, after)) = claims else {
                examined.unknown += 1;
                continue;
            };
            match session {
                Some(_) => examined.sessions += 1,
                None => examined.devices += 1,
            }
            people.push(Person { dn, user, provider, session, before, after });
        }
        (people, examined)
    }
}

/// Devices by DN: live ones first. A session's newest summary stands for all of its Sites' sessions.
fn candidates(
    state: &State,
    sessions: Vec<SessionSummary>,
) -> Vec<(SessionDn, (UserId, ProviderId), Option<SessionSummary>)> {
    let mut live: BTreeMap<SessionDn, SessionSummary> = BTreeMap::new();
    for session in sessions {
        let newer = live.get(&session.dn).is_none_or(|known| known.since < session.since);
        if newer {
            live.insert(session.dn.clone(), session);
        }
    }
    let bound: BTreeSet<&SessionDn> = state.bindings().map(|binding| &binding.dn).collect();
    let devices = state.devices().map(|device| {
        let session = live.get(&device.dn).cloned();
        let is_live = session.is_some() || bound.contains(&device.dn);
        (!is_live, (device.dn.clone(), (device.user_id, device.provider_id), session))
    });
    let mut all: Vec<_> = devices.collect();
    all.sort_by_key(|(idle, _)| *idle);
    all.into_iter().map(|(_, device)| device).collect()
}

/// What is known of a local user who may sign in.
fn local_claims(state: &State, user: UserId) -> Option<ClaimMap> {
    let provider = state.local_provider()?;
    let user = state.local_user(user).filter(|user| !user.disabled)?;
    Some(claims_of_local_user(user, provider))
}
