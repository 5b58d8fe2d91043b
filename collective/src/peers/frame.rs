//! Frames of JSON: 4 bytes of length, big endian, then one object (`protocol::wire::join`).

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads one frame of at most `limit` bytes.
///
/// # Errors
/// If the frame is longer, is not of this kind, or the connection ends.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<T> {
    let length = from.read_u32().await? as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {length} bytes, at most {limit}")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // serde's text may repeat a value, which may be a secret.
        let place = format!("frame is not what was expected (column {})", error.column());
        io::Error::new(io::ErrorKind::InvalidData, place)
    })
}

/// Writes one frame.
///
/// # Errors
/// If the connection is broken.
pub async fn write<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&[length.to_be_bytes().as_slice(), &bytes].concat()).await?;
    to.flush().await
}
