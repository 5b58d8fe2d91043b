//! The shells together: registry, sessions and fakes of kernel and workers, in a running actix system.

use std::time::Duration;

use actix::Actor;
use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::revocation::RevocationMode;
use ringwall_protocol::wire::session::{FromClient, FromGateway as ToClient};

use super::*;
use crate::feed::message::Deliver;
use crate::feed::outbox::FeedOutbox;
use crate::registry::message::{Admit, AskHealth, Drain, RegistryHealth};
use crate::registry::published::{self, Published};
use crate::scene::{Asked, FakePlane, Scene, SceneClock, SignedIn, device_scope, revocation};
use crate::session::core::SocketId;
use crate::session::message::FromSocket;

struct Stage {
    scene: Scene,
    plane: Arc<FakePlane>,
    outbox: Arc<FeedOutbox>,
    directory: Arc<Directory>,
    published: Published,
    registry: Addr<Registry>,
}

impl Stage {
    /// A Gateway at index 100 that holds its lease.
    async fn current() -> Self {
        let scene = Scene::new();
        let plane = Arc::new(FakePlane::default());
        let outbox = Arc::new(FeedOutbox::new(0));
        let directory = Arc::new(Directory::default());
        let (publisher, published) = published::channel();
        let clock = Arc::new(SceneClock { start: scene.start, time: scene.collective.now });
        let parts = RegistryParts {
            gateway: scene.gateway.id,
            ports: SessionPorts {
                enforcer: Arc::clone(&plane) as Arc<dyn crate::ports::RuleEnforcer>,
                tunnel: Arc::clone(&plane) as Arc<dyn crate::ports::TunnelPlane>,
                names: Arc::clone(&plane) as Arc<dyn crate::ports::NameKeeper>,
                outbox: Arc::clone(&outbox),
                clock,
            },
            security: SecurityClock::default(),
            directory: Arc::clone(&directory),
            publisher,
            arbiters: vec![],
            mtu: 1_400,
            keep_alive_seconds: 15,
        };
        let registry = Registry::new(parts).start();
        let view = Box::new(scene.view(100));
        let confirmed = Delivery::Confirmed { read_index: LogIndex(100), sent_at: std::time::Instant::now() };
        registry.send(Deliver(vec![Delivery::Full(view), confirmed])).await.expect("alive");
        let stage = Self { scene, plane, outbox, directory, published, registry };
        while !stage.health().await.lease_held {
            tokio::task::yield_now().await;
        }
        stage
    }

    async fn health(&self) -> RegistryHealth {
        self.registry.send(AskHealth).await.expect("alive")
    }

    async fn admit(&self, who: &SignedIn, connect_seq: u64) -> (Result<Admitted, Refusal>, mpsc::Receiver<ToClient>) {
        let (outbox, messages) = mpsc::channel(64);
        let socket = Socket { id: SocketId(connect_seq), outbox };
        let admission = self.scene.admission(who, connect_seq, 100);
        (self.registry.send(Admit { admission, socket }).await.expect("alive"), messages)
    }

    async fn cut(&self, index: u64, who: &SignedIn) {
        let revocation = revocation(index, device_scope(&who.client.subject.dn), RevocationMode::Cut);
        let event = FeedEvent::RevocationAdded { revocation };
        let change = Delivery::Change { index: LogIndex(index), event };
        self.registry.send(Deliver(vec![change, Delivery::CaughtUp(LogIndex(index))])).await.expect("alive");
    }
}

async fn welcomed(messages: &mut mpsc::Receiver<ToClient>) -> bool {
    let first = tokio::time::timeout(Duration::from_secs(5), messages.recv()).await;
    matches!(first, Ok(Some(ToClient::Welcome(_))))
}

#[actix_rt::test]
async fn admitted_client_is_welcomed_and_cut_in_order() {
    let mut stage = Stage::current().await;
    let alice = stage.scene.sign_in("alice", 90, 1);
    let (admitted, mut messages) = stage.admit(&alice, 1).await;
    let session = admitted.expect("admitted").session;
    assert!(welcomed(&mut messages).await);
    assert!(stage.plane.installed(session));
    assert!(stage.directory.at(alice.address.into()).is_some());
    stage.cut(101, &alice).await;
    assert!(matches!(messages.recv().await, Some(ToClient::End { code: ErrorCode::Revoked, .. })));
    assert!(messages.recv().await.is_none(), "the session lets go of its websocket");
    assert!(!stage.plane.installed(session) && stage.directory.is_empty());
    let asked = stage.plane.asked.lock().expect("no panic").clone();
    let at = |wanted: Asked| asked.iter().position(|asked| *asked == wanted).expect("asked");
    let (cut, remove) = (at(Asked::Cut(session, ErrorCode::Revoked)), at(Asked::Remove(session, LogIndex(101))));
    assert!(cut < remove && remove < at(Asked::Progress(LogIndex(101))));
    assert_eq!(stage.published.completed(), LogIndex(101));
    // The acknowledgement waits for the Controller.
    stage.outbox.connected();
    assert!(matches!(
        stage.outbox.next(),
        Some(ringwall_protocol::feed::FromGateway::Enforced { index: LogIndex(101), .. })
    ));
}

