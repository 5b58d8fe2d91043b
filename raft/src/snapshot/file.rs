//! One snapshot file: `magic ‖ header length (4) ‖ header ‖ state ‖ BLAKE3 (32)`, big endian.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec;
use crate::state::State;
use crate::types::SnapshotMeta;

const MAGIC: &[u8; 16] = b"ringwall state 1";
const CHECKSUM: usize = 32;
/// Longest header: log id and membership of a hundred nodes.
const MAX_HEADER: usize = 64 * 1024;
/// Longest snapshot that is read: thirty times a million entries.
pub(crate) const MAX_LENGTH: u64 = 8 * 1024 * 1024 * 1024;

/// An open snapshot file. It stays readable when a newer snapshot takes its place.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    path: Arc<Path>,
    file: Arc<File>,
    length: u64,
    _temporary: Option<Arc<Temporary>>,
}

/// Removes a received file that never became this node's snapshot; one that did has another name by then.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left behind is removed at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes and syncs a new file.
pub(crate) fn write(path: &Path, meta: &SnapshotMeta, state: &State) -> io::Result<()> {
    let mut to = Hashing { to: BufWriter::with_capacity(1 << 20, File::create(path)?), hasher: blake3::Hasher::new() };
    let header = codec::encode(meta).map_err(io::Error::other)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    to.write_all(MAGIC)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&header)?;
    state.write_to(&mut to).map_err(io::Error::other)?;
    let checksum = to.hasher.finalize();
    to.to.write_all(checksum.as_bytes())?;
    to.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

struct Hashing<W> {
    to: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl SnapshotFile {
    /// Opens a file without reading it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.into(), file: Arc::new(file), length, _temporary: None })
    }

    /// The same file, removed with its last handle unless it was renamed.
    pub(crate) fn temporary(self) -> Self {
        Self { _temporary: Some(Arc::new(Temporary(self.path.to_path_buf()))), ..self }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Reads at most `length` bytes at `offset`.
    pub(crate) fn chunk(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Reads the header alone, unchecked.
    pub(crate) fn meta(&self) -> io::Result<SnapshotMeta> {
        let head = self.chunk(0, MAGIC.len() + 4 + MAX_HEADER)?;
        Ok(header(&head)?.0)
    }

    /// Reads and checks everything.
    pub(crate) fn read(&self) -> io::Result<(SnapshotMeta, State)> {
        if self.length > MAX_LENGTH {
            return Err(invalid(format!("{} bytes are too long", self.length)));
        }
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        parse(&self.chunk(0, length)?)
    }
}

/// The content of a whole file.
pub(crate) fn parse(bytes: &[u8]) -> io::Result<(SnapshotMeta, State)> {
    let content = bytes.len().checked_sub(CHECKSUM).ok_or_else(|| invalid("the file is too short"))?;
    let (content, checksum) = bytes.split_at(content);
    if blake3::hash(content).as_bytes() != checksum {
        return Err(invalid("the checksum does not match"));
    }
    let (meta, state) = header(content)?;
    let state = State::from_bytes(state).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
    Ok((meta, state))
}

fn header(bytes: &[u8]) -> io::Result<(SnapshotMeta, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| invalid("no snapshot of this version"))?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("the header is missing"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
    if length > MAX_HEADER || length > rest.len() {
        return Err(invalid("the header is too long"));
    }
    let (header, state) = rest.split_at(length);
    Ok((codec::decode(header).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?, state))
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
