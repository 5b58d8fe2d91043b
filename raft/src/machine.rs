//! The adapter between openraft and the pure state: applies entries one by one and publishes every version.

pub(crate) mod published;

use std::io;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use ringwall_protocol::id::LogIndex;
use tokio::task::spawn_blocking;

use crate::snapshot::Snapshots;
use crate::snapshot::file::SnapshotFile;
use crate::state::{State, apply};
use crate::types::{Answer, Entry, LogId, Membership, SnapshotMeta, Types};
use published::Published;

/// The state machine. The state is in memory; what survives a restart is the newest snapshot and the log behind it.
#[derive(Debug)]
pub(crate) struct Machine {
    applied: Option<LogId>,
    membership: Membership,
    published: Arc<Published>,
    snapshots: Snapshots,
}

impl Machine {
    pub(crate) fn new(published: Arc<Published>, snapshots: Snapshots) -> Self {
        Self { applied: None, membership: Membership::default(), published, snapshots }
    }

    fn apply_entry(&mut self, entry: Entry) -> Answer {
        let index = LogIndex(entry.log_id.index);
        self.applied = Some(entry.log_id);
        let state = self.published.state();
        match entry.payload {
            EntryPayload::Normal(proposal) => {
                let transition = apply(&state, index, &proposal.0);
                tracing::trace!(%index, command = %proposal, "applied");
                self.published.advance(Arc::new(transition.state), transition.events);
                Answer(Some(transition.outcome))
            }
            EntryPayload::Blank => {
                self.published.advance(Arc::new(state.advanced_to(index)), Vec::new());
                Answer(None)
            }
            EntryPayload::Membership(membership) => {
                self.membership = Membership::new(Some(entry.log_id), membership);
                self.published.advance(Arc::new(state.advanced_to(index)), Vec::new());
                Answer(None)
            }
        }
    }
}

/// Writes one version out while newer ones are made.
#[derive(Debug)]
pub(crate) struct Writer {
    meta: SnapshotMeta,
    state: Arc<State>,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<Types> for Writer {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, SnapshotFile>> {
        let (meta, state, snapshots) = (self.meta.clone(), Arc::clone(&self.state), self.snapshots.clone());
        let snapshot = spawn_blocking(move || snapshots.write(&meta, &state)).await.map_err(io::Error::other)??;
        Ok(SnapshotOf::<Types, _> { meta: self.meta.clone(), snapshot })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Writer;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let answer = self.apply_entry(entry);
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Writer {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        Writer { meta, state: self.published.state(), snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let (snapshots, expected) = (self.snapshots.clone(), meta.clone());
        let state =
            spawn_blocking(move || snapshots.install(&expected, &snapshot)).await.map_err(io::Error::other)??;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.published.replace(state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, SnapshotFile>>> {
        let snapshots = self.snapshots.clone();
        let newest = spawn_blocking(move || snapshots.newest()).await.map_err(io::Error::other)??;
        Ok(newest.map(|(meta, snapshot)| SnapshotOf::<Types, _> { meta, snapshot }))
    }
}
