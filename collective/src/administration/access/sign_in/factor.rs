//! Another factor of an administrator: asked for, described, and taken. The admin API has one question and one answer, and
//! no page: what needs more of them is refused by name.

use std::sync::Arc;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{AdminSessionId, MfaProviderId, TransactionId};
use ringwall_protocol::object::identity_provider::MfaProviderKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::LoginAnswer;
use ringwall_protocol::wire::client::Challenge;
use ringwall_raft::Command;
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::transaction::{CountAttempt, OpenTransaction, Transaction, TransactionKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AuthenticatedAdministrator, admin_user, answer, event, issuer};
use crate::administration::access::Access;
use crate::administration::access::authority::Authority;
use crate::administration::access::session::{PendingSignIn, key_of_transaction, new_id, transaction_key};
use crate::administration::denial::Denial;
use crate::administration::profiles::picture::barcode;
use crate::identity::directory::{Directory, KnownUser, LookUp};
use crate::identity::factor::{FactorUser, Verdict, refused};
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;
use crate::sign_in::REFUSAL_FLOOR;
use crate::sign_in::attempter::Attempter;

/// Answer to `POST /authentication/otp/initialize`.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FactorOffer {
    /// `AlreadySeeded`; `EnrolmentCode` where one is wanted first; `Secret` for the seed that it brought.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The seed, base32; only for a right enrolment code.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// `otpauth://…`; only with the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    otp_auth_url: Option<String>,
    /// The link as a picture, PNG, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    barcode: Option<String>,
    /// Our own: what the administrator is to do, where the factor's provider says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Our own: nothing is typed, the provider asks on another device; an empty `otp` waits for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
}

/// What is known at the first half of a sign-in and needed at the second, sealed with the transaction.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Context {
    /// For providers that say nothing of a user without his credential.
    claims: ClaimMap,
    message: String,
    elsewhere: bool,
}

