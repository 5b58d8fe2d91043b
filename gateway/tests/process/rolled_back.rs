//! A Gateway whose list of Controllers was rolled back while it was down: an older copy names one that was removed since, and
//! that one still answers.

use ringwall_protocol::id::NodeId;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway};

use crate::client::Websocket;
use crate::collective::{self, Collective};
use crate::gateway::Gateway;
use crate::{inside, until};

#[test]
fn a_gateway_with_a_rolled_back_list_of_controllers_takes_no_tokens_of_a_removed_one() {
    inside(|| async {
        let mut collective = Collective::with_two_controllers().await;
        collective.remove_second();
        // It starts with the list of before the removal, and may well ask the removed one first.
        let gateway = Gateway::start(&collective).await;
        let known = vec![(NodeId(1), false), (NodeId(2), true)];
        until("the list on the disk tells of the removal", || gateway.controllers_on_disk() == known).await;

        let alice = collective.sign_in("alice");
        let mut websocket = Websocket::connect(&collective, &alice).await;
        websocket.say(&FromClient::Hello(collective.hello_of_second(&alice, 1))).await;
        let answer = websocket.hear().await;
        assert!(matches!(answer, FromGateway::End { code: ErrorCode::TokenRevoked, .. }), "{answer:?}");

        // Neither does one of its tokens beside one of a member's.
        let mut websocket = Websocket::connect(&collective, &alice).await;
        let mut hello = collective.hello(&alice, 2);
        hello.entitlement_token = collective.hello_of_second(&alice, 2).entitlement_token;
        websocket.say(&FromClient::Hello(hello)).await;
        let answer = websocket.hear().await;
        assert!(matches!(answer, FromGateway::End { code: ErrorCode::TokenRevoked, .. }), "{answer:?}");

        // A member's tokens are what they were.
        let (_websocket, mut tunnel) = Websocket::attached(&collective, &alice, 3).await;
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
    });
}
