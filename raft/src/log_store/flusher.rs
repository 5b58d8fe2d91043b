//! Group commit: one thread syncs the write-ahead log once for everything that waits, then tells all of them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;

use super::Database;
use crate::types::Types;

/// The thread that syncs; clones share it. Whoever drops the last one waits until the thread has ended, and with it the
/// last use of the database: a process that exits while RocksDB still closes a database aborts ("pthread lock: Invalid
/// argument"), because its static objects are destroyed under the thread that closes.
#[derive(Debug, Clone)]
pub(crate) struct Flusher(Arc<Thread>);

/// Dropped in this order: without its mailbox the thread ends, then it is waited for.
#[derive(Debug)]
struct Thread {
    waiting: Sender<IOFlushed<Types>>,
    _ended: Joined,
}

/// Waits for its thread when it is dropped.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            // A panic of the thread has been reported by its panic hook.
            let _ = handle.join();
        }
    }
}

impl Flusher {
    /// Starts the thread.
    pub(crate) fn start(database: Arc<Database>) -> io::Result<Self> {
        let (waiting, work) = channel();
        let handle = std::thread::Builder::new().name("raft-flush".to_owned()).spawn(move || run(&database, &work))?;
        Ok(Self(Arc::new(Thread { waiting, _ended: Joined(Some(handle)) })))
    }

    /// Calls back when everything written before is on disk.
    pub(crate) fn flush(&self, done: IOFlushed<Types>) {
        if let Err(unsent) = self.0.waiting.send(done) {
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
