//! The replicated state as links to Gateways see it. Knock keys stand sealed in the state; they are opened here.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringwall_actors::link::{ChangeSource, Changes, Compacted, NoQuorum};
use ringwall_protocol::feed::{FeedEvent, FeedView};
use ringwall_protocol::id::{ApplianceId, Incarnation, LogIndex};
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::spa::KnockKey;
use ringwall_trust::spa::PeerRole;
use tokio::sync::watch;

use crate::controller::Controller;
use crate::vault::Purpose;

/// A Controller as a source of changes.
#[derive(Debug, Clone)]
pub(super) struct Source(pub(super) Arc<Controller>);

impl Source {
    fn open_keys(&self, gateway: ApplianceId, sealed: &mut Vec<KnockKey>) {
        let open = |key: &KnockKey| {
            let key = self.0.vault.open_key(Purpose::GatewaySpa(gateway), key.expose()).ok()?;
            Some(BASE64URL_NOPAD.encode(key.expose()).into())
        };
        *sealed = sealed.iter().filter_map(open).collect();
    }
}

impl ChangeSource for Source {
    fn incarnation(&self) -> Incarnation {
        // Before the founding is known here no Gateway is a member, so no link gets further than this value.
        self.0.node.state().incarnation().unwrap_or(self.0.identity.incarnation)
    }

    fn term(&self) -> u64 {
        self.0.node.status().term
    }

    fn view(&self, gateway: ApplianceId) -> Option<FeedView> {
        let state = self.0.node.state();
        state.gateway(gateway).filter(|record| record.state != ApplianceState::Removed)?;
        let mut view = state.feed_view(gateway)?;
        self.open_keys(gateway, &mut view.spa_keys);
        let knock = crate::spa::peer_key(&state, &self.0.vault, PeerRole::Feed).ok();
        view.peer_spa_key = knock.map(|key| key.expose_text().to_string().into());
        Some(view)
    }

    fn changes_after(&self, gateway: ApplianceId, after: LogIndex) -> Result<Changes, Compacted> {
        let state = self.0.node.state();
        let Some(site) = state.gateway(gateway).map(|record| record.site) else { return Err(Compacted { after }) };
        // Read before the changes: everything up to it is among them, and what came since is left for the next time.
        let through = state.index();
        let changes = self.0.node.changes_after(after).ok_or(Compacted { after })?;
        let mut events = Vec::new();
        for change in changes.iter().filter(|change| change.index <= through) {
            for scoped in change.events.iter().filter(|scoped| scoped.reaches(gateway, site)) {
                let mut event = scoped.event.clone();
                if let FeedEvent::SpaChanged { keys, .. } = &mut event {
                    self.open_keys(gateway, keys);
                }
                events.push((change.index, event));
            }
        }
        Ok(Changes { events, through: through.max(after) })
    }

    fn applied(&self) -> watch::Receiver<LogIndex> {
        self.0.node.watch_applied()
    }

    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>> {
        let controller = Arc::clone(&self.0);
        async move { controller.node.read_index().await.map_err(|_| NoQuorum) }.boxed()
    }

    fn others(&self) -> Vec<String> {
        let me = self.0.identity.node;
        let state = self.0.node.state();
        let others = state.controllers().filter(|one| one.node != me && one.state == ApplianceState::Active);
        others.flat_map(|one| one.peer_addresses.clone()).collect()
    }
}
