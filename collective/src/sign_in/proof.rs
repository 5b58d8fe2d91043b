//! The first credential of a sign-in: who may try at all, what the identity provider says, and the one refusal for
//! whatever is wrong, after the work that a right user would have cost (T39).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::SignInRequest;
use ringwall_raft::State;
use ringwall_raft::state::device::{DeviceMatch, match_device};
use ringwall_trust::spa::KeyOwner;

use super::attempter::Attempter;
use super::devices::Cookie;
use super::{AuthenticatedUser, Begun, CredentialOutcome, PendingChallenge, SignIn, UnauthenticatedClient};
use crate::identity::directory::{Attempt, Claimed, Directory, Proof};
use crate::refusal::Refusal;

impl SignIn {
    /// Who tries: a registered device by its cookie and key, or by its knock; else whoever is at an address.
    pub(super) fn attempter(
        &self,
        state: &State,
        caller: &UnauthenticatedClient,
        request: &SignInRequest,
        now: UnixMillis,
    ) -> Attempter {
        let known = || {
            let provider = permitted_provider(state, caller, &request.identity_provider, request.device_id)?;
            let Claimed::Name(user) = self.providers.directories.claimed(provider, &request.credential) else {
                return None;
            };
            let dn = SessionDn { device: request.device_id, user: UserDn { user, provider: name_of(provider)? } };
            let cookie = Cookie::parse(request.device_cookie.as_deref());
            let known = self.is_known_device(state, provider, &dn, cookie.as_ref(), request.key_thumbprint, now);
            let user = self.providers.directories.id_of(state, provider, &dn.user.user).filter(|_| known)?;
            Some(Attempter::Device(user, dn.device))
        };
        known().unwrap_or_else(|| by_knock(state, caller))
    }

    /// Blocklist, lock-out, identity provider, in this order; all take the same time.
    pub(super) async fn prove(
        &self,
        state: &Arc<State>,
        (caller, attempter): (&UnauthenticatedClient, Attempter),
        request: &SignInRequest,
        now: UnixMillis,
    ) -> Result<CredentialOutcome, Refusal> {
        let tries = (attempter, caller.address);
        let provider = permitted_provider(state, caller, &request.identity_provider, request.device_id);
        let claimed =
            provider.map_or(Claimed::Nobody, |one| self.providers.directories.claimed(one, &request.credential));
        let (Some(provider), Some(provider_name)) = (provider, provider.and_then(name_of)) else {
            return self.refuse(state, tries, None, request, now).await;
        };
        let dn_of = |user: UserName| SessionDn {
            device: request.device_id,
            user: UserDn { user, provider: provider_name.clone() },
        };
        let cookie = Cookie::parse(request.device_cookie.as_deref());
        let key = request.key_thumbprint;
        let known_device = |dn: &SessionDn| self.is_known_device(state, provider, dn, cookie.as_ref(), key, now);
        let claimed = match claimed {
            Claimed::Nobody => {
                self.providers.directories.report_unusable_name(provider, &request.credential);
                return self.refuse(state, tries, None, request, now).await;
            }
            Claimed::Name(name) => Some(dn_of(name)),
            Claimed::Later => None,
        };
        if let Some(dn) = &claimed
            && self.lockout.may_not_try(state, dn, known_device(dn), now)
        {
            return self.refuse(state, tries, Some((dn, known_device(dn), provider)), request, now).await;
        }
        let attempt = Attempt {
            credential: &request.credential,
            device: request.device_id,
            key,
            exporter: caller.exporter.as_ref(),
            lane: attempter.lane(),
        };
        let proof = self.providers.directories.prove(state, provider, &attempt).await?;
        let begun = |dn: SessionDn, cookie: Option<Cookie>| Begun {
            provider: provider.clone(),
            dn,
            jkt: key,
            cookie,
            hostname: hostname(&request.device_claims),
            from: caller.address,
            attempter,
            started_idx: state.index(),
            started_at: now,
        };
        match (proof, claimed) {
            (Proof::User(user), claimed) => {
                let dn = dn_of(user.name.clone());
                // A name that only the provider knew is judged now; one that was claimed must be the one that answers.
                let another = claimed.as_ref().is_some_and(|claimed| *claimed != dn);
                if another || self.lockout.may_not_try(state, &dn, known_device(&dn), now) {
                    self.lockout.failed(tries, &dn, false, provider, now).await;
                    return Err(Refusal::sign_in());
                }
                let begun = begun(dn, cookie);
                let authenticated = AuthenticatedUser { begun, user: *user, step_ups: BTreeMap::new() };
                Ok(CredentialOutcome::Authenticated(Box::new(authenticated)))
            }
            (Proof::Further(further), Some(dn)) => {
                let begun = begun(dn, cookie);
                Ok(CredentialOutcome::ChallengeNeeded(Box::new(PendingChallenge { begun, further })))
            }
            (Proof::Incomplete { name, cause }, _) => {
                self.refuse_incomplete(&dn_of(name), &cause, caller.address);
                Err(Refusal::sign_in())
            }
            (Proof::Nobody, Some(dn)) => {
                self.lockout.failed(tries, &dn, known_device(&dn), provider, now).await;
                Err(Refusal::sign_in())
            }
            // Without a name there is nobody to whom a transaction could be bound.
            (Proof::Nobody | Proof::Further(_), None) => {
                self.lockout.failures.count(attempter, now);
                Err(Refusal::sign_in())
            }
        }
    }

