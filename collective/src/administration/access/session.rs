//! An administrator's session: the record in the replicated state is the authority, the token only names it (T40).
//!
//! Revocable, over after 60 minutes without a request and after 12 hours anyway; checked on every request in a state that
//! is as new as the request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::id::{AdminSessionId, SignInId, Thumbprint, TransactionId};
use ringwall_protocol::name::SessionDn;
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
use crate::administration::access::Access;
use crate::administration::denial::Denial;
use crate::issuing::check;
use crate::issuing::mint::{Bearer, Validity, head, minutes};
use crate::refusal::Refusal;

/// Longest `Authorization` header that is looked at, in bytes.
const MAX_HEADER: usize = 8 * 1024;
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

/// A session about to be opened, and whose.
#[derive(Debug, Clone)]
pub(in crate::administration) struct Opening {
    pub(in crate::administration) session: AdminSession,
    pub(in crate::administration) dn: SessionDn,
}

impl Access {
    /// The administrator whom an `Authorization` header names.
    ///
    /// # Errors
    /// `NotSignedIn` for whatever is wrong with the token or its session, [`Denial::FactorMissing`] for a sign-in that is
    /// not finished, `noQuorum` where this Controller cannot know.
    pub(crate) async fn administrator(
        &self,
        header: Option<&str>,
        address: IpAddr,
        now: UnixMillis,
    ) -> Result<Administrator, Denial> {
        match self.caller(header, address, now).await? {
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
        header: Option<&str>,
        address: IpAddr,
        now: UnixMillis,
    ) -> Result<Caller, Denial> {
        let text = bearer(header)?;
        let state = self.replica.current().await?;
        let token = verified(&state, text, now)?;
        let expires = UnixMillis::from_seconds(token.head.exp);
        let Some(session) = state.admin_session(token.session_id) else {
            return pending(state, &token, text, address, now).map(Box::new).map(Caller::PendingFactor);
        };
        let dn = token.head.sub.clone();
        if !session.is_live(now) || session.user != dn.user {
            return Err(ended());
        }
        if state.blocked(&session.user).is_some() {
            return Err(not_signed_in("tokenRevoked", "the user is blocked"));
        }
        if session.wants_touch(now) {
            // Lost touches cost a sign-in at worst; the request does not depend on them.
            if let Err(error) = self.replica.change(TouchAdminSession { session: session.id }).await {
                tracing::debug!(%error, "administrator's session was not touched");
            }
        }
        let authority = Authority::of(&state, &session.roles);
        let session = session.clone();
        Ok(Caller::SignedIn(Box::new(Administrator { session, dn, expires, address, authority, state, now })))
    }

    /// Opens a session and answers its token. A finished transaction's token stays valid: the session has its id.
    pub(in crate::administration) async fn open_session(
        &self,
        opening: &Opening,
        finished: Option<TransactionId>,
    ) -> Result<(), Denial> {
        let mut parts: Vec<Command> =
            finished.map(|transaction| FinishTransaction { transaction }.into()).into_iter().collect();
        parts.push(OpenAdminSession { session: opening.session.clone() }.into());
        let outcome = self.replica.propose(Command::Group(parts)).await?;
        match outcome.reply {
            Reply::Refused(rejection) if rejection.code() == ErrorCode::SignInRefused => Err(Refusal::sign_in().into()),
            Reply::Refused(rejection) => Err(rejection.into()),
            _ => Ok(()),
        }
    }

    /// A token for a session of this id.
    pub(in crate::administration) fn admin_token(
        &self,
        state: &State,
        opening: &Opening,
        now: UnixMillis,
    ) -> Result<(String, UnixMillis), Denial> {
        let collective = check::collective(state)?;
        let session = &opening.session;
        let bearer = Bearer {
            dn: opening.dn.clone(),
            sid: SignInId::new(session.id.uuid()),
            user: session.user_id,
            provider: session.provider_id,
            device: opening.dn.device,
            jkt: UNBOUND,
        };
        let validity =
            Validity { idx: session.started_idx, now, life: life(state), not_after: session.expires_at.seconds() };
        let token =
            AdminToken { head: head(collective, &bearer, collective.id.uuid(), validity), session_id: session.id };
        let expires = UnixMillis::from_seconds(token.head.exp);
        Ok((self.signers.sign(state, &token)?, expires))
    }

    /// Ends a session, at once and everywhere.
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub(crate) async fn end_session(&self, administrator: &Administrator) -> Result<(), Denial> {
        self.replica.change(EndAdminSession { session: administrator.session.id }).await?;
        crate::audit::event::Event::by(administrator, "admin_signed_out").emit();
        Ok(())
    }
}

/// Life of administrators' tokens in effect.
pub(in crate::administration) fn life(state: &State) -> Duration {
    minutes(state.settings().administration_token_expiration, MAX_ADMIN_MINUTES)
}

/// A session id that nobody can guess.
pub(in crate::administration) fn new_id() -> AdminSessionId {
    AdminSessionId::new(Uuid::new_v4())
}

fn pending(
    state: Arc<State>,
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
    Ok(PendingSignIn { transaction, expires, token: text.to_owned(), address, state, now })
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

/// The token of a header `Bearer <token>` (RFC 6750 §2.1).
fn bearer(header: Option<&str>) -> Result<&str, Denial> {
    let header = header.filter(|header| header.len() <= MAX_HEADER);
    let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or_else(|| {
        not_signed_in("unauthorized", "expected the header Authorization: Bearer <token>; sign in first")
    })?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(not_signed_in("unauthorized", "expected a Bearer token"));
    }
    Ok(token.trim())
}

fn ended() -> Denial {
    not_signed_in("tokenExpired", "the session has ended; sign in again")
}

fn not_signed_in(id: &'static str, message: &str) -> Denial {
    Denial::NotSignedIn { id, message: message.to_owned() }
}
