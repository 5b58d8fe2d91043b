//! From reports to log entries: what Gateways tell within 100 ms becomes one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::id::ApplianceId;
use ringwall_raft::Reply;
use ringwall_raft::state::binding::{BindSessions, Binding, EndSessions, EndedSession, MAX_BOUND};
use ringwall_raft::state::gateway::NoteInterfaces;
use ringwall_raft::state::spa_master::{NotePeerKey, PeerKeyHolder};
use tokio::sync::mpsc;

use crate::peers::Peers;
use crate::refusal::Refusal;

/// Reports that may wait to be bound; beyond it they are dropped, and told again when the Gateway reconnects.
pub(super) const WAITING: usize = 65_536;
/// Reports are gathered for so long before they become an entry.
const BATCH: Duration = Duration::from_millis(100);

/// What is to be recorded.
#[derive(Debug)]
pub(super) enum Report {
    Opened(Binding),
    Ended(EndedSession),
    Interfaces(ApplianceId, Vec<IpAddr>),
    /// The Gateway keeps the peers' key of this generation.
    PeerKey(ApplianceId, u32),
}

/// Records what comes until nobody reports any more.
pub(super) async fn record_all(peers: Arc<Peers>, mut waiting: mpsc::Receiver<Report>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, MAX_BOUND).await > 0 {
        tokio::time::sleep(BATCH).await;
        while batch.len() < MAX_BOUND
            && let Ok(more) = waiting.try_recv()
        {
            batch.push(more);
        }
        record(&peers, std::mem::take(&mut batch)).await;
    }
}

/// Binds sessions of sign-ins that have happened. One from the future would win over every true one after it.
async fn open(peers: &Peers, mut bindings: Vec<Binding>) -> Result<(), Refusal> {
    // As new as every sign-in that a Gateway can have seen.
    let newest = peers.replica.current().await?.index();
    bindings.retain(|binding| {
        let happened = binding.sign_in_idx <= newest;
        if !happened {
            tracing::warn!(gateway = %binding.gateway, dn = %binding.dn, "gateway reports a sign-in index that is higher than the applied one");
        }
        happened
    });
    if bindings.is_empty() {
        return Ok(());
    }
    if let Reply::Bound(won) = peers.replica.change(BindSessions { bindings }).await? {
        let lost = won.iter().filter(|won| !**won).count();
        metrics::counter!("ringwall_sessions_not_bound_total").increment(lost as u64);
    }
    Ok(())
}

async fn record(peers: &Peers, batch: Vec<Report>) {
    let (mut bindings, mut ended) = (Vec::new(), Vec::new());
    let (mut interfaces, mut peer_keys) = (BTreeMap::new(), BTreeMap::new());
    for report in batch {
        match report {
            Report::Interfaces(gateway, addresses) => drop(interfaces.insert(gateway, addresses)),
            Report::PeerKey(gateway, generation) => drop(peer_keys.insert(gateway, generation)),
            Report::Opened(binding) => bindings.push(binding),
            Report::Ended(session) => ended.push(session),
        }
    }
    // Openings first: an end names its session, so that it cannot end a later one.
    if !bindings.is_empty()
        && let Err(error) = open(peers, bindings).await
    {
        tracing::warn!(%error, "sessions were not recorded");
    }
    for (gateway, addresses) in interfaces {
        note_interfaces(peers, gateway, addresses).await;
    }
    for (gateway, generation) in peer_keys {
        let note = NotePeerKey { holder: PeerKeyHolder::Gateway(gateway), generation };
        if let Err(error) = peers.replica.change(note).await {
            tracing::warn!(%error, %gateway, "a gateway's key for knocking was not recorded");
        }
    }
    if !ended.is_empty()
        && let Err(error) = peers.replica.change(EndSessions { ended }).await
    {
        tracing::warn!(%error, "ends of sessions were not recorded");
    }
}

/// Where a Gateway's host is reached.
async fn note_interfaces(peers: &Peers, gateway: ApplianceId, addresses: Vec<IpAddr>) {
    if let Err(error) = peers.replica.change(NoteInterfaces { gateway, addresses }).await {
        tracing::warn!(%error, %gateway, "addresses of a gateway were not recorded");
    }
}
