//! The state as bytes: a version, then the encoding. Every version that was ever written stays readable.

use serde::{Deserialize, Serialize};

use super::State;
use crate::codec::{self, CodecError};

/// The version that is written.
pub const VERSION: u32 = 1;

/// Why bytes are no state.
#[derive(Debug, thiserror::Error)]
pub enum StateEncodingError {
    /// Written by a newer program.
    #[error("state has version {0}, at most {VERSION} is understood")]
    Newer(u32),
    /// Damaged.
    #[error("state cannot be decoded")]
    Malformed(#[from] CodecError),
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    state: &'a State,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    state: State,
}

impl State {
    /// Its bytes, with the version in front.
    ///
    /// # Errors
    /// Only a defect in a type's `Serialize` can cause one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(&Written { version: VERSION, state: self })
    }

    /// Reads bytes of this or an earlier version.
    ///
    /// # Errors
    /// [`StateEncodingError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateEncodingError> {
        let Version { version } = codec::decode(bytes)?;
        match version {
            1 => Ok(codec::decode::<Read>(bytes)?.state),
            other => Err(StateEncodingError::Newer(other)),
        }
    }
}
