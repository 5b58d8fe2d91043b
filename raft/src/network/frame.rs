//! Frames on a peer stream: `length (4) ‖ request id (8) ‖ body`, big endian; the length counts id and body.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Longest body: a batch of replication (4 MiB, or one command of 8 MiB) with its envelope, or a chunk of a snapshot.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
/// From a frame's first bytes to its last: 1.6 MB/s at the limit.
const FRAME_TIME: Duration = Duration::from_secs(10);
const ID: usize = 8;

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Chosen by who asks; the answer has the same.
    pub(crate) id: u64,
    /// Encoded message.
    pub(crate) body: Vec<u8>,
}

/// Reads a frame; `None` at a clean end. Waits for its beginning without limit.
pub(crate) async fn read<R: AsyncRead + Unpin>(from: &mut R) -> io::Result<Option<Frame>> {
    let mut head = [0; 4];
    match from.read(&mut head[..1]).await? {
        0 => Ok(None),
        _ => timeout(FRAME_TIME, read_rest(from, head)).await.map_err(|_| io::ErrorKind::TimedOut)?.map(Some),
    }
}

async fn read_rest<R: AsyncRead + Unpin>(from: &mut R, mut head: [u8; 4]) -> io::Result<Frame> {
    from.read_exact(&mut head[1..]).await?;
    let length = usize::try_from(u32::from_be_bytes(head)).map_err(io::Error::other)?;
    if !(ID..=ID + MAX_BODY).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {length} bytes")));
    }
    let id = from.read_u64().await?;
    let mut body = vec![0; length - ID];
    from.read_exact(&mut body).await?;
    Ok(Frame { id, body })
}

/// Writes a frame without flushing.
pub(crate) async fn write<W: AsyncWrite + Unpin>(to: &mut W, frame: &Frame) -> io::Result<()> {
    let length = u32::try_from(ID + frame.body.len()).map_err(io::Error::other)?;
    to.write_u32(length).await?;
    to.write_u64(frame.id).await?;
    to.write_all(&frame.body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_survives_the_stream_and_a_clean_end_is_none() {
        let (mut one, mut two) = tokio::io::duplex(64);
        let sent = tokio::spawn(async move {
            write(&mut one, &Frame { id: 7, body: vec![3; 500] }).await.expect("written");
        });
        let frame = read(&mut two).await.expect("read").expect("a frame");
        assert_eq!((frame.id, frame.body), (7, vec![3; 500]));
        sent.await.expect("sent");
        assert!(read(&mut two).await.expect("clean end").is_none());
    }

    #[tokio::test]
    async fn a_frame_beyond_the_limit_is_refused_from_its_length_alone() {
        let (mut one, mut two) = tokio::io::duplex(64);
        one.write_u32(u32::MAX).await.expect("written");
        assert_eq!(read(&mut two).await.expect_err("too long").kind(), io::ErrorKind::InvalidData);
        let (mut one, mut two) = tokio::io::duplex(64);
        one.write_u32(3).await.expect("written");
        assert_eq!(read(&mut two).await.expect_err("too short").kind(), io::ErrorKind::InvalidData);
    }
}
