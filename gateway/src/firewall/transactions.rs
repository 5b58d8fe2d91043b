//! Transactions on the table: the one way from the enforcer into the kernel.
//!
//! Promises: a batch takes effect as a whole or not at all; each is timed and counted. What goes in is decided by
//! others; in which order they are sent by [`super::enforcer`].

use std::io;
use std::time::Instant;

use ringwall_kernel::nft::{Batch, CommitError, Kernel, Message, Table};

/// The table, and the socket that owns it.
pub(super) struct Transactions {
    kernel: Kernel,
    table: Table,
}

impl Transactions {
    pub(super) const fn new(kernel: Kernel, table: Table) -> Self {
        Self { kernel, table }
    }

    /// The table that messages are made for.
    pub(super) const fn table(&self) -> &Table {
        &self.table
    }

    /// Sends these messages as one batch and returns once it is in force; an empty one is in force already.
    ///
    /// # Errors
    /// If the kernel refused the batch: nothing of it is in force then.
    pub(super) fn commit(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), CommitError> {
        let begun = Instant::now();
        let batch: Batch = messages.into_iter().collect();
        let result = self.kernel.commit(batch);
        metrics::histogram!("ringwall_firewall_apply_seconds").record(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            metrics::counter!("ringwall_firewall_batch_errors_total").increment(1);
            tracing::warn!(%error, "nftables transaction failed");
        }
        result
    }

    /// The generation of the host's rule set, which every transaction of anybody moves.
    pub(super) fn generation(&mut self) -> io::Result<u32> {
        self.kernel.generation()
    }

    /// How many batches were sent so far.
    pub(super) fn commits(&self) -> u64 {
        self.kernel.commits()
    }

    /// The socket and the table, for listings.
    pub(super) const fn reader(&mut self) -> (&mut Kernel, &Table) {
        (&mut self.kernel, &self.table)
    }
}
