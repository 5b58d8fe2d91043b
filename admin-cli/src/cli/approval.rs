//! Orders that wait for a second administrator.

use clap::{Args, Subcommand};

/// `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// Id of the order.
    pub(crate) id: String,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `approvals`.
#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// Show orders that wait: those that you asked for, and those that you may approve.
    List,
    /// Take an order back that waits.
    Withdraw {
        /// Id of the order.
        id: String,
    },
}
