//! Connections to Controllers for the feed: TLS by membership, frames in and out in order.

use std::sync::Arc;

use actix::Addr;
use arc_swap::ArcSwapOption;
use ringwall_actors::feed::Feed;
use ringwall_actors::feed::{Arrived, Connected, Lost};
use ringwall_actors::feed::{Candidate, ConnectionId, Dialer};
use ringwall_actors::support::packed;
use ringwall_protocol::feed::{FromController, FromGateway};
use ringwall_protocol::id::Incarnation;
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_trust::secret::SecretKey;
use ringwall_trust::spa::{Approach, dial_peer};
use ringwall_trust::tls::{Alpn, CurrentMembers, ExpectedController, Membership, Presented, Tls};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;

use crate::clock::wall;
use crate::data_dir::DataDir;

/// Frames queued for one connection; the feed keeps the rest.
const OUTBOX: usize = 64;

/// A connection to a Controller's feed.
pub(crate) type FeedStream = TlsStream<TcpStream>;

/// Makes connections as this Gateway.
#[derive(Clone)]
pub(crate) struct ControllerDialer {
    /// The members: whom to believe.
    pub(crate) members: Arc<CurrentMembers>,
    /// The own certificate.
    pub(crate) own: Arc<Presented>,
    /// The key to knock with; replaced when the feed tells another.
    pub(crate) knock: Arc<ArcSwapOption<SecretKey>>,
    /// Where the Collective's incarnation is kept.
    pub(crate) data: DataDir,
}

impl ControllerDialer {
    /// Connects to a Controller's feed.
    ///
    /// # Errors
    /// The last address's error.
    pub(crate) async fn connect(&self, to: &Candidate) -> std::io::Result<FeedStream> {
        let membership = Arc::clone(&self.members) as Arc<dyn Membership>;
        let config = Tls::new().peer_client(membership, ExpectedController::Node(to.node), &self.own);
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "no address of the controller is known");
        let approach = self.knock.load_full().map(|key| Approach::peer((*key).clone()));
        for address in &to.addresses {
            match dial_peer(address, Alpn::Feed, &config, approach.as_ref(), wall).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Dialer for ControllerDialer {
    fn dial(&self, connection: ConnectionId, to: Candidate, feed: Addr<Feed>) {
        let this = self.clone();
        actix_rt::spawn(async move {
            let reason = match this.connect(&to).await {
                Ok(stream) => converse(connection, stream, &feed).await,
                Err(error) => format!("controller {} at {:?}: {error}", to.node, to.addresses),
            };
            // A feed that is gone does not want to know.
            let _ = feed.send(Lost { connection, reason }).await;
        });
    }

    fn remember(&self, incarnation: Incarnation) {
        let kept = self.data.identity().and_then(|identity| match identity {
            Some(mut identity) => {
                identity.incarnation = incarnation;
                self.data.keep_identity(&identity)
            }
            None => Ok(()),
        });
        if let Err(error) = kept {
            tracing::error!(%error, "cannot save the collective incarnation");
        }
    }
}

/// Carries frames until either end is done; answers why.
async fn converse(connection: ConnectionId, stream: FeedStream, feed: &Addr<Feed>) -> String {
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    if feed.send(Connected { connection, outbox }).await.is_err() {
        return "the feed has ended".to_owned();
    }
    let (reading, writing) = tokio::io::split(stream);
    tokio::select! {
        reason = write(writing, outgoing) => reason,
        reason = read(connection, reading, feed) => reason,
    }
}

async fn write(mut to: WriteHalf<FeedStream>, mut outgoing: mpsc::Receiver<FromGateway>) -> String {
    while let Some(frame) = outgoing.recv().await {
        let bytes = match packed::frame(&frame) {
            Ok(bytes) => bytes,
            Err(error) => return format!("a frame cannot be encoded: {error}"),
        };
        if let Err(error) = to.write_all(&bytes).await {
            return format!("connection error: {error}");
        }
        if outgoing.is_empty()
            && let Err(error) = to.flush().await
        {
            return format!("connection error: {error}");
        }
    }
    "closed by this gateway".to_owned()
}

async fn read(connection: ConnectionId, mut from: ReadHalf<FeedStream>, feed: &Addr<Feed>) -> String {
    loop {
        match packed::read_frame::<FromController, _>(&mut from).await {
            Ok(Some(frame)) => {
                if feed.send(Arrived { connection, frame }).await.is_err() {
                    return "the feed has ended".to_owned();
                }
            }
            Ok(None) => return "closed by the controller".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

/// The Controllers that can be asked, of those that are members.
#[must_use]
pub(crate) fn candidates<'a>(controllers: impl IntoIterator<Item = &'a ControllerRecord>) -> Vec<Candidate> {
    let serving = |record: &&ControllerRecord| {
        record.state != ApplianceState::Removed
            && record.state != ApplianceState::Inactive
            && !record.peer_addresses.is_empty()
    };
    let candidate =
        |record: &ControllerRecord| Candidate { node: record.node, addresses: record.peer_addresses.clone() };
    controllers.into_iter().filter(serving).map(candidate).collect()
}
