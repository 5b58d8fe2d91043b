//! How rights end before their time: revocation, sign-out, and when Gateways have enforced it.
//!
//! Promises that what was minted before a revocation is refused by everything that has applied its log entry. The
//! removal from kernels is left to Gateways; this waits for their acknowledgements.

pub(crate) mod enforcement;
pub(crate) mod pace;
pub(crate) mod sign_out;

use std::sync::Arc;

use ringwall_actors::link::Board;

use crate::audit::client_events::Audit;
use crate::peers::connector::Connector;
use crate::replica::Replica;

/// What ends rights, and learns when they have ended.
pub struct Revocation {
    replica: Replica,
    audit: Audit,
    /// What Gateways enforce whose feed ends here.
    board: Arc<Board>,
    /// To the Controllers at which the other feeds end.
    connector: Connector,
}

impl Revocation {
    /// Revocations that Gateways enforce which `board` and other Controllers know of.
    pub(crate) const fn new(replica: Replica, audit: Audit, board: Arc<Board>, connector: Connector) -> Self {
        Self { replica, audit, board, connector }
    }
}
