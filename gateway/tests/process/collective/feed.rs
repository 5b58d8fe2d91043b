//! The Controller's side of the feed: a replicated log that is a list, behind the link actor and TLS of the product.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use actix::Actor;
use futures_util::future::BoxFuture;
use ringwall_actors::link::{
    Arrived, Board, ChangeSource, Changes, Compacted, GatewayReport, GatewayReports, Link, LinkParts, NoQuorum, OUTBOX,
};
use ringwall_actors::support::{Clock, Moment, packed};
use ringwall_protocol::feed::{FeedEvent, FeedView, FromController, FromGateway, members_digest};
use ringwall_protocol::id::{ApplianceId, CommandId, Incarnation, LogIndex};
use ringwall_protocol::wire::error::ErrorCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// The replicated state, as far as a Gateway is concerned.
pub(super) struct State {
    pub(super) base: FeedView,
    events: Mutex<Vec<(LogIndex, FeedEvent)>>,
    applied: watch::Sender<LogIndex>,
    pub(super) quorum: AtomicBool,
}

impl State {
    pub(super) fn new(base: FeedView) -> Self {
        let applied = watch::channel(base.position.index).0;
        Self { base, events: Mutex::default(), applied, quorum: AtomicBool::new(true) }
    }

    pub(super) fn applied(&self) -> LogIndex {
        *self.applied.borrow()
    }

    /// The view with everything that has happened since.
    fn current(&self) -> FeedView {
        let mut view = self.base.clone();
        for (index, event) in &*self.events.lock().expect("no panic") {
            view.apply(*index, event);
        }
        view.position.index = self.applied();
        view
    }

    pub(super) fn append(&self, event: impl FnOnce(LogIndex) -> FeedEvent) -> LogIndex {
        let index = LogIndex(self.applied().0 + 1);
        self.events.lock().expect("no panic").push((index, event(index)));
        self.applied.send_replace(index);
        index
    }
}

impl ChangeSource for State {
    fn incarnation(&self) -> Incarnation {
        self.base.position.incarnation
    }
    fn term(&self) -> u64 {
        1
    }
    fn view(&self, _: ApplianceId) -> Option<FeedView> {
        Some(self.current())
    }
    fn members(&self) -> (LogIndex, String) {
        let view = self.current();
        (view.position.index, members_digest(view.controllers.values(), view.keys.values()))
    }
    fn changes_after(&self, _: ApplianceId, after: LogIndex) -> Result<Changes, Compacted> {
        let events = self.events.lock().expect("no panic");
        let events = events.iter().filter(|(index, _)| *index > after).cloned().collect();
        Ok(Changes { events, through: self.applied() })
    }
    fn applied(&self) -> watch::Receiver<LogIndex> {
        self.applied.subscribe()
    }
    fn read_index(&self) -> BoxFuture<'static, Result<LogIndex, NoQuorum>> {
        let answer = if self.quorum.load(Ordering::SeqCst) { Ok(self.applied()) } else { Err(NoQuorum) };
        Box::pin(async move { answer })
    }
    fn retires(&self) -> bool {
        false
    }
    fn others(&self) -> Vec<String> {
        vec![]
    }
}

/// Who hears the Gateway: the last word on its load is kept.
pub(super) struct Load(pub(super) watch::Sender<(u32, u32)>);

impl GatewayReports for Load {
    fn report(&self, _: ApplianceId, report: GatewayReport) {
        if let GatewayReport::Load { sessions, rule_sets } = report {
            self.0.send_replace((sessions, rule_sets));
        }
    }
    fn store_audit(&self, _: ApplianceId, _: u64, _: Vec<String>) -> BoxFuture<'static, bool> {
        Box::pin(async { true })
    }
    fn renew_certificate(
        &self,
        _: ApplianceId,
        _: CommandId,
        _: String,
    ) -> BoxFuture<'static, Result<Vec<String>, ErrorCode>> {
        Box::pin(async { Err(ErrorCode::Busy) })
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment { instant: Instant::now(), time: ringwall_gateway::clock::wall() }
    }
}

/// Serves the feed to one Gateway after the other, with the link of the product.
pub(super) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    gateway: ApplianceId,
    (state, board, load): (Arc<State>, Arc<Board>, Arc<dyn GatewayReports>),
) {
    loop {
        let (stream, _) = listener.accept().await.expect("the socket stands");
        stream.set_nodelay(true).expect("a socket");
        let Ok(stream) = tls.accept(stream).await else { continue };
        let (outbox, mut outgoing) = mpsc::channel::<FromController>(OUTBOX);
        let parts = LinkParts {
            gateway,
            source: Arc::clone(&state) as Arc<dyn ChangeSource>,
            reports: Arc::clone(&load),
            board: Arc::clone(&board),
            clock: Arc::new(SystemClock),
            outbox,
        };
        let link = Link::new(parts).start();
        let (mut reading, mut writing) = tokio::io::split(stream);
        actix_rt::spawn(async move {
            while let Some(frame) = outgoing.recv().await {
                let bytes = packed::frame(&frame).expect("our own frame");
                if writing.write_all(&bytes).await.is_err() || writing.flush().await.is_err() {
                    return;
                }
            }
            let _ = writing.shutdown().await;
        });
        actix_rt::spawn(async move {
            while let Ok(Some(frame)) = packed::read_frame::<FromGateway, _>(&mut reading).await {
                if link.send(Arrived(frame)).await.is_err() {
                    return;
                }
            }
        });
    }
}
