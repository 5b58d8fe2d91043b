//! Further answers at sign-in: of an identity provider that wants more than one credential, and of another factor (S21,
//! S23). Both wait in a transaction of the replicated state, so that any Controller may take the answer. The attempt is
//! counted before the answer is looked at, and an answer counts once.

use std::collections::BTreeMap;

use ringwall_protocol::claims::{ClaimMap, StepUp, StepUpKind};
use ringwall_protocol::id::{TransactionId, UserId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::object::identity_provider::SignInMfa;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{MAX_FACTOR_ANSWER, MfaAnswer, MfaWanted, SignInAnswer};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::device::{DeviceMatch, match_device};
use ringwall_raft::state::transaction::{
    CountAttempt, FinishTransaction, OpenTransaction, Transaction, TransactionKind,
};
use ringwall_raft::{Reply, State};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::attempter::Attempter;
use super::challenges::{Answered, wanted};
use super::devices::Cookie;
use super::proof::by_knock;
use super::{AuthenticatedUser, Begun, PendingChallenge, REFUSAL_FLOOR, SignIn};
use crate::identity::directory::{Directory, Further, KnownUser, Proof};
use crate::identity::factor::{FactorUser, refused};
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;
use crate::sign_in::UnauthenticatedClient;

/// What the first half of a sign-in knew, for the second, perhaps on another Controller. Sealed in the state.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Context {
    /// Absent: the identity provider has not said yet who it is.
    user: Option<ProvedUser>,
    cookie_hash: Option<String>,
    hostname: String,
    started_at: UnixMillis,
}

/// What the identity provider said.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProvedUser {
    claims: ClaimMap,
    notices: Vec<String>,
    until: Option<UnixMillis>,
}

impl SignIn {
    /// Opens the transaction in which the other factor is awaited.
    pub(super) async fn open_sign_in(
        &self,
        state: &State,
        authenticated: AuthenticatedUser,
        wanted: SignInMfa,
    ) -> Result<MfaWanted, Refusal> {
        let factor = state.mfa_provider(wanted.mfa_provider_id).ok_or_else(refused)?;
        let bearer = FactorUser { user: authenticated.user.id, dn: &authenticated.begun.dn.user };
        let further = self.challenges.begin_factor(state, factor, bearer).await?;
        let AuthenticatedUser { begun, user, .. } = authenticated;
        let (user_id, factor) = (user.id, wanted.mfa_provider_id.uuid());
        let proved = ProvedUser { claims: user.claims, notices: user.notices, until: user.until };
        let id = self.open(begun, (user_id, Some(proved)), factor, &further).await?;
        // Why, in the operator's words, and what, in the provider's.
        let words = [wanted.message.as_str(), further.message.as_str()];
        let message = words.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        let message = if message.is_empty() { "One-time password".to_owned() } else { message };
        let (kind, challenge) = (InteractionKind::OtpAuthentication, further.challenge);
        Ok(MfaWanted { transaction: id, kind, message, challenge })
    }

    /// Opens the transaction in which the identity provider's own further answer is awaited.
    pub(super) async fn open_challenge(&self, pending: PendingChallenge) -> Result<MfaWanted, Refusal> {
        let PendingChallenge { begun, further } = pending;
        let provider = begun.provider.base.id;
        let user = crate::identity::directory::user_id_of(provider, &begun.dn.user.user);
        let id = self.open(begun, (user, None), provider.uuid(), &further).await?;
        Ok(wanted(id, InteractionKind::PasswordAuthentication, further))
    }

