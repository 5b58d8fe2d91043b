//! Packing of feed frames: 4 bytes of length, big endian, then MessagePack with names, ids and times as text, so that
//! tagged enums read back exactly as they were written. Bounded in length and depth; used by both ends of a feed.

use ringwall_protocol::feed::MAX_FEED_FRAME;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Deepest nesting that is read: the deepest message of ours has 9 levels.
const MAX_DEPTH: usize = 32;
/// Bytes of the length in front of a frame.
pub(crate) const LENGTH: usize = 4;

/// Why a frame could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Over [`MAX_FEED_FRAME`].
    #[error("a frame has {got} bytes, at most {MAX_FEED_FRAME} are allowed")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// Not a value of this kind.
    #[error("a frame could not be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// Not a message of this kind.
    #[error("a frame could not be decoded: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    /// Something follows the message.
    #[error("{0} bytes follow the message in its frame")]
    Trailing(usize),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
}

/// The MessagePack of a value, without a length.
///
/// # Errors
/// [`PackError::Encode`].
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::with_capacity(256);
    let mut to = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut to)?;
    Ok(bytes)
}

/// A value from its MessagePack.
///
/// # Errors
/// [`PackError::Decode`], [`PackError::Trailing`].
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PackError> {
    let mut reader = std::io::Cursor::new(bytes);
    let mut from = rmp_serde::Deserializer::new(&mut reader).with_human_readable();
    from.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut from)?;
    let used = usize::try_from(reader.position()).unwrap_or(usize::MAX);
    match bytes.len().saturating_sub(used) {
        0 => Ok(value),
        more => Err(PackError::Trailing(more)),
    }
}

/// A whole frame, with its length.
///
/// # Errors
/// [`PackError::Encode`], [`PackError::TooLong`].
pub fn frame<T: Serialize>(value: &T) -> Result<Vec<u8>, PackError> {
    let body = pack(value)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_FEED_FRAME);
    let length = length.ok_or(PackError::TooLong { got: body.len() })?;
    let mut bytes = Vec::with_capacity(LENGTH + body.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads the next frame; `None` at the end of the stream between two frames. Not cancel-safe: one reader, one task.
///
/// # Errors
/// [`PackError::TooLong`] before anything of it is read, [`PackError::Decode`], [`PackError::Io`].
pub async fn read_frame<T: DeserializeOwned, R: AsyncRead + Unpin>(from: &mut R) -> Result<Option<T>, PackError> {
    let mut length = [0; LENGTH];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let got = u32::from_be_bytes(length) as usize;
    if got > MAX_FEED_FRAME {
        return Err(PackError::TooLong { got });
    }
    let mut body = vec![0; got];
    from.read_exact(&mut body).await?;
    unpack(&body).map(Some)
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::feed::{FeedEvent, FeedSite, FromController, FromGateway};
    use ringwall_protocol::id::{ApplianceId, Incarnation, IncarnationId, LogIndex, SiteId};

    use super::*;

    fn site_changed() -> FromController {
        FromController::Change {
            index: LogIndex(7),
            event: FeedEvent::SiteChanged {
                site: FeedSite {
                    id: SiteId::from_random([1; 16]),
                    name: "office".to_owned(),
                    pools: vec!["10.9.0.0/16".parse().expect("a network"), "fd09::/64".parse().expect("a network")],
                    networks: vec!["10.20.0.0/16".parse().expect("a network")],
                    snat: true,
                    lease_seconds: 15,
                    grace_seconds: None,
                    witnesses: 1,
                    dtls: false,
                    name_resolution: Default::default(),
                },
            },
        }
    }

    #[test]
    fn nested_tagged_messages_with_ids_and_networks_survive_packing() {
        let change = site_changed();
        assert_eq!(unpack::<FromController>(&pack(&change).expect("packed")).expect("unpacked"), change);
        let subscribe = FromGateway::Subscribe {
            versions: vec![1],
            gateway: ApplianceId::from_random([2; 16]),
            position: Some(ringwall_protocol::feed::FeedPosition {
                incarnation: Incarnation { epoch: 3, id: IncarnationId::from_random([4; 16]) },
                index: LogIndex(9),
            }),
            witness: false,
        };
        assert_eq!(unpack::<FromGateway>(&pack(&subscribe).expect("packed")).expect("unpacked"), subscribe);
    }

    #[test]
    fn junk_trailing_bytes_and_deep_nesting_are_refused() {
        assert!(unpack::<FromController>(b"junk").is_err());
        let mut bytes = pack(&site_changed()).expect("packed");
        bytes.push(0xc0);
        assert!(matches!(unpack::<FromController>(&bytes), Err(PackError::Trailing(1))));
        assert!(unpack::<serde_json::Value>(&[vec![0x91; 100_000], vec![0xc0]].concat()).is_err());
    }

    #[tokio::test]
    async fn frames_are_bounded_before_they_are_read() {
        let mut good: &[u8] = &frame(&site_changed()).expect("framed");
        assert_eq!(read_frame::<FromController, _>(&mut good).await.expect("read"), Some(site_changed()));
        assert!(read_frame::<FromController, _>(&mut good).await.expect("end").is_none());
        let mut long: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0];
        assert!(matches!(read_frame::<FromController, _>(&mut long).await, Err(PackError::TooLong { .. })));
    }
}
