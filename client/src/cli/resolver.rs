//! What a Client that was killed left in the system's resolver file: no name resolves any more. Every command that needs
//! names, or that ends the Client, puts the user's file back first; a unit does with `ExecStopPost=-ringwall down`.

use std::path::PathBuf;

use crate::store::StateDirectory;

/// Puts the user's file back, if no daemon runs on this state directory. Returns whether it was not in its place.
pub(super) fn put_back(state: &StateDirectory) -> bool {
    // A daemon that runs needs its file, and one that begins does this itself.
    let Ok(lock) = state.lock() else { return false };
    let noted = state.resolver_file().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read which resolver file was replaced");
        None
    });
    let restored = crate::dns::recover(&noted.unwrap_or_else(|| PathBuf::from(crate::dns::RESOLV_CONF)));
    drop(lock);
    restored
}
