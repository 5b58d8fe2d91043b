//! The replicated log of this node: its settings, its directory, and the beginning of a new one.

use std::sync::Arc;

use anyhow::Context;
use ringwall_protocol::id::{CommandId, NodeId};
use ringwall_raft::state::collective::Founding;
use ringwall_raft::{Connecting, Identity, Node, NodeConfig, PeerConnector, Timing};
use uuid::Uuid;

use super::config::Config;
use super::data_dir::{DataDir, NodeIdentity};
use crate::clock;

/// What the node of this Controller is started with.
#[must_use]
pub(crate) fn raft_config(config: &Config, identity: &NodeIdentity, directory: &DataDir) -> NodeConfig {
    NodeConfig {
        timing: Timing {
            heartbeat: config.raft.heartbeat,
            election_min: config.raft.election_min,
            election_max: config.raft.election_max,
        },
        ..NodeConfig::new(raft_identity(identity), directory.raft(), clock::uncorrected)
    }
}

/// Makes the directory of the log.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn create_log(directory: &DataDir, identity: &NodeIdentity) -> anyhow::Result<()> {
    ringwall_raft::data_dir::create(&directory.raft(), &raft_identity(identity)).context("making the replicated log")
}

/// Begins the log of a new Collective with its founding. Afterwards the directory is that of a node that can run.
///
/// # Errors
/// If the log cannot be made, or the founding is refused.
pub async fn begin(
    directory: &DataDir,
    config: &Config,
    identity: &NodeIdentity,
    founding: Founding,
) -> anyhow::Result<()> {
    create_log(directory, identity)?;
    let node = Node::start(raft_config(config, identity, directory), Arc::new(Alone)).await?;
    let id = CommandId::new(Uuid::new_v4());
    let founded = node.initialize(founding, id, clock::now()).await;
    node.shutdown().await;
    founded?.reply.accepted().context("the founding was refused")?;
    Ok(())
}

const fn raft_identity(identity: &NodeIdentity) -> Identity {
    Identity { collective: identity.collective_id, node: identity.node, incarnation: identity.incarnation }
}

/// A node without peers.
struct Alone;

impl PeerConnector for Alone {
    fn connect(&self, _: NodeId) -> Connecting<'_> {
        Box::pin(async { Err(std::io::ErrorKind::NotConnected.into()) })
    }
}
