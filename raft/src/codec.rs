//! The one encoding of everything that this package stores or sends: MessagePack with named fields.
//!
//! Names make entries readable by later versions that know more fields. The "human readable" form of serde is used
//! (ids and addresses as text), because internally tagged objects only survive a round trip in that form. Equal values
//! have equal bytes: all maps are ordered.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Deepest nesting that is read: claims have 4 levels, objects 6, entries around them 4.
pub(crate) const MAX_DEPTH: usize = 48;

/// Bytes did not decode to what was expected, or a value could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value has no encoding; only a defect in its `Serialize` can cause it.
    #[error("value cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
    /// Not an encoding of the type.
    #[error("bytes are no valid encoding")]
    Decode(#[from] rmp_serde::decode::Error),
    /// The encoding ended before the bytes did.
    #[error("{0} bytes follow the encoding")]
    Trailing(u64),
}

/// The encoding of `value`.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(256);
    encode_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends the encoding of `value` to a writer.
///
/// # Errors
/// [`CodecError::Encode`], also for failures of the writer.
pub(crate) fn encode_into<T: Serialize + ?Sized>(to: impl std::io::Write, value: &T) -> Result<(), CodecError> {
    let mut serializer = rmp_serde::Serializer::new(to).with_struct_map().with_human_readable();
    value.serialize(&mut serializer)?;
    Ok(())
}

/// Decodes a value that fills `bytes` to the end. How long `bytes` may be is the caller's to limit.
///
/// # Errors
/// [`CodecError::Decode`], [`CodecError::Trailing`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut reader = std::io::Cursor::new(bytes);
    let mut deserializer = rmp_serde::Deserializer::new(&mut reader).with_human_readable();
    deserializer.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut deserializer)?;
    let left = bytes.len() as u64 - reader.position();
    if left > 0 {
        return Err(CodecError::Trailing(left));
    }
    Ok(value)
}
