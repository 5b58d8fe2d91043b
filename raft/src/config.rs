//! What a node is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::time::UnixMillis;

use crate::data_dir::Identity;

/// Configuration of a node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Whose data is expected in the directory.
    pub identity: Identity,
    /// The node's own directory, made by [`crate::data_dir::create`].
    pub data_dir: PathBuf,
    /// Pace of the Raft group; the same on all its nodes.
    pub timing: Timing,
    /// How long a proposal is tried before its outcome is given up as unknown; 5 s unless said otherwise.
    pub proposal_deadline: Duration,
    /// How long a linearizable read is tried before there is no quorum; 2 s unless said otherwise.
    pub read_deadline: Duration,
    /// Entries from one snapshot to the next.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, for followers that come back soon.
    pub keep_entries: u64,
    /// This machine's wall clock, uncorrected: what other nodes hear when they ask for it.
    pub clock: fn() -> UnixMillis,
}

/// Heartbeats and elections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between a leader's heartbeats.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election; well above the heartbeat and a round trip.
    pub election_min: Duration,
    /// Longest.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
        }
    }
}

impl NodeConfig {
    /// Defaults for the directory of `identity`.
    #[must_use]
    pub fn new(identity: Identity, data_dir: impl Into<PathBuf>, clock: fn() -> UnixMillis) -> Self {
        Self {
            identity,
            data_dir: data_dir.into(),
            timing: Timing::default(),
            proposal_deadline: Duration::from_secs(5),
            read_deadline: Duration::from_secs(2),
            snapshot_every: 10_000,
            keep_entries: 2_000,
            clock,
        }
    }

    pub(crate) fn for_openraft(&self) -> Result<Arc<openraft::Config>, openraft::ConfigError> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: self.identity.collective.to_string(),
            heartbeat_interval: millis(self.timing.heartbeat),
            election_timeout_min: millis(self.timing.election_min),
            election_timeout_max: millis(self.timing.election_max),
            enable_pre_vote: Some(true),
            // The state is in memory: a restarted leader must learn the commit index by a new election.
            enable_leader_restore: Some(false),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep_entries,
            replication_lag_threshold: self.snapshot_every.saturating_add(self.keep_entries),
            // A snapshot of a million entries is some 300 MB: 10 minutes are 0.5 MB/s.
            install_snapshot_timeout: 600_000,
            // Reconnecting has its own backoff in the link; this one only paces attempts.
            backoff: "20ms 50ms 100ms ...500ms".to_owned(),
            ..openraft::Config::default()
        };
        config.validate().map(Arc::new)
    }
}
