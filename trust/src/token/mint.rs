//! Signing tokens with a Controller's own Ed25519 key. What a token may say was decided by the caller.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringwall_protocol::id::{LogIndex, NodeId};
use ringwall_protocol::membership::{KeyRecord, KeyState};
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::token::TokenBody;
use zeroize::Zeroizing;

use super::max_life;
use crate::identity::KeyError;
use crate::secret::sha256;

/// Why a token was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Larger than verifiers accept, with room for growth (T30).
    #[error("expected a token of at most {limit} bytes, got {got}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// The encoded size.
        got: usize,
    },
    /// `exp` is before `iat`, or further from it than the kind may live (T20).
    #[error("expected a lifetime of 1 to {limit} seconds, got iat {iat} and exp {exp}")]
    Life {
        /// The bound.
        limit: u64,
        /// Issued at.
        iat: u64,
        /// Expires.
        exp: u64,
    },
    /// The body could not be encoded.
    #[error("token could not be encoded")]
    Encoding(#[source] jsonwebtoken::errors::Error),
}

/// A Controller's signing key.
pub struct TokenSigner {
    kid: String,
    public: [u8; 32],
    key: EncodingKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl TokenSigner {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn generate() -> Result<Self, KeyError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| KeyError::Generation)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// A key that was stored.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`].
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyError::Unsupported)?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Unsupported)?;
        let kid = data_encoding::BASE64URL_NOPAD.encode(&sha256(&public)[..12]);
        Ok(Self { kid, public, key: EncodingKey::from_ed_der(&pkcs8), pkcs8 })
    }

    /// The private key as PKCS#8 DER, for a private file.
    #[must_use]
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key's name: 16 characters made from its public half.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The record that tells everyone of the key, good for tokens from `from` on.
    #[must_use]
    pub fn record(&self, controller: NodeId, from: LogIndex) -> KeyRecord {
        KeyRecord {
            kid: self.kid.clone(),
            controller,
            public_key: data_encoding::BASE64URL_NOPAD.encode(&self.public),
            from,
            until: None,
            state: KeyState::Active,
        }
    }

    /// Signs a body. Some 20 µs and the encoding.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn mint<T: TokenBody>(&self, body: &T) -> Result<String, MintError> {
        let (iat, exp, limit) = (body.head().iat, body.head().exp, max_life(T::KIND).as_secs());
        if exp <= iat || exp - iat > limit {
            return Err(MintError::Life { limit, iat, exp });
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(T::TYP.to_owned());
        header.kid = Some(self.kid.clone());
        let token = jsonwebtoken::encode(&header, body, &self.key).map_err(MintError::Encoding)?;
        let limit = mint_limit(T::KIND, T::MAX_LEN);
        if token.len() > limit {
            return Err(MintError::TooLarge { limit, got: token.len() });
        }
        Ok(token)
    }
}

/// Entitlement tokens grow with policies: the Controller stops a quarter before Gateways would.
const fn mint_limit(kind: TokenKind, max_len: usize) -> usize {
    match kind {
        TokenKind::Entitlement => max_len / 4 * 3,
        _ => max_len,
    }
}
