//! Group commit: one thread syncs the write-ahead log once for everything that waits, then tells all of them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use openraft::storage::IOFlushed;

use super::Database;
use crate::types::Types;

/// The thread's mailbox. The thread ends when the last sender is gone.
#[derive(Debug, Clone)]
pub(crate) struct Flusher(Sender<IOFlushed<Types>>);

impl Flusher {
    /// Starts the thread.
    pub(crate) fn start(database: Arc<Database>) -> io::Result<Self> {
        let (waiting, work) = channel();
        std::thread::Builder::new().name("raft-flush".to_owned()).spawn(move || run(&database, &work))?;
        Ok(Self(waiting))
    }

    /// Calls back when everything written before is on disk.
    pub(crate) fn flush(&self, done: IOFlushed<Types>) {
        if let Err(unsent) = self.0.send(done) {
            unsent.0.io_completed(Err(io::Error::other("the flusher has ended")));
        }
    }
}

fn run(database: &Database, work: &Receiver<IOFlushed<Types>>) {
    while let Ok(first) = work.recv() {
        let mut waiting = vec![first];
        waiting.extend(work.try_iter());
        let result = database.sync();
        for done in waiting {
            done.io_completed(result.as_ref().copied().map_err(|why| io::Error::new(why.kind(), why.to_string())));
        }
    }
}
