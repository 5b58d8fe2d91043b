//! Who is at the other end of a finished handshake. The verifier has accepted the chain; this reads it once more.

use rustls::CommonState;

use crate::identity::{Leaf, LeafError};

/// The other end's leaf; `None` if it showed no certificate.
///
/// # Errors
/// [`LeafError`], which our verifiers make impossible.
pub fn peer_leaf(connection: &CommonState) -> Result<Option<Leaf>, LeafError> {
    match connection.peer_certificates() {
        Some([leaf, ..]) => Leaf::parse(leaf).map(Some),
        _ => Ok(None),
    }
}
