//! The first look at the Collective: pools, translation and guard shape the firewall, which must stand before anything
//! else begins. The same core as the feed's decides whom to ask and what to believe.

use std::time::{Duration, Instant};

use ringwall_actors::feed::Delivery;
use ringwall_actors::feed::{Candidate, ConnectionId, Dialer as _};
use ringwall_actors::feed::{FeedCore, FeedEffect, FeedInput};
use ringwall_actors::support::ThreadEntropy;
use ringwall_actors::support::packed;
use ringwall_actors::support::{Clock as _, Moment};
use ringwall_protocol::feed::{FeedView, FromController, FromGateway};
use ringwall_protocol::id::{ApplianceId, Incarnation};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout_at;

use crate::clock::GatewayClock;
use crate::controller_link::{ControllerDialer, FeedStream};

/// A site without pools is asked for again so often; nothing can be enforced there before it has one.
const WITHOUT_POOLS: Duration = Duration::from_secs(1);

/// Waits for a full state with pools.
pub(crate) async fn first_view(
    me: ApplianceId,
    highest: Incarnation,
    candidates: &[Candidate],
    dialer: &ControllerDialer,
) -> FeedView {
    loop {
        let view = fetch(me, highest, candidates, dialer).await;
        if !view.site.pools.is_empty() {
            return view;
        }
        tracing::warn!(site = view.site.name, "the site has no pools of tunnel addresses yet; waiting");
        tokio::time::sleep(WITHOUT_POOLS).await;
    }
}

async fn fetch(me: ApplianceId, highest: Incarnation, candidates: &[Candidate], dialer: &ControllerDialer) -> FeedView {
    let clock = GatewayClock::default();
    let mut core = FeedCore::new(me, Some(highest), candidates.to_vec(), clock.now(), &mut ThreadEntropy);
    let mut line: Option<(ConnectionId, FeedStream)> = None;
    let mut input = FeedInput::Tick;
    loop {
        let effects = core.handle(input, clock.now(), &mut ThreadEntropy);
        let mut dialled = None;
        for effect in effects {
            match effect {
                FeedEffect::Dial(connection, to) => dialled = Some((connection, to)),
                FeedEffect::HangUp(_, reason) => {
                    tracing::info!(reason, "controller connection closed");
                    line = None;
                }
                FeedEffect::Send(_, frame) => say(&mut line, &frame).await,
                FeedEffect::Remember(incarnation) => dialer.remember(incarnation),
                FeedEffect::Deliver(Delivery::Full(view)) => return *view,
                FeedEffect::Alarm(what) => tracing::error!(what, "rejected the collective state sent by a controller"),
                _ => {}
            }
        }
        input = match dialled {
            Some((connection, to)) => match dialer.connect(&to).await {
                Ok(stream) => {
                    line = Some((connection, stream));
                    FeedInput::Connected(connection)
                }
                Err(error) => {
                    tracing::info!(node = %to.node, %error, "cannot connect to controller");
                    FeedInput::Lost(connection)
                }
            },
            None => hear(&mut line, core.next_deadline(), clock.now()).await,
        };
    }
}

async fn say(line: &mut Option<(ConnectionId, FeedStream)>, frame: &FromGateway) {
    let Some((_, stream)) = line else { return };
    let sent = match packed::frame(frame) {
        Ok(bytes) => stream.write_all(&bytes).await.and(stream.flush().await),
        Err(error) => Err(std::io::Error::other(error)),
    };
    if let Err(error) = sent {
        // The silence that follows ends this connection.
        tracing::debug!(%error, "cannot send frame");
    }
}

/// The next frame, the end of the line, or the deadline. A frame that the deadline cuts in half ends the line.
async fn hear(line: &mut Option<(ConnectionId, FeedStream)>, deadline: Instant, now: Moment) -> FeedInput {
    let Some((connection, stream)) = line else {
        tokio::time::sleep_until(deadline.max(now.instant).into()).await;
        return FeedInput::Tick;
    };
    let connection = *connection;
    match timeout_at(deadline.into(), packed::read_frame::<FromController, _>(stream)).await {
        Ok(Ok(Some(frame))) => FeedInput::Arrived(connection, frame),
        Ok(Ok(None) | Err(_)) => {
            *line = None;
            FeedInput::Lost(connection)
        }
        Err(_) => FeedInput::Tick,
    }
}