impl Access {
    /// Opens the transaction in which the other factor is awaited; its id will be the session's.
    pub(super) async fn ask_factor(
        &self,
        authenticated: &AuthenticatedAdministrator,
        factor: MfaProviderId,
    ) -> Result<LoginAnswer, Denial> {
        let session = self.session_of(authenticated, new_id())?;
        let id = TransactionId::new(session.id.uuid());
        let provider = authenticated.state.mfa_provider(factor).ok_or_else(refused)?;
        let bearer = FactorUser { user: authenticated.user.id, dn: &authenticated.dn.user };
        if provider.kind() == MfaProviderKind::Fido2 {
            return Err(Denial::NotSignedIn {
                id: "mfaUnsupported",
                message: "security keys are touched on a page of the Client, which the admin API has not: give \
                          administrators a provider with another factor"
                    .to_owned(),
            });
        }
        let further = self.challenges.begin_factor(&authenticated.state, provider, bearer).await?;
        let context = Context {
            claims: authenticated.user.claims.clone(),
            message: further.message.clone(),
            elsewhere: matches!(further.challenge, Challenge::Push {}),
        };
        let transaction = Transaction {
            id,
            kind: TransactionKind::Admin,
            user_id: authenticated.user.id,
            provider_id: authenticated.provider.base.id,
            dn: authenticated.dn.clone(),
            device_id: authenticated.dn.device,
            key: transaction_key(authenticated.key),
            profile_id: None,
            started_idx: authenticated.state.index(),
            factor_provider_id: factor.uuid(),
            interaction: None,
            provider_state: self.challenges.seal_kept(id, &further),
            context: Some(self.seal_admin(id, &context)?),
            on_page: further.challenge.is_page(),
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        self.replica.change(OpenTransaction { transaction }).await?;
        let (token, expires) = self.admin_token(&authenticated.state, &session, authenticated.now)?;
        event("admin_factor_wanted", &authenticated.state, &authenticated.dn, authenticated.from).emit();
        let user = admin_user(&session, &Authority::default(), true);
        Ok(answer(&authenticated.state, user, (token, expires), authenticated.now))
    }

    /// Says which factor is wanted. Whoever has no seed yet gets one for an enrolment code that another administrator gave,
    /// never for the password alone (T60).
    ///
    /// # Errors
    /// `mfaRefused` for a wrong code; `noQuorum`, `unknownOutcome`.
    pub(crate) async fn offer_factor(
        &self,
        pending: &PendingSignIn,
        code: Option<&str>,
    ) -> Result<FactorOffer, Denial> {
        let user = pending.transaction.user_id;
        let factor = pending.state.mfa_provider(MfaProviderId::new(pending.transaction.factor_provider_id));
        let seeded_here = factor.is_some_and(|factor| factor.kind() == MfaProviderKind::DefaultTimeBased);
        if let Some(code) = code.filter(|_| seeded_here) {
            let came = tokio::time::Instant::now();
            let outcome = self.enrol_factor(pending, code).await;
            if outcome.is_err() {
                tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
            }
            return outcome;
        }
        if seeded_here && pending.state.totp_seed(user).is_none() {
            let message = "Enrolment code, from another administrator (ringctl otp permit)".to_owned();
            return Ok(FactorOffer { message: Some(message), ..FactorOffer::of("EnrolmentCode") });
        }
        let Context { message, elsewhere, .. } = self.admin_context(&pending.transaction)?;
        let message = Some(message).filter(|message| !message.is_empty());
        Ok(FactorOffer { message, elsewhere, ..FactorOffer::of("AlreadySeeded") })
    }

    /// A right code brings a seed, which waits in the transaction until a one-time password proves it.
    async fn enrol_factor(&self, pending: &PendingSignIn, code: &str) -> Result<FactorOffer, Denial> {
        let (transaction, now) = (&pending.transaction, pending.now);
        self.lockout.failures.may_answer(transaction.user_id, now)?;
        self.replica.change(CountAttempt { transaction: transaction.id }).await?;
        let state = self.replica.current().await?;
        let bearer = FactorUser { user: transaction.user_id, dn: &transaction.dn.user };
        let Some((seed, further)) = self.providers.factors.totp().enrol(&state, bearer, code, now) else {
            self.lockout.failures.count_answer(transaction.user_id, now);
            event("admin_enrolment_refused", &state, &transaction.dn, pending.address).emit();
            return Err(refused().into());
        };
        self.challenges.keep_further(transaction.id, &further).await?;
        let url = seed.expose_url(&issuer(&state), &transaction.dn.user.user.to_string());
        Ok(FactorOffer {
            secret: Some(seed.expose_base32().to_string()),
            barcode: barcode(&url),
            otp_auth_url: Some(url.to_string()),
            ..FactorOffer::of("Secret")
        })
    }

    fn seal_admin(&self, id: TransactionId, context: &Context) -> Result<Sealed, Refusal> {
        let bytes = Zeroizing::new(serde_json::to_vec(context).map_err(|_| Refusal::internal())?);
        Ok(self.vault.seal(Purpose::Transaction(id), &bytes))
    }

    fn admin_context(&self, transaction: &Transaction) -> Result<Context, Refusal> {
        let sealed = transaction.context.as_ref().ok_or_else(Refusal::internal)?;
        let opened = self.vault.open(Purpose::Transaction(transaction.id), sealed.as_str())?;
        serde_json::from_slice(&opened).map_err(|_| Refusal::internal())
    }

    /// Takes the other factor; the attempt is counted before the code is looked at.
    ///
    /// # Errors
    /// `mfaRefused` for a wrong code or a transaction that is over.
    pub(crate) async fn take_factor(&self, pending: &PendingSignIn, code: &str) -> Result<LoginAnswer, Denial> {
        let came = tokio::time::Instant::now();
        let outcome = self.try_take_factor(pending, code).await;
        if outcome.is_err() {
            // The password was right: wrong answers are counted against the user, and here against the address.
            self.lockout.failures.count(Attempter::AdminSource(pending.address), self.replica.now());
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_take_factor(&self, pending: &PendingSignIn, code: &str) -> Result<LoginAnswer, Denial> {
        let (transaction, from, now) = (&pending.transaction, pending.address, pending.now);
        self.replica.change(CountAttempt { transaction: transaction.id }).await?;
        let state = self.replica.current().await?;
        let spend = match self.challenges.judge_factor(&state, transaction, code, now).await? {
            Verdict::Right { spend } => spend,
            // The admin API has one question and one answer.
            Verdict::Wrong | Verdict::Further(_) => return Err(refused().into()),
        };
        if !spend.is_empty() {
            self.replica.change(Command::Group(spend)).await?;
        }
        let provider = state.identity_provider(transaction.provider_id).filter(|provider| provider.admin_provider);
        let provider = provider.cloned().ok_or_else(Refusal::sign_in)?;
        let user = match self.providers.directories.look_up(&state, &provider, &transaction.dn.user.user).await? {
            LookUp::Known(user) => *user,
            // It said what it knows when the password was given, a moment ago.
            LookUp::Unreadable => KnownUser {
                id: transaction.user_id,
                name: transaction.dn.user.user.clone(),
                claims: self.admin_context(transaction)?.claims,
                notices: Vec::new(),
                until: None,
            },
            LookUp::Gone => return Err(Refusal::sign_in().into()),
        };
        let roles = self.roles_of(&state, &user.claims, &transaction.dn, from, now);
        if roles.is_empty() {
            return Err(Denial::Forbidden("no policy gives this user an administrative role".to_owned()));
        }
        let (dn, key) = (transaction.dn.clone(), key_of_transaction(transaction));
        let state_then = Arc::clone(&pending.state);
        let authenticated = AuthenticatedAdministrator { user, provider, dn, key, from, state: state_then, now };
        let mut session = self.session_of(&authenticated, AdminSessionId::new(transaction.id.uuid()))?;
        session.started_idx = transaction.started_idx;
        self.open_session(&session, Some(transaction.id)).await?;
        event("otp_authentication_succeeded", &state, &authenticated.dn, from).emit();
        let event = event("admin_authorization_succeeded", &state, &authenticated.dn, from);
        event.with("key_bound", session.key.is_some()).emit();
        let user = admin_user(&session, &Authority::of(&state, &roles), false);
        Ok(answer(&state, user, (pending.token.clone(), pending.expires), now))
    }
}

impl FactorOffer {
    const fn of(kind: &'static str) -> Self {
        Self { kind, secret: None, otp_auth_url: None, barcode: None, message: None, elsewhere: false }
    }
}
