//! What must hold before anything is minted (T4): checks of a token and of what stands behind it, all in one
//! state.

use ringwall_protocol::id::CollectiveId;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::revocation::Standing;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, TokenBody, TokenHead};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::State;
use ringwall_raft::state::collective::Collective;
use ringwall_trust::identity::{Leaf, LeafIdentity};
use ringwall_trust::token::{Expected, KeySet, TokenError, UnverifiedToken, Verified};

use crate::refusal::Refusal;

/// The Collective, which is founded wherever requests are served.
pub(crate) fn collective(state: &State) -> Result<&Collective, Refusal> {
    state.collective().ok_or_else(Refusal::no_quorum)
}

/// A claims token that is good in this state: signature, times, revocations, blocklist, registration, sign-in's end.
pub(crate) fn claims_token(state: &State, text: &str, now: UnixMillis) -> Result<Verified<ClaimsToken>, Refusal> {
    let collective = collective(state)?;
    let token: Verified<ClaimsToken> =
        verified(state, text, Expected::collective(collective.id, collective.incarnation), now)?;
    stands(state, &*token)?;
    still_known(state, &token.head)?;
    if token.sign_in_until <= now.seconds() {
        return Err(Refusal::new(ErrorCode::TokenExpired, "the sign-in has reached its end; sign in again"));
    }
    Ok(token)
}

/// The same, bound to the certificate of the connection that brought it (T14).
pub(crate) fn bound_claims_token(
    state: &State,
    text: &str,
    leaf: &Leaf,
    now: UnixMillis,
) -> Result<Verified<ClaimsToken>, Refusal> {
    let token = claims_token(state, text, now)?;
    if !belongs(&token.head, leaf) {
        tracing::warn!(token = %token.prefix(), "claims token presented with another key or certificate");
        return Err(Refusal::new(ErrorCode::TokenMismatch, "token and certificate do not belong together"));
    }
    Ok(token)
}

fn verified<T: TokenBody>(
    state: &State,
    text: &str,
    expected: Expected,
    now: UnixMillis,
) -> Result<Verified<T>, Refusal> {
    let keys = KeySet::from_records(state.keys()).map_err(|error| {
        tracing::error!(%error, "a signing key in the state is damaged");
        Refusal::internal()
    })?;
    UnverifiedToken::<T>::parse(text)
        .and_then(|token| token.verify(&keys, &expected, now))
        .map_err(|error| Refusal::new(code_of(&error), error.to_string()))
}

const fn code_of(error: &TokenError) -> ErrorCode {
    match error {
        // A Controller has no feed to wait for, and does not say which of these it was.
        TokenError::NotYetValid | TokenError::Audience | TokenError::UnknownKey { .. } => ErrorCode::TokenInvalid,
        error => error.code(),
    }
}

/// No effective revocation concerns the token. One that only asks for renewal does not: this is the renewal.
pub(crate) fn stands<T: TokenBody>(state: &State, token: &T) -> Result<(), Refusal> {
    match state.revocations().standing(&token.facts()) {
        Standing::Revoked(index) => {
            Err(Refusal::new(ErrorCode::TokenRevoked, format!("the token was revoked at index {index}")))
        }
        Standing::Valid | Standing::RenewWanted(_) => Ok(()),
    }
}

/// The user is not blocked, and the device registered with the token's key.
pub(crate) fn still_known(state: &State, head: &TokenHead) -> Result<(), Refusal> {
    if state.blocked(&head.sub.user).is_some() {
        return Err(Refusal::new(ErrorCode::TokenRevoked, "the user is blocked"));
    }
    match state.device(head.user_id, head.device_id) {
        Some(device) if device.key == head.cnf.jkt && device.dn == head.sub => Ok(()),
        _ => Err(Refusal::new(ErrorCode::TokenRevoked, "the device is no longer registered with this key")),
    }
}

/// Key, name and ids of a certificate are those of the token.
fn belongs(head: &TokenHead, leaf: &Leaf) -> bool {
    let (collective, provider, user, device): (CollectiveId, _, _, _) =
        (head.iss, head.provider_id, head.user_id, head.device_id);
    leaf.thumbprint == head.cnf.jkt
        && leaf.session.as_ref() == Some(&head.sub)
        && leaf.identity == LeafIdentity::Session { collective, provider, user, device }
}

/// The provider of a token's user, which may have been deleted since.
pub(crate) fn provider_of<'a>(state: &'a State, head: &TokenHead) -> Result<&'a IdentityProvider, Refusal> {
    state
        .identity_provider(head.provider_id)
        .ok_or_else(|| Refusal::new(ErrorCode::TokenRevoked, "the identity provider no longer exists"))
}