    /// A user who is proved, and of whom the provider does not say all that mappings read. It counts as nobody's failure: he
    /// did what was asked of him.
    pub(super) fn refuse_incomplete(&self, dn: &SessionDn, cause: &str, from: IpAddr) {
        metrics::counter!("ringwall_sign_ins_refused_total").increment(1);
        self.audit.event("authentication_failed", Some(dn), from).with("cause", cause).emit();
    }

    /// The one refusal, after the work that a right user would have cost.
    async fn refuse(
        &self,
        state: &State,
        (attempter, address): (Attempter, IpAddr),
        who: Option<(&SessionDn, bool, &IdentityProvider)>,
        request: &SignInRequest,
        now: UnixMillis,
    ) -> Result<CredentialOutcome, Refusal> {
        let provider = who.map(|(_, _, provider)| provider);
        self.providers.directories.prove_nobody(state, provider, &request.credential, attempter.lane()).await?;
        match who {
            Some((dn, known, provider)) => self.lockout.failed((attempter, address), dn, known, provider, now).await,
            None => self.lockout.failures.count(attempter, now),
        }
        Err(Refusal::sign_in())
    }

    /// Whether a registered device is trying, by its cookie and key, before anybody authenticated anything.
    fn is_known_device(
        &self,
        state: &State,
        provider: &IdentityProvider,
        dn: &SessionDn,
        cookie: Option<&Cookie>,
        key: Thumbprint,
        now: UnixMillis,
    ) -> bool {
        let user = self.providers.directories.id_of(state, provider, &dn.user.user);
        let presented = cookie.map(Cookie::hash);
        user.and_then(|user| state.device(user, dn.device)).is_some_and(|device| {
            device.dn == *dn && match_device(device, presented.as_deref(), key, now) == DeviceMatch::Known
        })
    }
}

/// Who a connection comes from, by whose key knocked.
pub(super) fn by_knock(state: &State, caller: &UnauthenticatedClient) -> Attempter {
    match caller.knock {
        Some(KeyOwner::Device(user, device)) if state.device(user, device).is_some() => Attempter::Device(user, device),
        _ => Attempter::Source(caller.address),
    }
}

/// The provider's name as it stands in DNs.
fn name_of(provider: &IdentityProvider) -> Option<ProviderName> {
    ProviderName::parse(provider.base.name.clone()).ok()
}

/// The provider that the request names, if the knock permits it (T21).
pub(crate) fn permitted_provider<'a>(
    state: &'a State,
    caller: &UnauthenticatedClient,
    named: &str,
    from: DeviceId,
) -> Option<&'a IdentityProvider> {
    let provider = state.identity_providers().find(|provider| provider.base.name == named)?;
    let permitted = match &caller.knock {
        None => true,
        Some(KeyOwner::Profile(name)) => state
            .client_profiles()
            .any(|profile| crate::listener::spa::opens(profile, name) && profile.identity_provider == provider.base.id),
        Some(KeyOwner::Device(user, device)) => {
            *device == from && state.device(*user, *device).is_some_and(|known| known.provider_id == provider.base.id)
        }
        Some(_) => false,
    };
    permitted.then_some(provider)
}

/// What the device calls itself, for people; cut to what is kept.
fn hostname(claims: &UntrustedClaims) -> String {
    let name = claims.0.claim("hostname").and_then(|value| value.as_str()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
