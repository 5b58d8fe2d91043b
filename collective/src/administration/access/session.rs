//! An administrator's session: the record in the replicated state is the authority, the token only names it (T40).
//!
//! Revocable, over when it is idle and after 12 hours anyway; checked on every request in a state that is as new as the
//! request. What the administrator may do follows from the policies of that state, not from those of the sign-in (T57).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{AdminSessionId, RoleId, SignInId, Thumbprint, TransactionId};
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::object::settings::MAX_ADMIN_MINUTES;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::AdminToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::state::admin_session::{AdminSession, EndAdminSession, OpenAdminSession, TouchAdminSession};
use ringwall_raft::state::transaction::{FinishTransaction, Transaction, TransactionKind};
use ringwall_raft::{Command, Reply, State};
use ringwall_trust::token::{Expected, KeySet, UnverifiedToken, Verified};
use uuid::Uuid;

use super::authority::{Administrator, Authority};
use super::credentials::{Credentials, Presented, check_source};
use super::spent_proofs::NotSpent;
use crate::administration::access::Access;
use crate::administration::denial::Denial;
use crate::audit::event::{Event, collective};
use crate::identity::directory::claims_of_local_user;
use crate::issuing::check;
use crate::issuing::mint::{Bearer, Validity, head, minutes};
use crate::refusal::Refusal;
use crate::replica::vault::Purpose;

/// What a bearer token's binding says: that there is none.
const UNBOUND: Thumbprint = Thumbprint([0; 32]);

/// Who a token names, and how far his sign-in is.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Signed in.
    SignedIn(Box<Administrator>),
    /// The password was right; another factor is wanted in this transaction.
    PendingFactor(Box<PendingSignIn>),
}

/// A sign-in that waits for another factor.
#[derive(Debug, Clone)]
pub(crate) struct PendingSignIn {
    /// Its transaction.
    pub(crate) transaction: Transaction,
    /// When the token ends.
    pub(crate) expires: UnixMillis,
    /// The token itself: it stays the same when the sign-in is finished.
    pub(crate) token: String,
    /// Where the request came from.
    pub(crate) address: IpAddr,
    /// The state in which this was checked.
    pub(crate) state: Arc<State>,
    /// When it was checked.
    pub(crate) now: UnixMillis,
}

impl Access {
    /// The administrator whom a request's credentials name.
    ///
    /// # Errors
    /// `NotSignedIn` for whatever is wrong with the token, its proof or its session, [`Denial::FactorMissing`] for a sign-in
    /// that is not finished, `noQuorum` where this Controller cannot know.
    pub(crate) async fn administrator(
        &self,
        credentials: Credentials<'_>,
        address: IpAddr,
        now: UnixMillis,
    ) -> Result<Administrator, Denial> {
        match self.caller(credentials, address, now).await? {
            Caller::SignedIn(administrator) => Ok(*administrator),
            Caller::PendingFactor(_) => Err(Denial::FactorMissing),
        }
    }

    /// The same, with sign-ins that are not finished.
    ///
    /// # Errors
    /// `NotSignedIn`, `noQuorum`.
    pub(crate) async fn caller(
        &self,
        credentials: Credentials<'_>,
        address: IpAddr,
        now: UnixMillis,
    ) -> Result<Caller, Denial> {
        let presented = credentials.presented(now)?;
        let state = self.replica.current().await?;
        let token = verified(&state, presented.token, now)?;
        let expires = UnixMillis::from_seconds(token.head.exp);
        let Some(session) = state.admin_session(token.session_id).cloned() else {
            let pending = pending(&state, &token, presented.token, address, now)?;
            self.check_binding(&state, key_of_transaction(&pending.transaction), &presented, address, now)?;
            return Ok(Caller::PendingFactor(Box::new(pending)));
        };
        let dn = token.head.sub.clone();
        if !session.is_live(state.settings(), now) || session.dn != dn {
            return Err(ended());
        }
        if state.blocked(&dn.user).is_some() {
            return Err(not_signed_in("tokenRevoked", "the user is blocked"));
        }
        self.check_binding(&state, session.key, &presented, address, now)?;
        let authority = if session.is_break_glass() {
            Authority::everything()
        } else {
            let roles = self.present_roles(&state, &session, address, now)?;
            if roles.is_empty() {
                return Err(self.end_without_roles(&state, &session, address).await);
            }
            Authority::of(&state, &roles)
        };
        if session.wants_touch(now) {
            // Lost touches cost a sign-in at worst; the request does not depend on them.
            if let Err(error) = self.replica.change(TouchAdminSession { session: session.id }).await {
                tracing::debug!(%error, "administrator's session was not touched");
            }
        }
        Ok(Caller::SignedIn(Box::new(Administrator { session, dn, expires, address, authority, state, now })))
    }

