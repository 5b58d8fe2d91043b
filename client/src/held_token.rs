//! Tokens as the Client holds them: the text that it presents, and what it says.
//!
//! The Client has no keys to verify signatures with and needs none: it took the token from a Controller whose
//! certificate it pinned, over TLS, and checks here that the token is its own. Nothing else makes a [`HeldToken`], so
//! that a token which a Gateway sent can never become one.

use std::fmt;
use std::ops::Deref;

use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::TokenBody;
use ringwall_trust::token::{TokenHashPrefix, token_hash_prefix};
use zeroize::Zeroizing;

use crate::core::renewal::Validity;

/// Why a Controller's token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenProblem {
    /// Longer than its kind may be.
    #[error("expected a token of at most {limit} bytes, got {got}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not a JWT of this kind.
    #[error("expected a token of type {0}")]
    Form(&'static str),
    /// The body says something else.
    #[error("malformed token body at column {0}")]
    Body(usize),
    /// Bound to another key.
    #[error("the token is bound to another key than this device's")]
    ForeignKey,
    /// For another device.
    #[error("the token is for another device")]
    ForeignDevice,
}

/// Whom tokens must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// This device, in this profile.
    pub(crate) device: DeviceId,
    /// Its key.
    pub(crate) key: Thumbprint,
}

/// A token of this device. `Debug` shows the first 8 hex digits of its hash.
#[derive(Clone)]
pub(crate) struct HeldToken<T> {
    text: Zeroizing<String>,
    body: T,
}

impl<T: TokenBody> HeldToken<T> {
    /// Takes a token from a Controller.
    ///
    /// # Errors
    /// [`TokenProblem`].
    pub(crate) fn take(text: &str, holder: Holder) -> Result<Self, TokenProblem> {
        if text.len() > T::MAX_LEN {
            return Err(TokenProblem::TooLarge { limit: T::MAX_LEN, got: text.len() });
        }
        let body: T = decode(text)?;
        let head = body.head();
        if head.cnf.jkt != holder.key {
            return Err(TokenProblem::ForeignKey);
        }
        if head.device_id != holder.device || head.sub.device != holder.device {
            return Err(TokenProblem::ForeignDevice);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), body })
    }

    /// When a token was issued, by the Collective's clock; `None` if it cannot be read.
    #[must_use]
    pub(crate) fn issued(text: &str) -> Option<UnixMillis> {
        if text.len() > T::MAX_LEN {
            return None;
        }
        decode::<T>(text).ok().map(|body| UnixMillis::from_seconds(body.head().iat))
    }

    /// The token as it is presented; never for a log.
    #[must_use]
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// What a log may say of it.
    #[must_use]
    pub(crate) fn prefix(&self) -> TokenHashPrefix {
        token_hash_prefix(&self.text)
    }

    /// From when to when it is valid.
    #[must_use]
    pub(crate) fn validity(&self) -> Validity {
        let head = self.body.head();
        Validity { from: UnixMillis::from_seconds(head.iat), until: UnixMillis::from_seconds(head.exp) }
    }
}

impl<T> Deref for HeldToken<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.body
    }
}

impl<T: TokenBody> fmt::Debug for HeldToken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldToken({})", self.prefix())
    }
}

fn decode<T: TokenBody>(text: &str) -> Result<T, TokenProblem> {
    let wrong_form = TokenProblem::Form(T::TYP);
    let mut parts = text.split('.');
    let (Some(header), Some(body), Some(_signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong_form);
    };
    let base64 = |part: &str| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).ok();
    #[derive(serde::Deserialize)]
    struct Header {
        typ: String,
    }
    let header = base64(header).and_then(|bytes| serde_json::from_slice::<Header>(&bytes).ok());
    if header.is_none_or(|header| header.typ != T::TYP) {
        return Err(wrong_form);
    }
    let body = base64(body).ok_or(wrong_form)?;
    serde_json::from_slice(&body).map_err(|error| TokenProblem::Body(error.column()))
}

#[cfg(test)]
pub(crate) mod tests;
