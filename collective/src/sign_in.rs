//! Sign-in. The order of steps is fixed (`docs/token-flow.md`), every refusal looks alike to a stranger (T39), and the
//! token's `idx` is that of the state in which the first check was made, however late it is minted (T4).

mod begin;
pub(crate) mod challenges;
mod decision;
pub(crate) mod devices;
pub(crate) mod failures;
pub(crate) mod lockout;
pub(crate) mod mfa;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::claims::{StepUp, UntrustedClaims};
use ringwall_protocol::id::{DeviceId, LogIndex, SignInId, Thumbprint};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{SignInAnswer, SignInRequest, SignedIn};
use ringwall_raft::State;
use ringwall_raft::state::device::{DeviceMatch, match_device};
use uuid::Uuid;

use self::challenges::Challenges;
use self::decision::{Decided, Decision, decide};
use self::devices::{Cookie, Registered, Registering};
use self::lockout::Lockout;
use crate::audit::client_events::Audit;
use crate::identity::Providers;
use crate::identity::directory::{Attempt, Claimed, Directory, Further, KnownUser, Proof};
use crate::issuing::check;
use crate::issuing::mint::{Bearer, KnownClaims, Validity, claims_life, claims_token, head, minutes};
use crate::issuing::signers::Signers;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::setup::vault::Vault;
use ringwall_trust::spa::KeyOwner;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Sign-ins in progress at once; beyond it `busy`.
pub(crate) const MAX_SIGN_INS: usize = 256;
/// Refused sign-ins leave no earlier than this after they came (T39): what was wrong does not show in time.
pub(crate) const REFUSAL_FLOOR: Duration = Duration::from_millis(250);
/// A caller without a certificate, on a sign-in connection.
#[derive(Debug, Clone)]
pub(crate) struct UnauthenticatedClient {
    /// Where the connection comes from.
    pub(crate) address: IpAddr,
    /// Whose key knocked.
    pub(crate) knock: Option<KeyOwner>,
    /// Exporter of the connection, to which a certificate's proof is bound.
    pub(crate) exporter: Option<[u8; 32]>,
}

/// A user who authenticated himself, on a device, in a sign-in that is not finished.
#[derive(Debug, Clone)]
pub(crate) struct AuthenticatedUser {
    pub(crate) user: KnownUser,
    pub(crate) provider: IdentityProvider,
    pub(crate) dn: SessionDn,
    pub(crate) jkt: Thumbprint,
    pub(crate) cookie: Option<Cookie>,
    pub(crate) hostname: String,
    /// Where the request came from.
    pub(crate) from: IpAddr,
    /// Index of the state in which the first check was made.
    pub(crate) started_idx: LogIndex,
    pub(crate) started_at: UnixMillis,
    pub(crate) step_ups: BTreeMap<String, StepUp>,
}

/// How far the first credential led.
enum CredentialOutcome {
    /// It authenticated the user.
    Authenticated(Box<AuthenticatedUser>),
    /// The provider wants another answer before it says.
    ChallengeNeeded(Box<PendingChallenge>),
}

/// A sign-in whose provider wants another answer: what is known of it until then.
pub(crate) struct PendingChallenge {
    pub(crate) dn: SessionDn,
    pub(crate) provider: IdentityProvider,
    pub(crate) jkt: Thumbprint,
    pub(crate) cookie: Option<Cookie>,
    pub(crate) hostname: String,
    pub(crate) started_idx: LogIndex,
    pub(crate) started_at: UnixMillis,
    pub(crate) further: Further,
}

/// What signs users in.
pub(crate) struct SignIn {
    replica: Replica,
    audit: Audit,
    vault: Arc<Vault>,
    providers: Arc<Providers>,
    signers: Arc<Signers>,
    lockout: Arc<Lockout>,
    challenges: Arc<Challenges>,
    places: Arc<Semaphore>,
}

/// What sign-ins are made of.
pub(crate) struct Parts {
    pub(crate) replica: Replica,
    pub(crate) audit: Audit,
    pub(crate) vault: Arc<Vault>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) lockout: Arc<Lockout>,
    pub(crate) challenges: Arc<Challenges>,
    /// One place for each sign-in in progress, of users and administrators alike.
    pub(crate) places: Arc<Semaphore>,
}

