//! Sign-in of users, from the first credential to the claims token.
//!
//! Owns the counters of failed attempts and the places for sign-ins in progress. Promises that the order of steps is fixed
//! (`docs/token-flow.md`), that every refusal looks alike to an unauthenticated client (T39), and that the token's `idx` is
//! that of the state in which the first check was made, however late it is minted (T4). What a credential proves is left to
//! `identity`, what stands in a token to `issuing`.

pub(crate) mod attempter;
mod begin;
pub(crate) mod challenges;
mod completion;
mod decision;
pub(crate) mod devices;
pub(crate) mod failures;
pub(crate) mod lockout;
pub(crate) mod mfa;
mod proof;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::claims::StepUp;
use ringwall_protocol::id::{LogIndex, Thumbprint};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{SignInAnswer, SignInRequest};
use ringwall_raft::State;
use ringwall_trust::spa::KeyOwner;

use self::attempter::{Attempter, Places};
use self::challenges::Challenges;
use self::decision::{Decided, Decision, decide};
use self::devices::Cookie;
use self::lockout::Lockout;
use crate::audit::client_events::Audit;
use crate::identity::Providers;
use crate::identity::directory::{Further, KnownUser};
use crate::issuing::signers::Signers;
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::replica::vault::Vault;

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

/// What is known of a sign-in from its first request on.
#[derive(Debug, Clone)]
struct Begun {
    provider: IdentityProvider,
    dn: SessionDn,
    jkt: Thumbprint,
    cookie: Option<Cookie>,
    hostname: String,
    /// Where the present request comes from.
    from: IpAddr,
    /// Whose failures are counted.
    attempter: Attempter,
    /// Index of the state in which the first check was made.
    started_idx: LogIndex,
    started_at: UnixMillis,
}

/// A user who authenticated himself, on a device, in a sign-in that is not finished.
#[derive(Debug, Clone)]
struct AuthenticatedUser {
    begun: Begun,
    user: KnownUser,
    step_ups: BTreeMap<String, StepUp>,
}

/// How far the first credential led.
enum CredentialOutcome {
    /// It authenticated the user.
    Authenticated(Box<AuthenticatedUser>),
    /// The provider wants another answer before it says.
    ChallengeNeeded(Box<PendingChallenge>),
}

/// A sign-in whose provider wants another answer.
struct PendingChallenge {
    begun: Begun,
    further: Further,
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
    places: Arc<Places>,
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
    /// One place for each sign-in in progress.
    pub(crate) places: Arc<Places>,
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
        // Who is known is looked up without asking others: guessers cost nothing, and a Controller that is behind counts a
        // device that registered a moment ago as its source.
        let attempter = self.attempter(&self.replica.state(), caller, &request, now);
        let _place = self.places.take(attempter)?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_sign_in((caller, attempter), request, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_sign_in(
        &self,
        (caller, attempter): (&UnauthenticatedClient, Attempter),
        request: SignInRequest,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        self.lockout.failures.may_try(attempter, now)?;
        let state = self.replica.current().await?;
        match self.prove(&state, (caller, attempter), &request, now).await? {
            CredentialOutcome::Authenticated(authenticated) => {
                self.continue_authenticated(&state, *authenticated, now).await
            }
            CredentialOutcome::ChallengeNeeded(pending) => {
                self.open_challenge(*pending).await.map(SignInAnswer::MfaWanted)
            }
        }
    }

    /// From the authenticated user to the registration, or to the factor that is wanted before it.
    async fn continue_authenticated(
        &self,
        state: &State,
        authenticated: AuthenticatedUser,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        let Decided { decision, audited } = decide(state, &authenticated, now);
        if let Some(kind) = audited {
            self.audit.event(kind, Some(&authenticated.begun.dn), authenticated.begun.from).emit();
        }
        match decision {
            Decision::FactorWanted(wanted) => {
                self.open_sign_in(state, authenticated, wanted).await.map(SignInAnswer::MfaWanted)
            }
            Decision::Complete => self.complete_sign_in(authenticated, false).await.map(SignInAnswer::SignedIn),
            Decision::Refused(refusal) => Err(refusal),
        }
    }
}
