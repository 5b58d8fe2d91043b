//! From text to a verified token. The order of checks is fixed; nothing of a body is believed before its signature.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use jsonwebtoken::Algorithm;
use ringwall_protocol::id::{CollectiveId, Incarnation, LogIndex};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{TokenBody, TokenHead};
use ringwall_protocol::wire::error::ErrorCode;
use serde::Deserialize;
use uuid::Uuid;

use super::key_set::{KeySet, VerificationKey};
use super::{MAX_CLOCK_LEAD, TokenHashPrefix, max_life, strict, token_hash_prefix};

/// Longest header: `alg`, `typ` and `kid` have some 80 bytes.
const MAX_HEADER: usize = 512;

/// Why a token was refused. None of the texts repeats the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than its kind may be.
    #[error("expected a token of at most {limit} bytes, got {got}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not three parts of base64url with the strict header.
    #[error("expected a JWT with exactly alg, typ and kid in its header")]
    Malformed,
    /// A token of another kind.
    #[error("expected a token of type {expected}")]
    Kind {
        /// The `typ` that was wanted.
        expected: &'static str,
    },
    /// The header's algorithm is not the key's.
    #[error("token names an algorithm that is not its key's")]
    Algorithm,
    /// No record of the key, here and now. A Gateway whose feed is behind `idx` waits for it and tries again.
    #[error("token's key is not known; it claims index {idx}")]
    UnknownKey {
        /// The index that the token claims; unverified.
        idx: LogIndex,
    },
    /// The key's record was invalidated.
    #[error("token's key was removed")]
    KeyRemoved,
    /// The signature is not the key's.
    #[error("token's signature is wrong")]
    Signature,
    /// The body says more, less or other than its kind.
    #[error("token's body is not what its kind says: {0}")]
    Body(String),
    /// Another Collective's, or of another incarnation of this one.
    #[error("token belongs to another incarnation of the collective")]
    Incarnation,
    /// For somebody else.
    #[error("token is meant for another audience")]
    Audience,
    /// The key was not in use at the token's index.
    #[error("token's index {0} is outside of its key's")]
    KeyRange(LogIndex),
    /// Issued in the future: a clock is wrong.
    #[error("token is not valid yet")]
    NotYetValid,
    /// Its time has passed.
    #[error("token has expired")]
    Expired,
    /// It would live longer than its kind may.
    #[error("token is valid for longer than its kind may be")]
    Life,
}

impl TokenError {
    /// The code that tells a Client why its token is refused. A new incarnation invalidates every token that was minted
    /// before it (T19), as a revocation does.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Expired | Self::NotYetValid => ErrorCode::TokenExpired,
            Self::KeyRemoved | Self::KeyRange(_) | Self::Incarnation => ErrorCode::TokenRevoked,
            Self::Audience => ErrorCode::TokenMismatch,
            Self::UnknownKey { .. } => ErrorCode::FeedBehind,
            Self::TooLarge { .. }
            | Self::Malformed
            | Self::Kind { .. }
            | Self::Algorithm
            | Self::Signature
            | Self::Body(_)
            | Self::Life => ErrorCode::TokenInvalid,
        }
    }
}

/// What a token must be for, here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The Collective.
    pub issuer: CollectiveId,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// The Collective (claims, admin) or the Site (entitlement).
    pub audience: Uuid,
}

impl Expected {
    /// For tokens that are meant for the whole Collective.
    #[must_use]
    pub const fn collective(issuer: CollectiveId, incarnation: Incarnation) -> Self {
        Self { issuer, incarnation, audience: issuer.uuid() }
    }
}

/// A token of kind `T` whose signature and times were good when it was verified. Made only by
/// [`UnverifiedToken::verify`]; `Debug` shows the hash prefix and nothing of the body.
#[derive(Clone)]
pub struct Verified<T> {
    body: T,
    prefix: TokenHashPrefix,
    kid: String,
}

impl<T> Verified<T> {
    /// The body alone, where the type no longer has to carry the proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.body
    }

    /// What a log may say of it.
    #[must_use]
    pub const fn prefix(&self) -> TokenHashPrefix {
        self.prefix
    }

    /// The name of the key that signed it: what was signed by a key that is removed later proves nothing any more.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.body
    }
}

impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({})", self.prefix)
    }
}

/// A token of the wanted kind as it came: shape checked, nothing proved.
#[derive(Clone)]
pub struct UnverifiedToken<'a, T> {
    text: &'a str,
    header: Header,
    kind: PhantomData<T>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl<'a, T: TokenBody> UnverifiedToken<'a, T> {
    /// Checks size, parts, header and kind.
    ///
    /// # Errors
    /// [`TokenError::TooLarge`], [`TokenError::Malformed`], [`TokenError::Kind`].
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > T::MAX_LEN {
            return Err(TokenError::TooLarge { limit: T::MAX_LEN, got: text.len() });
        }
        let (header, _, _) = parts(text)?;
        if header.len() > MAX_HEADER {
            return Err(TokenError::Malformed);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        if header.typ != T::TYP {
            return Err(TokenError::Kind { expected: T::TYP });
        }
        Ok(Self { text, header, kind: PhantomData })
    }

    /// Proves the token: key, signature, body, incarnation, audience, index, times, in this order.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::UnknownKey`] may be worth another try later.
    pub fn verify(&self, keys: &KeySet, expected: &Expected, now: UnixMillis) -> Result<Verified<T>, TokenError> {
        let Some(key) = keys.find(&self.header.kid) else {
            return Err(TokenError::UnknownKey { idx: self.claimed_idx()? });
        };
        if key.is_removed() {
            return Err(TokenError::KeyRemoved);
        }
        let body = self.check_signature(key)?;
        let body: T = strict::from_slice(&body).map_err(|error| TokenError::Body(error.to_string()))?;
        check_head(body.head(), expected)?;
        if !key.covers(body.head().idx) {
            return Err(TokenError::KeyRange(body.head().idx));
        }
        check_times::<T>(body.head(), now)?;
        Ok(Verified { body, prefix: self.prefix(), kid: self.header.kid.clone() })
    }

    /// What a log may say of it.
    #[must_use]
    pub fn prefix(&self) -> TokenHashPrefix {
        token_hash_prefix(self.text)
    }

    fn check_signature(&self, key: &VerificationKey) -> Result<Vec<u8>, TokenError> {
        if self.header.alg.parse::<Algorithm>() != Ok(key.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let (header, body, signature) = parts(self.text)?;
        let signed = &self.text[..header.len() + 1 + body.len()];
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, key.algorithm) {
            Ok(true) => decode(body),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }

    /// The index that an unproved body claims: tells a verifier how far its own knowledge should reach.
    fn claimed_idx(&self) -> Result<LogIndex, TokenError> {
        #[derive(Deserialize)]
        struct Claimed {
            idx: LogIndex,
        }
        let (_, body, _) = parts(self.text)?;
        let claimed: Claimed = serde_json::from_slice(&decode(body)?).map_err(|_| TokenError::Malformed)?;
        Ok(claimed.idx)
    }
}

impl<T> fmt::Debug for UnverifiedToken<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedToken({})", token_hash_prefix(self.text))
    }
}

fn parts(text: &str) -> Result<(&str, &str, &str), TokenError> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(body), Some(signature), None) => Ok((header, body, signature)),
        _ => Err(TokenError::Malformed),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::Malformed)
}

fn check_head(head: &TokenHead, expected: &Expected) -> Result<(), TokenError> {
    if head.iss != expected.issuer || head.incarnation() != expected.incarnation {
        return Err(TokenError::Incarnation);
    }
    if head.aud != expected.audience {
        return Err(TokenError::Audience);
    }
    Ok(())
}

fn check_times<T: TokenBody>(head: &TokenHead, now: UnixMillis) -> Result<(), TokenError> {
    let latest_start = now.plus(MAX_CLOCK_LEAD).seconds();
    if head.iat > latest_start || head.nbf > latest_start {
        return Err(TokenError::NotYetValid);
    }
    if head.exp <= now.seconds() {
        return Err(TokenError::Expired);
    }
    if head.exp.saturating_sub(head.iat) > max_life(T::KIND).as_secs() {
        return Err(TokenError::Life);
    }
    Ok(())
}