    /// A bound session wants a proof by its key that was not used before; any other one a source that is permitted.
    fn check_binding(
        &self,
        state: &State,
        key: Option<Thumbprint>,
        presented: &Presented<'_>,
        from: IpAddr,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        match (key, &presented.proof) {
            (None, None) => check_source(state.settings(), from),
            (Some(key), Some(proof)) if proof.key == key => {
                let mut spent = self.spent_proofs.lock().unwrap_or_else(PoisonError::into_inner);
                spent.spend(proof, now).map_err(|why| match why {
                    NotSpent::Used => not_signed_in("proofInvalid", "the DPoP proof was used before"),
                    NotSpent::Full => Refusal::busy().into(),
                })
            }
            (Some(_), None) => Err(not_signed_in(
                "tokenMismatch",
                "the token is bound to a key: expected the scheme DPoP with a proof",
            )),
            (_, Some(_)) => Err(not_signed_in("tokenMismatch", "the token is not bound to the key of the proof")),
        }
    }

    /// Roles that the policies of a state give the administrator of a session.
    pub(in crate::administration) fn present_roles(
        &self,
        state: &State,
        session: &AdminSession,
        from: IpAddr,
        now: UnixMillis,
    ) -> Result<BTreeSet<RoleId>, Refusal> {
        let provider = state.identity_provider(session.provider_id).filter(|provider| provider.admin_provider);
        let Some(provider) = provider else { return Ok(BTreeSet::new()) };
        let claims = match &session.claims {
            Some(sealed) => {
                let opened = self.vault.open(Purpose::AdminSession(session.id), sealed.as_str())?;
                serde_json::from_slice(&opened).map_err(|_| Refusal::internal())?
            }
            // The state itself knows the user, as he is now.
            None => match state.local_user(session.user_id).filter(|user| !user.disabled) {
                Some(user) => claims_of_local_user(user, provider),
                None => return Ok(BTreeSet::new()),
            },
        };
        Ok(self.roles_of(state, &claims, &session.dn, from, now))
    }

    async fn end_without_roles(&self, state: &State, session: &AdminSession, from: IpAddr) -> Denial {
        if let Err(error) = self.replica.change(EndAdminSession { session: session.id }).await {
            tracing::debug!(%error, "session without roles was not ended");
        }
        let event = Event::new("admin_session_ended", collective(state), Some(&session.dn), from);
        event.with("reason", "no policy gives a role any more").emit();
        not_signed_in("tokenRevoked", "no policy gives you an administrative role any more; the session has ended")
    }

    /// Opens a session. A finished transaction's token stays valid: the session has its id.
    pub(in crate::administration) async fn open_session(
        &self,
        session: &AdminSession,
        finished: Option<TransactionId>,
    ) -> Result<(), Denial> {
        let mut parts: Vec<Command> =
            finished.map(|transaction| FinishTransaction { transaction }.into()).into_iter().collect();
        parts.push(OpenAdminSession { session: session.clone() }.into());
        let outcome = self.replica.propose(Command::Group(parts)).await?;
        match outcome.reply {
            Reply::Refused(rejection) if rejection.code() == ErrorCode::SignInRefused => Err(Refusal::sign_in().into()),
            Reply::Refused(rejection) => Err(rejection.into()),
            _ => Ok(()),
        }
    }

