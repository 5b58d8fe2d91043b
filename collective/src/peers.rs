//! The peer port: Controllers (Raft), Gateways (feed), and who wants to become one (join).
//!
//! Owns the connections to peers, and what Gateways report: their sessions and what they enforce. Promises that a peer is
//! who its certificate says, and speaks the protocol of its role only. What Gateways are told is left to the replicated
//! state and `ringwall-actors`.

pub(crate) mod connector;
pub(crate) mod enforcement;
pub(crate) mod feed;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod join;
pub(crate) mod joining;
pub(crate) mod reports;
pub(crate) mod session_directory;
pub(crate) mod sessions;
pub(crate) mod sessions_everywhere;
mod source;

use std::net::SocketAddr;
use std::sync::Arc;

use ringwall_actors::link::Board;
use ringwall_protocol::id::{ApplianceId, NodeId, Thumbprint};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_raft::State;
use ringwall_raft::state::gateway::EndFormerGatewayKey;
use ringwall_trust::identity::LeafIdentity;
use ringwall_trust::tls::Alpn;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::connector::Connector;
use self::session_directory::SessionDirectory;
use crate::audit::client_events::Audit;
use crate::audit::file::GatewayAudit;
use crate::issuing::intermediates::Intermediates;
use crate::listener::gates::{Gates, Peer};
use crate::replica::Replica;
use crate::replica::vault::Vault;

/// What a Controller sends first on a connection to another: which of its conversations this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Conversation {
    /// Raft's messages.
    Raft = b'R',
    /// What do your Gateways enforce?
    Enforcement = b'E',
    /// Which sessions do your Gateways have?
    Sessions = b'S',
}

/// What is known of peers, and how they are reached.
pub struct Peers {
    pub(crate) replica: Replica,
    pub(crate) audit: Audit,
    pub(crate) vault: Arc<Vault>,
    pub(crate) intermediates: Arc<Intermediates>,
    /// Sessions that Gateways report here.
    pub sessions: SessionDirectory,
    /// What Gateways enforce.
    pub(crate) board: Arc<Board>,
    /// Audit records of Gateways.
    pub(crate) gateway_audit: Arc<GatewayAudit>,
    pub(crate) connector: Connector,
}

impl Peers {
    /// Peers that `connector` reaches; those that join get certificates of `intermediates`.
    pub(crate) fn new(
        replica: Replica,
        audit: Audit,
        vault: Arc<Vault>,
        intermediates: Arc<Intermediates>,
        connector: Connector,
        gateway_audit: GatewayAudit,
    ) -> Self {
        let (sessions, board) = (SessionDirectory::default(), Arc::new(Board::default()));
        let gateway_audit = Arc::new(gateway_audit);
        Self { replica, audit, vault, intermediates, sessions, board, gateway_audit, connector }
    }
}

impl Peers {
    /// A Gateway proved a key: if it is the next one of a renewal, the former one ends (T73).
    fn end_former_key(&self, gateway: ApplianceId, used: Thumbprint) {
        let state = self.replica.state();
        let renewed = state.gateway(gateway).is_some_and(|one| one.keys.len() > 1 && one.keys.first() == Some(&used));
        if renewed {
            let replica = self.replica.clone();
            // The feed does not wait for it; if it fails, the next connection ends the key.
            tokio::spawn(async move {
                match replica.change(EndFormerGatewayKey { gateway, used }).await {
                    Ok(_) => tracing::info!(%gateway, "gateway's former key ended"),
                    Err(error) => tracing::debug!(%gateway, %error, "gateway's former key still counts"),
                }
            });
        }
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

/// Active Controllers but `me`.
pub(crate) fn other_controllers(state: &State, me: NodeId) -> Vec<NodeId> {
    let others = state.controllers().filter(|one| one.node != me && one.state == ApplianceState::Active);
    others.map(|one| one.node).collect()
}

/// Accepts peers until told to stop. Connections that are open then are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    gates: Arc<Gates>,
    peers: Arc<Peers>,
    feeds: feed::Feeds,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let (gates, peers, feeds) = (Arc::clone(&gates), Arc::clone(&peers), feeds.clone());
                connections.spawn(async move {
                    match gates.peer(stream).await {
                        Ok(peer) => converse(peer, peers, feeds).await,
                        Err(error) => tracing::debug!(%address, %error, "peer was not let in"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "peer connection was not accepted");
                // Out of descriptors: accepting again at once would only burn the processor.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn converse(peer: Peer, peers: Arc<Peers>, feeds: feed::Feeds) {
    let identity = peer.leaf.as_ref().map(|leaf| leaf.identity);
    match (peer.protocol, identity) {
        (Alpn::Raft, Some(LeafIdentity::Controller { node, .. })) => {
            let address: SocketAddr = peer.address;
            tracing::debug!(%node, %address, "controller connected");
            controller_conversation(node, peer, &peers).await;
        }
        (Alpn::Feed, Some(LeafIdentity::Gateway { appliance, .. })) => {
            if let Some(leaf) = &peer.leaf {
                peers.end_former_key(appliance, leaf.thumbprint);
            }
            feeds.serve(appliance, peer).await;
        }
        (Alpn::Join, None) => join::answer(peer, &peers).await,
        (protocol, _) => tracing::warn!(%protocol, "peer's role does not fit its protocol"),
    }
}

async fn controller_conversation(node: NodeId, mut peer: Peer, peers: &Peers) {
    use tokio::io::AsyncReadExt;
    match peer.stream.read_u8().await {
        Ok(kind) if kind == Conversation::Raft as u8 => {
            if let Err(error) = peers.replica.node().serve_peer(peer.stream, node).await {
                tracing::debug!(%error, "raft connection ended");
            }
        }
        Ok(kind) if kind == Conversation::Enforcement as u8 => {
            enforcement::answer(peer.stream, &peers.board).await;
        }
        Ok(kind) if kind == Conversation::Sessions as u8 => {
            sessions::answer(peer.stream, &peers.sessions).await;
        }
        Ok(kind) => tracing::warn!(kind, "controller began an unknown conversation"),
        Err(error) => tracing::debug!(%error, "controller said nothing"),
    }
}
