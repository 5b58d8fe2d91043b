//! Hosts by name through the whole Gateway, with a real name server behind it.

use std::net::Ipv4Addr;
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use ringwall_protocol::entitlement::{Action, ActionKind, Logic, Subtype};
use ringwall_protocol::id::EntitlementId;
use ringwall_protocol::token::GrantedEntitlement;
use ringwall_protocol::wire::session::{FromClient, FromGateway};

use crate::client::{Tunnel, Websocket};
use crate::collective::{Collective, SignedIn};
use crate::gateway::Gateway;
use crate::name_server::NameServer;
use crate::{PATIENCE, inside};

const NAMED_PORT: u16 = 5_002;
const BELOW_PORT: u16 = 5_003;
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 11);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 12);
const WILD: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 13);

fn granted(id: u8, host: &str, port: u16) -> GrantedEntitlement {
    let action = Action {
        subtype: Some(Subtype::UdpUp),
        action: ActionKind::Allow,
        hosts: vec![host.to_owned()],
        ports: vec![port.to_string()],
        types: vec![],
    };
    GrantedEntitlement {
        app_shortcuts: vec![],
        id: EntitlementId::from_random([id; 16]),
        name: host.to_owned(),
        condition_logic: Logic::And,
        conditions: vec![],
        actions: vec![action],
    }
}

async fn collective() -> Collective {
    let mut collective = Collective::start_with(|site| site.name_resolution = NameServer::settings()).await;
    collective.granted = vec![granted(11, "dns://web.example", NAMED_PORT), granted(12, "*.corp.example", BELOW_PORT)];
    collective
}

struct Session {
    who: SignedIn,
    websocket: Websocket,
    tunnel: Tunnel,
}

impl Session {
    async fn open(collective: &mut Collective, user: &str) -> Self {
        let who = collective.sign_in(user);
        let mut websocket = Websocket::connect(collective, &who).await;
        websocket.say(&FromClient::Hello(collective.hello(&who, 1))).await;
        let FromGateway::Welcome(welcome) = websocket.hear().await else { panic!("expected welcome") };
        let tunnel = Tunnel::attach(collective, &who, &welcome.attach_token).await.expect("attached");
        Self { who, websocket, tunnel }
    }

    async fn reaches(&mut self, gateway: &Gateway, host: Ipv4Addr, port: u16) -> bool {
        self.tunnel.send(&self.who.datagram_to(host, port)).await;
        self.tunnel.settle().await;
        let mut seen = false;
        while !gateway.protected_side_is_silent() {
            seen = true;
        }
        seen
    }

    /// Waits until a host is reached, or is not.
    async fn until(&mut self, gateway: &Gateway, host: Ipv4Addr, reached: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.reaches(gateway, host, NAMED_PORT).await != reached {
            assert!(Instant::now() < deadline, "{host} is never reached: {reached}");
        }
    }

    async fn code(&mut self, name: &str, kind: RecordType) -> ResponseCode {
        self.websocket.ask(name, kind).await.metadata.response_code
    }
}

#[test]
fn a_host_by_name_is_reached_where_it_is_now_and_not_where_it_was() {
    inside(|| async {
        let mut name_server = NameServer::start(&[("10.20.0.11", "web.example")]).await;
        let mut collective = collective().await;
        let gateway = Gateway::start(&collective).await;
        let mut alice = Session::open(&mut collective, "alice").await;
        alice.until(&gateway, FIRST, true).await;
        assert!(!alice.reaches(&gateway, SECOND, NAMED_PORT).await);
        assert!(!alice.reaches(&gateway, FIRST, BELOW_PORT).await, "another entitlement's port");

        name_server.change(&[("10.20.0.12", "web.example")]);
        alice.until(&gateway, SECOND, true).await;
        assert!(!alice.reaches(&gateway, FIRST, NAMED_PORT).await, "the old address stops in the same moment");

        // Rebinding: to the Gateway itself, to cloud metadata, to another client.
        for forbidden in ["10.20.0.1", "169.254.169.254", "10.9.0.77"] {
            name_server.change(&[(forbidden, "web.example")]);
            alice.until(&gateway, SECOND, false).await;
            assert_eq!(alice.code("web.example.", RecordType::A).await, ResponseCode::Refused, "{forbidden}");
            name_server.change(&[("10.20.0.12", "web.example")]);
            alice.until(&gateway, SECOND, true).await;
        }

        // Name servers that fail take nothing away at once.
        name_server.stop();
        assert_eq!(alice.code("never-asked.corp.example.", RecordType::A).await, ResponseCode::ServFail);
        assert!(alice.reaches(&gateway, SECOND, NAMED_PORT).await, "the last answer holds");
    });
}

#[test]
fn a_name_below_a_domain_is_reached_by_the_session_that_asked_for_it() {
    inside(|| async {
        let zone = [("10.20.0.13", "*.corp.example"), ("10.20.0.11", "web.example"), ("10.20.0.12", "out.example")];
        let _name_server = NameServer::start(&zone).await;
        let mut collective = collective().await;
        let gateway = Gateway::start(&collective).await;
        let mut alice = Session::open(&mut collective, "alice").await;
        let mut bob = Session::open(&mut collective, "bob").await;
        assert!(!alice.reaches(&gateway, WILD, BELOW_PORT).await, "not before it was asked for");

        let answer = alice.websocket.ask("WWW.corp.example.", RecordType::A).await;
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 1));
        assert!(alice.reaches(&gateway, WILD, BELOW_PORT).await, "with the first packet after the answer");
        assert!(!alice.reaches(&gateway, WILD, NAMED_PORT).await);
        assert!(!bob.reaches(&gateway, WILD, BELOW_PORT).await, "bob has not asked");

        // An alias counts as what was asked for.
        let answer = alice.websocket.ask("alias.corp.example.", RecordType::A).await;
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 2), "{answer}");
        assert!(alice.reaches(&gateway, FIRST, BELOW_PORT).await);

        // What is no entitlement's is nobody's question.
        for other in ["out.example.", "corp.example.", "xcorp.example.", "example.org."] {
            assert_eq!(alice.code(other, RecordType::A).await, ResponseCode::Refused, "{other}");
        }
        assert_eq!(alice.code("corp.example.", RecordType::AXFR).await, ResponseCode::Refused);
        assert_ne!(alice.code("www.corp.example.", RecordType::TXT).await, ResponseCode::Refused, "any kind of record");
        assert!(!alice.reaches(&gateway, SECOND, BELOW_PORT).await);
    });
}