impl SignIn {
    /// Sign-ins with these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { replica, audit, vault, providers, signers, lockout, challenges, places } = parts;
        Self { replica, audit, vault, providers, signers, lockout, challenges, places }
    }

    /// First request of a sign-in.
    ///
    /// # Errors
    /// `signInRefused` for whatever is wrong with user, password or permission; `providerUnavailable`; after the password
    /// was right also `deviceConflict` and `deviceLimit`; `busy`, `noQuorum`.
    pub(crate) async fn sign_in(
        &self,
        caller: &UnauthenticatedClient,
        request: SignInRequest,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        let _place = self.places.try_acquire().map_err(|_| Refusal::busy())?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_sign_in(caller, request, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_sign_in(
        &self,
        caller: &UnauthenticatedClient,
        request: SignInRequest,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        self.lockout.failures.may_try(caller.address, now)?;
        let state = self.replica.current().await?;
        match self.prove(&state, caller, &request, now).await? {
            CredentialOutcome::Authenticated(authenticated) => {
                self.continue_authenticated(&state, *authenticated, now).await
            }
            CredentialOutcome::ChallengeNeeded(pending) => {
                self.open_challenge(*pending).await.map(SignInAnswer::MfaWanted)
            }
        }
    }

    /// From the authenticated user to the registration, or to the factor that is wanted before it.
    pub(crate) async fn continue_authenticated(
        &self,
        state: &State,
        authenticated: AuthenticatedUser,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        let Decided { decision, audited } = decide(state, &authenticated, now);
        if let Some(kind) = audited {
            self.audit.event(kind, Some(&authenticated.dn), authenticated.from).emit();
        }
        match decision {
            Decision::FactorWanted(wanted) => {
                self.open_sign_in(state, authenticated, wanted).await.map(SignInAnswer::MfaWanted)
            }
            Decision::Complete => self.complete_sign_in(authenticated, false).await.map(SignInAnswer::SignedIn),
            Decision::Refused(refusal) => Err(refusal),
        }
    }

    /// Blocklist, lock-out, identity provider, in this order; all take the same time.
    async fn prove(
        &self,
        state: &Arc<State>,
        caller: &UnauthenticatedClient,
        request: &SignInRequest,
        now: UnixMillis,
    ) -> Result<CredentialOutcome, Refusal> {
        let provider = permitted_provider(state, caller, &request.identity_provider, request.device_id);
        let claimed =
            provider.map_or(Claimed::Nobody, |one| self.providers.directories.claimed(one, &request.credential));
        let (Some(provider), Some(provider_name)) = (provider, provider.and_then(name_of)) else {
            return self.refuse(state, caller.address, None, request, now).await;
        };
        let dn_of = |user: UserName| SessionDn {
            device: request.device_id,
            user: UserDn { user, provider: provider_name.clone() },
        };
        let cookie = Cookie::parse(request.device_cookie.as_deref());
        let key = request.key_thumbprint;
        let known_device = |dn: &SessionDn| self.is_known_device(state, provider, dn, cookie.as_ref(), key, now);
        let claimed = match claimed {
            Claimed::Nobody => return self.refuse(state, caller.address, None, request, now).await,
            Claimed::Name(name) => Some(dn_of(name)),
            Claimed::Later => None,
        };
        if let Some(dn) = &claimed
            && self.lockout.may_not_try(state, dn, known_device(dn), now)
        {
            return self.refuse(state, caller.address, Some((dn, known_device(dn), provider)), request, now).await;
        }
        let attempt = Attempt {
            credential: &request.credential,
            device: request.device_id,
            key,
            exporter: caller.exporter.as_ref(),
        };
        let proof = self.providers.directories.prove(state, provider, &attempt).await?;
        let hostname = hostname(&request.device_claims);
        let (started_idx, started_at) = (state.index(), now);
        match (proof, claimed) {
            (Proof::User(user), claimed) => {
                let dn = dn_of(user.name.clone());
                // A name that only the provider knew is judged now; one that was claimed must be the one that answers.
                let another = claimed.as_ref().is_some_and(|claimed| *claimed != dn);
                if another || self.lockout.may_not_try(state, &dn, known_device(&dn), now) {
                    self.lockout.failed(caller.address, &dn, false, provider, now).await;
                    return Err(Refusal::sign_in());
                }
                Ok(CredentialOutcome::Authenticated(Box::new(AuthenticatedUser {
                    user: *user,
                    provider: provider.clone(),
                    dn,
                    jkt: key,
                    cookie,
                    hostname,
                    from: caller.address,
                    started_idx,
                    started_at,
                    step_ups: BTreeMap::new(),
                })))
            }
            (Proof::Further(further), Some(dn)) => {
                let (provider, jkt) = (provider.clone(), key);
                let pending =
                    PendingChallenge { dn, provider, jkt, cookie, hostname, started_idx, started_at, further };
                Ok(CredentialOutcome::ChallengeNeeded(Box::new(pending)))
            }
            (Proof::Nobody, Some(dn)) => {
                self.lockout.failed(caller.address, &dn, known_device(&dn), provider, now).await;
                Err(Refusal::sign_in())
            }
            // Without a name there is nobody to whom a transaction could be bound.
            (Proof::Nobody | Proof::Further(_), None) => {
                self.lockout.failures.count_source(caller.address, now);
                Err(Refusal::sign_in())
            }
        }
    }

    /// The one refusal, after the work that a right user would have cost.
    async fn refuse(
        &self,
        state: &State,
        address: IpAddr,
        who: Option<(&SessionDn, bool, &IdentityProvider)>,
        request: &SignInRequest,
        now: UnixMillis,
    ) -> Result<CredentialOutcome, Refusal> {
        let provider = who.map(|(_, _, provider)| provider);
        self.providers.directories.prove_nobody(state, provider, &request.credential).await?;
        match who {
            Some((dn, known, provider)) => self.lockout.failed(address, dn, known, provider, now).await,
            None => self.lockout.failures.count_source(address, now),
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

    /// Registers the device, allocates addresses, mints the claims token.
    pub(crate) async fn complete_sign_in(
        &self,
        authenticated: AuthenticatedUser,
        mfa_given: bool,
    ) -> Result<SignedIn, Refusal> {
        let (new_cookie, cookie_text) = Cookie::fresh();
        let registering = Registering { authenticated: &authenticated, new_cookie: &new_cookie, mfa_given };
        let Registered { addresses, spa_key, matched } = self.register(registering).await?;
        // The registration is part of this state, and so is every revocation that was committed before it.
        let state = self.replica.current().await?;
        if state.blocked(&authenticated.dn.user).is_some() {
            return Err(Refusal::sign_in());
        }
        let collective = check::collective(&state)?;
        let now = self.replica.now();
        let bearer = Bearer {
            dn: authenticated.dn.clone(),
            sid: SignInId::new(Uuid::new_v4()),
            user: authenticated.user.id,
            provider: authenticated.provider.base.id,
            device: authenticated.dn.device,
            jkt: authenticated.jkt,
        };
        let sign_in_life = minutes(collective.settings.max_sign_in_minutes, u32::MAX / 60);
        let sign_in_until = authenticated.started_at.plus(sign_in_life);
        let sign_in_until = authenticated.user.until.map_or(sign_in_until, |end| end.min(sign_in_until)).seconds();
        let validity =
            Validity { idx: authenticated.started_idx, now, life: claims_life(collective), not_after: sign_in_until };
        let known = KnownClaims {
            sign_in_idx: authenticated.started_idx,
            auth_time: authenticated.started_at.seconds(),
            sign_in_until,
            user: authenticated.user.claims,
            step_ups: authenticated.step_ups,
            addresses,
        };
        let token = claims_token(head(collective, &bearer, collective.id.uuid(), validity), known);
        check::stands(&state, &token)?;
        let text = self.signers.sign(&state, &token)?;
        if !matched {
            self.audit.event("device_registered", Some(&authenticated.dn), authenticated.from).emit();
        }
        self.audit
            .event("authentication_succeeded", Some(&authenticated.dn), authenticated.from)
            .at(authenticated.started_idx)
            .with("claims_token_id", token.head.jti.to_string())
            .emit();
        metrics::counter!("ringwall_sign_ins_total").increment(1);
        Ok(SignedIn {
            claims_token: text,
            device_cookie: cookie_text,
            device_spa_key: spa_key,
            controllers: devices::controllers(&state),
            on_demand_claims: authenticated.provider.on_demand_claim_mappings,
            notices: authenticated.user.notices,
        })
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
