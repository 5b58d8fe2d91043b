//! Feeds of Gateways: one link actor and one connection each. What leaves the link is written in its order by one task;
//! what arrives is handed over one by one, so that a busy link slows its Gateway down.

use std::sync::Arc;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use ringwall_actors::link::Board;
use ringwall_actors::link::{Arrived, HungUp};
use ringwall_actors::link::{ChangeSource, GatewayReports};
use ringwall_actors::link::{Link, LinkParts, OUTBOX};
use ringwall_actors::support::packed;
use ringwall_actors::support::{Clock, Moment};
use ringwall_protocol::feed::{FromController, FromGateway};
use ringwall_protocol::id::{ApplianceId, Incarnation};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

use super::Peers;
use super::reports::Reports;
use super::source::Source;
use crate::clock;
use crate::listener::gates::Peer;

/// What all feeds share.
#[derive(Clone)]
pub(crate) struct Feeds {
    arbiter: ArbiterHandle,
    source: Arc<dyn ChangeSource>,
    reports: Arc<dyn GatewayReports>,
    board: Arc<Board>,
}

impl Feeds {
    /// Feeds of a Controller, whose links run in `arbiter`.
    #[must_use]
    pub(crate) fn new(arbiter: ArbiterHandle, peers: &Arc<Peers>, joined: Incarnation, reports: Reports) -> Self {
        Self {
            arbiter,
            source: Arc::new(Source { peers: Arc::clone(peers), joined }),
            reports: Arc::new(reports),
            board: Arc::clone(&peers.board),
        }
    }

    /// Serves one Gateway until either side ends the connection.
    pub(crate) async fn serve(&self, gateway: ApplianceId, peer: Peer) {
        let Peer { stream, address, permit, .. } = peer;
        // A witness is asked now and then: whether a feed stands is logged where its reports are heard.
        tracing::debug!(%gateway, %address, "gateway connected");
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let parts = LinkParts {
            gateway,
            source: Arc::clone(&self.source),
            reports: Arc::clone(&self.reports),
            board: Arc::clone(&self.board),
            clock: Arc::new(SystemClock),
            outbox,
        };
        let link = Link::start_in_arbiter(&self.arbiter, move |_| Link::new(parts));
        let (reading, writing) = tokio::io::split(stream);
        tokio::select! {
            () = write(writing, outgoing) => {}
            () = read(reading, &link) => {}
        }
        // Full or closed means that it is ending or will notice by the outbox.
        let _ = link.try_send(HungUp);
        drop(permit);
        tracing::debug!(%gateway, "gateway's connection ended");
    }
}

async fn write(mut to: WriteHalf<TlsStream<TcpStream>>, mut outgoing: mpsc::Receiver<FromController>) {
    while let Some(frame) = outgoing.recv().await {
        let bytes = match packed::frame(&frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "feed frame cannot be encoded");
                return;
            }
        };
        if let Err(error) = to.write_all(&bytes).await {
            tracing::debug!(%error, "feed connection broke");
            return;
        }
        // What is queued goes out in one piece.
        if outgoing.is_empty() && to.flush().await.is_err() {
            return;
        }
    }
    // The link has ended: what it said before must arrive.
    let _ = to.shutdown().await;
}

async fn read(mut from: ReadHalf<TlsStream<TcpStream>>, link: &Addr<Link>) {
    loop {
        match packed::read_frame::<FromGateway, _>(&mut from).await {
            Ok(Some(frame)) => {
                if link.send(Arrived(frame)).await.is_err() {
                    // The link has ended; the writer sends its last words and then ends this.
                    std::future::pending::<()>().await;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "feed is not readable");
                return;
            }
        }
    }
}

/// The machine's clocks.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment { instant: std::time::Instant::now(), time: clock::now() }
    }
}
