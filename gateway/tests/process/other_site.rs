//! An entitlement token of another Site: a real one, of the right user, device and key, shown to the wrong Gateway.

use ringwall_protocol::id::SiteId;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway};

use crate::client::{Tunnel, Websocket};
use crate::collective::{self, Collective, ELSEWHERE};
use crate::gateway::{self, Gateway};
use crate::{inside, until};

/// All that the Client is told.
const REASON: &str = "token is meant for another audience";

#[test]
fn an_entitlement_token_of_another_site_opens_no_session_and_puts_nothing_into_the_kernel() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start_logged(&collective).await;
        let alice = collective.sign_in("alice");
        let hello = collective.hello_at(SiteId::from_random([8; 16]), &alice, 1);
        let token = hello.entitlement_token.clone();
        let mut websocket = Websocket::connect(&collective, &alice).await;
        websocket.say(&FromClient::Hello(hello)).await;
        let FromGateway::End { code, message } = websocket.hear().await else { panic!("it was not refused") };
        assert_eq!((code, message.as_str()), (ErrorCode::TokenMismatch, REASON));
        assert!(websocket.is_ended().await);

        until("the log names the reason", || gateway.log().contains("client refused")).await;
        let log = gateway.log();
        let refused = log.lines().find(|line| line.contains("client refused")).expect("a line about the Client");
        assert!(refused.contains("TokenMismatch") && refused.contains(REASON), "{refused}");
        assert!(!log.contains(&token) && !log.contains(ELSEWHERE), "{log}");
        let health = gateway.health().expect("it admits sessions");
        assert_eq!((&health["sessions"], &health["ruleSets"]), (&0.into(), &0.into()), "{health}");
        let rules = gateway::rules();
        assert!(!rules.contains(&alice.address.to_string()), "{rules}");

        // With the token of this Site she comes in.
        let (_websocket, _) = Websocket::admitted(&collective, &alice, 2).await;
        let rules = gateway::rules();
        assert!(rules.contains(&alice.address.to_string()), "this is how her rules would look: {rules}");
    });
}

#[test]
fn an_entitlement_token_of_another_site_changes_nothing_in_a_session() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (mut websocket, welcome) = Websocket::admitted(&collective, &alice, 1).await;
        let token = collective.hello_at(SiteId::from_random([8; 16]), &alice, 1).entitlement_token;
        websocket.say(&FromClient::EntitlementToken { token }).await;
        let FromGateway::Refused { code, message } = websocket.hear().await else { panic!("it was not refused") };
        assert_eq!((code, message.as_str()), (ErrorCode::TokenMismatch, REASON));
        let mut tunnel = Tunnel::attach(&collective, &alice, &welcome.attach_token).await.expect("attached");
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
    });
}
