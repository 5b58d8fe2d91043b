//! Follows what the registry publishes of the feed: members for handshakes, keys for knocks, Controllers to dial; and
//! notices when the firewall would have to be shaped anew.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Addr;
use arc_swap::ArcSwapOption;
use data_encoding::BASE64URL_NOPAD;
use ipnet::IpNet;
use ringwall_actors::feed::Candidates;
use ringwall_actors::feed::{Feed, FeedOutbox};
use ringwall_actors::registry::published::Published;
use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::{ApplianceId, CollectiveId, Thumbprint};
use ringwall_protocol::membership::{ControllerRecord, GatewayRecord};
use ringwall_protocol::object::settings::SpaMode;
use ringwall_protocol::spa::KnockKey;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{Realm, Receiver, SpaWindow, places};
use ringwall_trust::tls::{CurrentMembers, Gate, Members, SpaPolicy};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use crate::controller_link::candidates;
use crate::data_dir::DataDir;
use crate::names::Names;

/// What could not be written is tried again after this: a disk gets room again without a word from the Collective.
const SAVE_AGAIN: Duration = Duration::from_secs(10);

/// What the firewall was shaped by. Another shape needs another table, and so another start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Pools of tunnel addresses.
    pub(crate) pools: Vec<IpNet>,
    /// Translation toward protected hosts.
    pub(crate) snat: bool,
    /// How the ports are guarded.
    pub(crate) spa: SpaMode,
}

impl Shape {
    /// The shape that a view asks for.
    #[must_use]
    pub(crate) fn of(view: &FeedView) -> Self {
        let mut pools = view.site.pools.clone();
        pools.sort();
        pools.dedup();
        Self { pools, snat: view.site.snat, spa: view.spa_mode }
    }
}

/// The membership that records describe; nobody, if one of them is damaged.
#[must_use]
pub(crate) fn membership<'a>(
    collective: CollectiveId,
    root: &str,
    controllers: impl IntoIterator<Item = &'a ControllerRecord>,
    gateways: impl IntoIterator<Item = &'a GatewayRecord>,
) -> Members {
    let root = BASE64URL_NOPAD.decode(root.as_bytes()).map(CertificateDer::from);
    let members = root.map_err(|error| error.to_string()).and_then(|root| {
        Members::from_records(collective, &[root], controllers, gateways).map_err(|error| error.to_string())
    });
    members.unwrap_or_else(|error| {
        tracing::error!(error, "member records are invalid; no peer is trusted");
        Members::nobody(collective)
    })
}

/// Keys, window and policy for knocks.
pub(crate) struct KnockSettings {
    /// This Gateway.
    pub(crate) me: ApplianceId,
    /// The process's one receiver.
    pub(crate) receiver: Arc<Mutex<Receiver>>,
    /// The gates of all listeners.
    pub(crate) gate: Arc<Gate>,
    /// Where Clients come, as far as this machine knows.
    pub(crate) listen: SocketAddr,
    /// Whether a knock must name a place of this Gateway; not where addresses are translated on the way.
    pub(crate) bind_destination: bool,
    /// The key with which this Gateway knocks on Controllers.
    pub(crate) knock: Arc<ArcSwapOption<SecretKey>>,
    /// Which of them is on the disk, as far as this process has seen.
    pub(crate) saved: Mutex<Option<Thumbprint>>,
}

impl KnockSettings {
    /// Takes over what a view says of knocks.
    pub(crate) fn follow(&self, view: &FeedView) {
        let keys: Vec<_> = view.spa_keys.iter().filter_map(|key| key.expose().parse::<SecretKey>().ok()).collect();
        if keys.len() < view.spa_keys.len() {
            tracing::error!("invalid SPA key in the feed; it is ignored");
        }
        let window = SpaWindow::new(view.spa_window_seconds).unwrap_or(SpaWindow::DEFAULT);
        let told = view.gateways.get(&self.me).map(|own| own.addresses.as_slice()).unwrap_or_default();
        let destinations = self.bind_destination.then(|| places(self.listen, told));
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.configure(window, destinations);
        receiver.replace_roots(Realm::Gateway(self.me), &keys);
        drop(receiver);
        self.gate.set_policy(policy(view.spa_mode));
    }

