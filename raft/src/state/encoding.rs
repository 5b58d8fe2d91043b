//! The state as bytes: a version, then the encoding. Every version that was ever written stays readable.

use serde::{Deserialize, Serialize};

use super::State;
use crate::codec::{self, CodecError};

/// The version that is written.
pub(crate) const VERSION: u32 = 1;

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
    version: u32,
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

    /// Writes its bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub(crate) fn write_to(&self, to: impl std::io::Write) -> Result<(), CodecError> {
        codec::encode_into(to, &Written { version: VERSION, state: self })
    }

    /// Reads bytes of this or an earlier version.
    ///
    /// # Errors
    /// `StateEncodingError`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateEncodingError> {
        // Version 1 is tried first, so that a large state is not walked through only to learn its version.
        match codec::decode::<Read>(bytes) {
            Ok(Read { version: VERSION, state }) => Ok(state),
            Ok(Read { version, .. }) => Err(StateEncodingError::Newer(version)),
            Err(why) => match codec::decode::<Version>(bytes) {
                Ok(Version { version }) if version > VERSION => Err(StateEncodingError::Newer(version)),
                _ => Err(why.into()),
            },
        }
    }
}