    /// Opens a transaction for a user, who is proved or not yet; `factor` verifies the answer.
    async fn open(
        &self,
        begun: Begun,
        (user_id, user): (UserId, Option<ProvedUser>),
        factor: Uuid,
        further: &Further,
    ) -> Result<TransactionId, Refusal> {
        let id = TransactionId::new(Uuid::new_v4());
        let context = Context {
            user,
            cookie_hash: begun.cookie.as_ref().map(Cookie::hash),
            hostname: begun.hostname,
            started_at: begun.started_at,
        };
        let transaction = Transaction {
            id,
            kind: TransactionKind::SignIn,
            user_id,
            provider_id: begun.provider.base.id,
            device_id: begun.dn.device,
            dn: begun.dn,
            key: begun.jkt,
            profile_id: None,
            started_idx: begun.started_idx,
            factor_provider_id: factor,
            interaction: None,
            provider_state: self.challenges.seal_kept(id, further),
            context: Some(self.seal_context(id, &context)?),
            on_page: further.challenge.is_page(),
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        self.replica.change(OpenTransaction { transaction }).await?;
        Ok(id)
    }

    fn seal_context(
        &self,
        id: TransactionId,
        context: &Context,
    ) -> Result<ringwall_raft::state::secret::Sealed, Refusal> {
        let context = Zeroizing::new(serde_json::to_vec(context).map_err(|_| Refusal::internal())?);
        Ok(self.vault.seal(Purpose::Transaction(id), &context))
    }

    /// Second request of a sign-in: the other factor.
    ///
    /// # Errors
    /// `mfaRefused` for a wrong code, a transaction that is over, or another key; otherwise as for the first request.
    pub(crate) async fn finish_sign_in(
        &self,
        caller: &UnauthenticatedClient,
        answer: MfaAnswer,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        let attempter = self.answerer(&self.replica.state(), caller, &answer, now);
        let _place = self.places.take(attempter)?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_finish((caller, attempter), answer, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    /// Who answers: a registered device, by the cookie and key of the transaction's first half; a Client whose credential was
    /// right; or whoever is at an address.
    fn answerer(
        &self,
        state: &State,
        caller: &UnauthenticatedClient,
        answer: &MfaAnswer,
        now: UnixMillis,
    ) -> Attempter {
        let open = state.transaction(answer.transaction).filter(|one| {
            one.kind == TransactionKind::SignIn && one.key == answer.key_thumbprint && now < one.expires_at
        });
        let Some(open) = open else { return by_knock(state, caller) };
        let cookie = self.context_of(open).ok().and_then(|context| context.cookie_hash);
        let known = state.device(open.user_id, open.device_id).is_some_and(|device| {
            device.dn == open.dn && match_device(device, cookie.as_deref(), open.key, now) == DeviceMatch::Known
        });
        if known { Attempter::Device(open.user_id, open.device_id) } else { Attempter::Pending(caller.address) }
    }

    async fn try_finish(
        &self,
        (caller, attempter): (&UnauthenticatedClient, Attempter),
        answer: MfaAnswer,
        now: UnixMillis,
    ) -> Result<SignInAnswer, Refusal> {
        self.lockout.failures.may_try(attempter, now)?;
        let state = self.replica.current().await?;
        let of_sign_in = |one: &&Transaction| one.kind == TransactionKind::SignIn && one.key == answer.key_thumbprint;
        let fits = answer.answer.len() <= MAX_FACTOR_ANSWER;
        let Some(known) = state.transaction(answer.transaction).filter(of_sign_in).filter(|_| fits) else {
            self.lockout.failures.count(attempter, now);
            return Err(refused());
        };
        let provider = state.identity_provider(known.provider_id).cloned().ok_or_else(refused)?;
        self.replica.change(CountAttempt { transaction: known.id }).await?;
        let context = self.context_of(known)?;
        let begun = Begun {
            provider,
            dn: known.dn.clone(),
            jkt: known.key,
            cookie: context.cookie_hash.map(Cookie::hashed),
            hostname: context.hostname,
            from: caller.address,
            attempter,
            started_idx: known.started_idx,
            started_at: context.started_at,
        };
        let judged = match context.user {
            Some(user) => self.finish_factor(&state, known, (user, begun), &answer, now).await,
            None => self.finish_challenge(&state, known, begun, &answer, now).await,
        };
        let authenticated = match judged {
            Ok(Judged::Authenticated(authenticated)) => authenticated,
            Ok(Judged::Wanted(wanted)) => return Ok(SignInAnswer::MfaWanted(wanted)),
            Err(refusal) => {
                if matches!(refusal.code, ErrorCode::MfaRefused | ErrorCode::SignInRefused) {
                    self.lockout.failures.count(attempter, now);
                }
                return Err(refusal);
            }
        };
        if authenticated.step_ups.is_empty() {
            return self.continue_authenticated(&state, *authenticated, now).await;
        }
        self.audit.event("otp_authentication_succeeded", Some(&authenticated.begun.dn), caller.address).emit();
        self.complete_sign_in(*authenticated, true).await.map(SignInAnswer::SignedIn)
    }

    /// The other factor of a user whom the identity provider has authenticated.
    async fn finish_factor(
        &self,
        state: &State,
        transaction: &Transaction,
        (user, begun): (ProvedUser, Begun),
        answer: &MfaAnswer,
        now: UnixMillis,
    ) -> Result<Judged, Refusal> {
        let wanted_factor = begun.provider.on_boarding_2fa.clone().ok_or_else(refused)?;
        let finished = match self.challenges.answer_factor(state, transaction, &answer.answer, now).await? {
            Answered::Finished(finished) => finished,
            Answered::Further(further) => {
                return Ok(Judged::Wanted(wanted(transaction.id, InteractionKind::OtpAuthentication, further)));
            }
        };
        let step_up = StepUp {
            kind: StepUpKind::Otp,
            provider_id: finished.factor_provider_id,
            condition_id: None,
            at: now,
            transaction_id: Some(finished.id),
        };
        let user = KnownUser {
            id: finished.user_id,
            name: finished.dn.user.user.clone(),
            claims: user.claims,
            notices: user.notices,
            until: user.until,
        };
        let step_ups = BTreeMap::from([(wanted_factor.claim_suffix, step_up)]);
        Ok(Judged::Authenticated(Box::new(AuthenticatedUser { begun, user, step_ups })))
    }

    /// The identity provider's own further answer.
    async fn finish_challenge(
        &self,
        state: &State,
        transaction: &Transaction,
        begun: Begun,
        answer: &MfaAnswer,
        now: UnixMillis,
    ) -> Result<Judged, Refusal> {
        let (kept, name) = (self.challenges.kept(transaction)?, &transaction.dn.user.user);
        if self.lockout.may_not_try(state, &transaction.dn, false, now) {
            return Err(Refusal::sign_in());
        }
        match self.providers.directories.go_on(state, &begun.provider, name, &kept, &answer.answer).await? {
            Proof::User(user) if user.name == *name => {
                let reply = self.replica.change(FinishTransaction { transaction: transaction.id }).await?;
                let Reply::Transaction(_) = reply else { return Err(Refusal::internal()) };
                let step_ups = BTreeMap::new();
                Ok(Judged::Authenticated(Box::new(AuthenticatedUser { begun, user: *user, step_ups })))
            }
            Proof::Further(further) => {
                self.challenges.keep_further(transaction.id, &further).await?;
                Ok(Judged::Wanted(wanted(transaction.id, InteractionKind::PasswordAuthentication, further)))
            }
            Proof::Incomplete { cause, .. } => {
                self.refuse_incomplete(&transaction.dn, &cause, begun.from);
                Err(refused())
            }
            Proof::User(_) | Proof::Nobody => {
                self.lockout.failed((begun.attempter, begun.from), &transaction.dn, false, &begun.provider, now).await;
                Err(refused())
            }
        }
    }

    fn context_of(&self, transaction: &Transaction) -> Result<Context, Refusal> {
        let sealed = transaction.context.as_ref().ok_or_else(Refusal::internal)?;
        let opened = self.vault.open(Purpose::Transaction(transaction.id), sealed.as_str())?;
        serde_json::from_slice(&opened).map_err(|error| {
            tracing::error!(%error, "a transaction's context is not what this version writes");
            Refusal::internal()
        })
    }
}

/// What became of an answer at sign-in.
enum Judged {
    /// The user is authenticated so far.
    Authenticated(Box<AuthenticatedUser>),
    /// Another answer is wanted.
    Wanted(MfaWanted),
}