#[actix_rt::test]
async fn panic_in_one_session_ends_that_session_only_and_withdraws_its_rules() {
    let mut stage = Stage::current().await;
    let (alice, bob) = (stage.scene.sign_in("alice", 90, 1), stage.scene.sign_in("bob", 90, 2));
    let (admitted, mut messages) = stage.admit(&alice, 1).await;
    let first = admitted.expect("admitted");
    assert!(welcomed(&mut messages).await);
    stage.plane.panic_on_install(2);
    let (admitted, mut doomed) = stage.admit(&bob, 1).await;
    let second = admitted.expect("registered").session;
    while let Some(message) = doomed.recv().await {
        assert!(!matches!(message, ToClient::Welcome(_)));
    }
    while stage.health().await.sessions != 1 {
        tokio::task::yield_now().await;
    }
    assert!(stage.plane.count(|asked| matches!(asked, Asked::Remove(session, _) if *session == second)) >= 1);
    assert!(stage.plane.count(|asked| matches!(asked, Asked::Cut(session, _) if *session == second)) >= 1);
    assert!(stage.plane.installed(first.session), "the other one goes on");
    first.actor.send(FromSocket(SocketId(1), FromClient::AttachRequest {})).await.expect("alive");
    assert!(matches!(messages.recv().await, Some(ToClient::Attach { .. })));
    // And whoever failed may come again.
    let (admitted, mut messages) = stage.admit(&bob, 2).await;
    assert!(admitted.is_ok() && welcomed(&mut messages).await);
}

#[actix_rt::test]
async fn goodbye_ends_the_session_everywhere() {
    let mut stage = Stage::current().await;
    let alice = stage.scene.sign_in("alice", 90, 1);
    let (admitted, mut messages) = stage.admit(&alice, 1).await;
    let admitted = admitted.expect("admitted");
    assert!(welcomed(&mut messages).await);
    admitted.actor.send(FromSocket(SocketId(1), FromClient::Goodbye {})).await.expect("alive");
    assert!(matches!(messages.recv().await, Some(ToClient::End { code: ErrorCode::ClientLeft, .. })));
    assert_eq!(stage.health().await.sessions, 0);
    assert!(!stage.plane.installed(admitted.session));
}

#[actix_rt::test]
async fn client_that_does_not_read_loses_its_websocket_and_not_its_session() {
    let mut stage = Stage::current().await;
    let alice = stage.scene.sign_in("alice", 90, 1);
    let (outbox, mut messages) = mpsc::channel(1);
    let socket = Socket { id: SocketId(1), outbox };
    let admission = stage.scene.admission(&alice, 1, 100);
    let admitted = stage.registry.send(Admit { admission, socket }).await.expect("alive").expect("admitted");
    // Its one place is taken by `welcome`; what follows does not fit.
    admitted.actor.send(FromSocket(SocketId(1), FromClient::AttachRequest {})).await.expect("alive");
    assert!(welcomed(&mut messages).await);
    assert!(messages.recv().await.is_none(), "closed by the session");
    assert_eq!(stage.health().await.sessions, 1);
    let (resumed, mut messages) = stage.admit(&alice, 2).await;
    assert_eq!(resumed.expect("resumed").session, admitted.session);
    assert!(matches!(messages.recv().await, Some(ToClient::Welcome(welcome)) if welcome.resumed));
}

#[actix_rt::test]
async fn draining_answers_when_the_kernel_has_let_go_of_all() {
    let mut stage = Stage::current().await;
    for user in 1..=20 {
        let who = stage.scene.sign_in(&format!("user{user}"), 90, user);
        let (admitted, mut messages) = stage.admit(&who, 1).await;
        assert!(admitted.is_ok() && welcomed(&mut messages).await);
    }
    stage.registry.send(Drain).await.expect("alive");
    assert_eq!(stage.health().await.sessions, 0);
    assert_eq!(stage.plane.count(|asked| matches!(asked, Asked::Remove(..))), 20);
    stage.registry.send(Drain).await.expect("a second time, at once");
}