    /// Takes over the key for knocking on Controllers, and keeps it for the next start; false if the disk refuses it.
    fn follow_peer_key(&self, view: &FeedView, data: &DataDir, outbox: &FeedOutbox) -> bool {
        let Some(text) = view.peer_spa_key.as_ref().map(KnockKey::expose) else { return true };
        let Ok(key) = text.parse::<SecretKey>() else {
            tracing::error!("invalid SPA key for controllers; keeping the previous one");
            return true;
        };
        let digest = Thumbprint(key.digest());
        // Good as soon as it is told, but confirmed only when it is on the disk.
        self.knock.store(Some(Arc::new(key)));
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved == Some(digest) {
            outbox.peer_key(digest);
            return true;
        }
        let kept = data.identity().and_then(|identity| match identity {
            Some(mut identity) if identity.spa_key.as_deref() != Some(text) => {
                identity.spa_key = Some(text.to_owned());
                data.keep_identity(&identity)
            }
            _ => Ok(()),
        });
        match kept {
            Ok(()) => {
                *saved = Some(digest);
                outbox.peer_key(digest);
                true
            }
            Err(error) => {
                tracing::error!(%error, "cannot save the SPA key for controllers; trying again every {SAVE_AGAIN:?}");
                false
            }
        }
    }
}

/// What is wanted in a ClientHello.
#[must_use]
pub(crate) const fn policy(mode: SpaMode) -> SpaPolicy {
    match mode {
        SpaMode::Open => SpaPolicy::Open,
        SpaMode::Tcp | SpaMode::UdpTcp => SpaPolicy::Tcp,
    }
}

/// Follows the feed for as long as its shape is `shape`; returns when it is another, or when the registry is gone.
pub(crate) async fn follow(
    mut published: Published,
    members: &CurrentMembers,
    guard: &KnockSettings,
    (feed, outbox): (&Addr<Feed>, &FeedOutbox),
    data: &DataDir,
    names: &Names,
    shape: &Shape,
) {
    let mut known: Vec<ControllerRecord> = vec![];
    let (mut list_saved, mut key_saved) = (true, true);
    loop {
        if let Some(snapshot) = published.snapshot() {
            let view = &snapshot.view;
            let (controllers, gateways) = (view.controllers.values(), view.gateways.values());
            members.replace(membership(view.collective, &view.root_certificate, controllers, gateways));
            guard.follow(view);
            key_saved = guard.follow_peer_key(view, data, outbox);
            names.follow(view);
            let present: Vec<_> = view.controllers.values().cloned().collect();
            if present != known {
                // A feed that is gone is noticed by whoever watches the process.
                let _ = feed.send(Candidates(candidates(&present))).await;
                (known, list_saved) = (present, false);
            }
            list_saved = list_saved || save_list(data, &known);
            if Shape::of(view) != *shape && !view.site.pools.is_empty() {
                tracing::warn!("site pools, SNAT or SPA mode changed; restarting to rebuild the firewall");
                return;
            }
        }
        if !changed(&mut published, list_saved && key_saved).await {
            return;
        }
    }
}

/// Keeps the Controllers for the next start; false if the disk refuses them.
fn save_list(data: &DataDir, controllers: &[ControllerRecord]) -> bool {
    let kept = data.keep_members(controllers);
    if let Err(error) = &kept {
        tracing::error!(%error, "cannot save the list of controllers; trying again every {SAVE_AGAIN:?}");
    }
    kept.is_ok()
}

/// Waits for another view or, where something is not saved yet, for the time to try again; false if the registry is gone.
async fn changed(published: &mut Published, saved: bool) -> bool {
    if saved {
        return published.changed().await;
    }
    timeout(SAVE_AGAIN, published.changed()).await.unwrap_or(true)
}