    /// What the provider said of a user, as a session keeps it: nothing where the state itself knows the user.
    pub(in crate::administration) fn kept_claims(
        &self,
        id: AdminSessionId,
        kind: IdentityProviderKind,
        claims: &ClaimMap,
    ) -> Result<Option<ringwall_raft::state::secret::Sealed>, Refusal> {
        if kind == IdentityProviderKind::LocalDatabase {
            return Ok(None);
        }
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(claims).map_err(|_| Refusal::internal())?);
        Ok(Some(self.vault.seal(Purpose::AdminSession(id), &bytes)))
    }

    /// A token for a session of this id.
    pub(in crate::administration) fn admin_token(
        &self,
        state: &State,
        session: &AdminSession,
        now: UnixMillis,
    ) -> Result<(String, UnixMillis), Denial> {
        let collective = check::collective(state)?;
        let bearer = Bearer {
            dn: session.dn.clone(),
            sid: SignInId::new(session.id.uuid()),
            user: session.user_id,
            provider: session.provider_id,
            device: session.dn.device,
            jkt: session.key.unwrap_or(UNBOUND),
        };
        let validity =
            Validity { idx: session.started_idx, now, life: life(state), not_after: session.expires_at.seconds() };
        let token =
            AdminToken { head: head(collective, &bearer, collective.id.uuid(), validity), session_id: session.id };
        let expires = UnixMillis::from_seconds(token.head.exp);
        Ok((self.signers.sign(state, &token)?, expires))
    }

    /// Ends the caller's own session, at once and everywhere.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub(crate) async fn end_session(&self, administrator: &Administrator) -> Result<(), Denial> {
        self.replica.change(EndAdminSession { session: administrator.session.id }).await?;
        Event::by(administrator, "admin_signed_out").emit();
        Ok(())
    }
}

/// Lifetime of administrators' tokens in effect.
pub(in crate::administration) fn life(state: &State) -> Duration {
    minutes(state.settings().administration_token_expiration, MAX_ADMIN_MINUTES)
}

/// A session id that nobody can guess.
pub(in crate::administration) fn new_id() -> AdminSessionId {
    AdminSessionId::new(Uuid::new_v4())
}

/// The key of a transaction, which holds the absence of one as zeros.
pub(super) fn transaction_key(key: Option<Thumbprint>) -> Thumbprint {
    key.unwrap_or(UNBOUND)
}

/// The key to which the session of a transaction will be bound.
pub(super) fn key_of_transaction(transaction: &Transaction) -> Option<Thumbprint> {
    Some(transaction.key).filter(|key| *key != UNBOUND)
}

fn pending(
    state: &Arc<State>,
    token: &Verified<AdminToken>,
    text: &str,
    address: IpAddr,
    now: UnixMillis,
) -> Result<PendingSignIn, Denial> {
    let transaction = state.transaction(TransactionId::new(token.session_id.uuid())).cloned();
    let open =
        |one: &Transaction| one.kind == TransactionKind::Admin && now < one.expires_at && one.dn == token.head.sub;
    let transaction = transaction.filter(open).ok_or_else(ended)?;
    let expires = UnixMillis::from_seconds(token.head.exp);
    Ok(PendingSignIn { transaction, expires, token: text.to_owned(), address, state: Arc::clone(state), now })
}

fn verified(state: &State, text: &str, now: UnixMillis) -> Result<Verified<AdminToken>, Denial> {
    let collective = check::collective(state)?;
    let keys = KeySet::from_records(state.keys()).map_err(|error| {
        tracing::error!(%error, "a signing key in the state is damaged");
        Refusal::internal()
    })?;
    let expected = Expected::collective(collective.id, collective.incarnation);
    let token = UnverifiedToken::<AdminToken>::parse(text)
        .and_then(|token| token.verify(&keys, &expected, now))
        .map_err(|error| not_signed_in("tokenInvalid", &error.to_string()))?;
    check::stands(state, &*token).map_err(|refusal| not_signed_in("tokenRevoked", &refusal.message))?;
    Ok(token)
}

fn ended() -> Denial {
    not_signed_in("tokenExpired", "the session has ended; sign in again")
}

pub(super) fn not_signed_in(id: &'static str, message: &str) -> Denial {
    Denial::NotSignedIn { id, message: message.to_owned() }
}
