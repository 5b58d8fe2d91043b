//! The replicated state as links to Gateways see it. Knock keys stand sealed in the state; they are opened here.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringwall_actors::link::{ChangeSource, Changes, Compacted, NoQuorum};
use ringwall_protocol::feed::{FeedEvent, FeedView, members_digest};
use ringwall_protocol::id::{ApplianceId, Incarnation, LogIndex};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::spa::KnockKey;
use ringwall_raft::State;
use ringwall_trust::spa::PeerRole;
use tokio::sync::watch;

use super::Peers;
use crate::replica::vault::Purpose;

/// A Controller as a source of changes.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) peers: Arc<Peers>,
    /// The incarnation that this node joined.
    pub(super) joined: Incarnation,
}

impl Source {
    fn open_keys(&self, gateway: ApplianceId, sealed: &mut Vec<KnockKey>) {
        let open = |key: &KnockKey| {
            let key = self.peers.vault.open_key(Purpose::GatewaySpa(gateway), key.expose()).ok()?;
            Some(BASE64URL_NOPAD.encode(key.expose()).into())
        };
        *sealed = sealed.iter().filter_map(open).collect();
    }

    /// The key with which Gateways knock on Controllers.
    fn peer_key(&self, state: &State) -> Option<KnockKey> {
        let key = crate::listener::spa::peer_key(state, &self.peers.vault, PeerRole::Feed).ok()?;
        Some(key.expose_text().to_string().into())
    }
}

impl ChangeSource for Source {
    fn incarnation(&self) -> Incarnation {
        // Before the founding is known here no Gateway is a member, so no link gets further than this value.
        self.peers.replica.state().incarnation().unwrap_or(self.joined)
    }

    fn term(&self) -> u64 {
        self.peers.replica.status().term
    }

    fn view(&self, gateway: ApplianceId) -> Option<FeedView> {
        let state = self.peers.replica.state();
        state.gateway(gateway).filter(|record| record.state != ApplianceState::Removed)?;
        let mut view = state.feed_view(gateway)?;
        self.open_keys(gateway, &mut view.spa_keys);
        view.peer_spa_key = self.peer_key(&state);
        Some(view)
    }

    fn changes_after(&self, gateway: ApplianceId, after: LogIndex) -> Result<Changes, Compacted> {
        let state = self.peers.replica.state();
        let Some(site) = state.gateway(gateway).map(|record| record.site) else { return Err(Compacted { after }) };
        // Read before the changes: everything up to it is among them, and what came since is left for the next time.
        let through = state.index();
        let changes = self.peers.replica.node().changes_after(after).ok_or(Compacted { after })?;
        let mut events = Vec::new();
        for change in changes.iter().filter(|change| change.index <= through) {
            for scoped in change.events.iter().filter(|scoped| scoped.reaches(gateway, site)) {
                let mut event = scoped.event.clone();
                if let FeedEvent::SpaChanged { keys, peer_key, .. } = &mut event {
                    // The present ones: those of the time of the entry may be sealed under a key that was retired since.
                    *keys = state.spa_keys(gateway).iter().map(|key| key.sealed.as_str().to_owned().into()).collect();
                    self.open_keys(gateway, keys);
                    *peer_key = self.peer_key(&state);
                }
                events.push((change.index, event));
            }
        }
        Ok(Changes { events, through: through.max(after) })
    }

    fn applied(&self) -> watch::Receiver<LogIndex> {
        self.peers.replica.watch_applied()
    }

    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>> {
        let peers = Arc::clone(&self.peers);
        async move { peers.replica.node().read_index().await.map_err(|_| NoQuorum) }.boxed()
    }

    fn members(&self) -> (LogIndex, String) {
        let state = self.peers.replica.state();
        (state.index(), members_digest(state.controllers(), state.keys()))
    }

    fn retires(&self) -> bool {
        let state = self.peers.replica.state();
        let retires =
            state.controller(self.peers.replica.me()).is_some_and(|own| own.state == ApplianceState::Retiring);
        retires && !super::other_controllers(&state, self.peers.replica.me()).is_empty()
    }

    fn others(&self) -> Vec<String> {
        let me = self.peers.replica.me();
        let state = self.peers.replica.state();
        let others = state.controllers().filter(|one| one.node != me && one.state == ApplianceState::Active);
        others.flat_map(|one| one.peer_addresses.clone()).collect()
    }
}
