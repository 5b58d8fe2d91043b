//! Column families and keys of the log, in one place.

/// Vote, commit and purge marks, identity.
pub(crate) const META: &str = "meta";
/// Entries by index.
pub(crate) const LOG: &str = "log";

/// Whose log it is.
pub(crate) const IDENTITY: &[u8] = b"identity";
/// The vote; always synced.
pub(crate) const VOTE: &[u8] = b"vote";
/// Last committed log id known; a hint for a quick start, never synced for its own sake.
pub(crate) const COMMITTED: &[u8] = b"committed";
/// Last purged log id.
pub(crate) const PURGED: &[u8] = b"purged";

/// Behind every entry.
pub(crate) const END: [u8; 9] = [0xff; 9];

/// The key of an entry: big endian, so that order of bytes is order of indexes.
pub(crate) const fn entry(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// The index in an entry's key.
pub(crate) fn index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}
