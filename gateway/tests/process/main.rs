//! The whole Gateway process against a Controller's end of the feed and a Client, all in one network namespace: from the
//! first lease to a packet, a prompt, a revocation and the end. Needs root.

mod bad_input;
mod client;
mod collective;
mod crowding;
mod gateway;
mod name_server;
mod names;
mod other_site;
mod rolled_back;
mod slow_frames;

use std::time::{Duration, Instant};

use client::{Tunnel, Websocket};
use collective::Collective;
use gateway::Gateway;
use ringwall_protocol::feed::FeedSite;
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway};

/// Longer than anything takes on a loaded machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test in a network namespace of its own, in an actix system.
pub(crate) fn inside<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let body = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("these tests need root");
        gateway::run("ip", &["link", "set", "lo", "up"]);
        actix_rt::System::new().block_on(test());
    };
    if let Err(panic) = std::thread::Builder::new().name(name).spawn(body).expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn silent_controller_cannot_keep_a_gateway() {
    inside(|| async {
        let mut collective = Collective::with_two_controllers().await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (mut websocket, _) = Websocket::admitted(&collective, &alice, 1).await;
        // The Controller that feeds the Gateway keeps the revocation from it, and confirms every poll.
        let begun = Instant::now();
        collective.revoke_behind_the_feed(&alice).await;
        loop {
            match websocket.hear().await {
                FromGateway::End { code, .. } => {
                    assert_eq!(code, ErrorCode::Revoked);
                    break;
                }
                other => assert!(begun.elapsed() < PATIENCE, "still {other:?}"),
            }
        }
        // The next question to a witness comes within a lease; it has a second to be right.
        assert!(begun.elapsed() < collective::LEASE * 3, "{:?}", begun.elapsed());
        drop(gateway);
    });
}

#[test]
fn packet_passes_from_the_first_lease_to_the_revocation() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let mut gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");

        let (mut websocket, welcome) = Websocket::admitted(&collective, &alice, 1).await;
        assert_eq!(welcome.tun_ipv4, Some(alice.address));
        let mut tunnel = Tunnel::attach(&collective, &alice, &welcome.attach_token).await.expect("attached");

        // Entitled: it arrives, with the Gateway's address.
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        let seen = gateway.protected_side_hears().await.expect("the packet");
        assert_eq!((seen.source, seen.port), (gateway::PROTECTED_ADDRESS.into(), collective::OPEN_PORT));

        // Behind a condition: dropped, but the user is asked; the answer opens the way.
        tunnel.send(&alice.datagram(collective::GUARDED_PORT)).await;
        let FromGateway::Interaction(prompt) = websocket.hear().await else { panic!("expected a prompt") };
        assert_eq!(prompt.kind, InteractionKind::Reason);
        let text = "change 7".to_owned();
        websocket.say(&FromClient::Reason { prompt_id: prompt.prompt_id, text }).await;
        loop {
            match websocket.hear().await {
                FromGateway::Entitlements { entitlements } => {
                    assert!(entitlements.iter().all(|state| state.open));
                    break;
                }
                FromGateway::InteractionClosed { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        assert!(gateway.protected_side_is_silent(), "the blocked packet itself never arrived");
        tunnel.send(&alice.datagram(collective::GUARDED_PORT)).await;
        assert_eq!(gateway.protected_side_hears().await.expect("the packet").port, collective::GUARDED_PORT);

        // Neither entitled nor to be helped: nothing.
        tunnel.send(&alice.datagram(9)).await;
        tunnel.settle().await;
        assert!(gateway.protected_side_is_silent());

        // Revoked: told, enforced, silent.
        let ordered = Instant::now();
        let index = collective.revoke(&alice);
        let FromGateway::End { code, .. } = websocket.hear().await else { panic!("expected the end") };
        assert_eq!(code, ErrorCode::Revoked);
        let enforced = collective.enforced(index).await;
        let took = enforced.saturating_duration_since(ordered);
        assert!(took <= Duration::from_millis(500), "enforced after {took:?}");
        tunnel.send_if_it_lives(&alice.datagram(collective::OPEN_PORT)).await;
        assert!(tunnel.ends().await, "the tunnel is closed");
        assert!(gateway.protected_side_is_silent());

        // The old tokens are refused; new ones are at once.
        let mut websocket = Websocket::connect(&collective, &alice).await;
        websocket.say(&FromClient::Hello(collective.hello(&alice, 2))).await;
        assert!(matches!(websocket.hear().await, FromGateway::End { code: ErrorCode::TokenRevoked, .. }));
        let alice = collective.sign_in_again(alice);
        let (mut websocket, _) = Websocket::admitted(&collective, &alice, 1).await;

        // Told to stop, it says so and leaves in good order.
        gateway.terminate();
        assert!(matches!(websocket.hear().await, FromGateway::End { code: ErrorCode::ShuttingDown, .. }));
        gateway.stopped().await;
    });
}

#[test]
fn gateway_without_a_controller_lets_nothing_pass_after_its_lease() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (_websocket, mut tunnel) = Websocket::attached(&collective, &alice, 1).await;
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");

        collective.fall_silent();
        let silent = Instant::now();
        until("the lease ends", || !gateway.is_healthy()).await;
        let lasted = silent.elapsed();
        assert!(lasted <= collective::LEASE + Duration::from_millis(600), "{lasted:?}");
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        tunnel.settle().await;
        assert!(gateway.protected_side_is_silent(), "nothing passes without a lease");

        collective.speak_again();
        until("the lease is back", || gateway.is_healthy()).await;
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the same session passes again");
    });
}

#[test]
fn tunnel_without_attach_token_carries_nothing() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let (alice, mallory) = (collective.sign_in("alice"), collective.sign_in("mallory"));
        let (mut websocket, welcome) = Websocket::admitted(&collective, &alice, 1).await;
        let invented = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
        assert!(Tunnel::attach(&collective, &alice, &invented).await.is_none(), "an invented token");
        assert!(Tunnel::attach(&collective, &mallory, &welcome.attach_token).await.is_none(), "with another's key");
        assert!(Tunnel::attach(&collective, &alice, &welcome.attach_token).await.is_none(), "and it is spent by that");
        websocket.say(&FromClient::AttachRequest {}).await;
        let FromGateway::Attach { token } = websocket.hear().await else { panic!("expected a token") };
        let mut tunnel = Tunnel::attach(&collective, &alice, &token).await.expect("attached");
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
        assert!(Tunnel::attach(&collective, &alice, &token).await.is_none(), "once");
    });
}

#[test]
fn stranger_gets_no_word_and_a_browser_no_websocket() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        assert!(client::junk_is_reset().await, "not even an alert");
        let alice = collective.sign_in("alice");
        assert!(client::is_refused(&collective, &alice, "/session", Some("https://evil.example")).await);
        assert!(client::is_refused(&collective, &alice, "/elsewhere", None).await);
        let mut websocket = Websocket::connect(&collective, &alice).await;
        websocket.say(&FromClient::Goodbye {}).await;
        assert!(matches!(websocket.hear().await, FromGateway::End { code: ErrorCode::ProtocolError, .. }));
        assert!(gateway.is_healthy());
    });
}

#[test]
fn host_without_ipv6_serves_a_site_with_an_ipv6_pool_over_ipv4() {
    inside(|| async {
        for interfaces in ["all", "default"] {
            gateway::run("sysctl", &["-w", &format!("net.ipv6.conf.{interfaces}.disable_ipv6=1")]);
        }
        let shape = |site: &mut FeedSite| site.pools.push("fd09::/64".parse().expect("a network"));
        let mut collective = Collective::start_with(shape).await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (_websocket, mut tunnel) = Websocket::attached(&collective, &alice, 1).await;
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
    });
}

#[test]
fn a_large_entitlement_token_fits_a_hello_and_anything_larger_ends_its_own_connection_only() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let (alice, mallory) = (collective.sign_in("alice"), collective.sign_in("mallory"));
        let mut websocket = Websocket::connect(&collective, &alice).await;
        let hello = collective.large_hello(&alice, 1, 1_000);
        assert!(hello.entitlement_token.len() > 256 * 1024, "{} bytes", hello.entitlement_token.len());
        websocket.say(&FromClient::Hello(hello)).await;
        let FromGateway::Welcome(welcome) = websocket.hear().await else { panic!("expected welcome") };
        assert_eq!(welcome.entitlements.len(), 1_002);
        // Beyond the bound nothing is even parsed.
        let mut flood = Websocket::connect(&collective, &mallory).await;
        let junk = "x".repeat(ringwall_protocol::wire::session::MAX_TOKEN_MESSAGE + 1);
        flood.try_say(format!(r#"{{"type":"hello","claimsToken":"{junk}"}}"#)).await;
        assert!(flood.is_ended().await, "a hello of that size");
        // After admission 64 KiB are enough for everything but tokens.
        let (mut chatty, _) = Websocket::admitted(&collective, &mallory, 1).await;
        let claims = serde_json::json!({"type": "deviceClaims", "claims": {"x": "y".repeat(100_000)}});
        chatty.try_say(claims.to_string()).await;
        assert!(chatty.is_ended().await, "claims of that size");
        // And whoever says too much at once is not listened to.
        let mut storm = Websocket::connect(&collective, &mallory).await;
        storm.say(&FromClient::Hello(collective.hello(&mallory, 2))).await;
        for _ in 0..200 {
            storm.try_say(r#"{"type":"attachRequest"}"#.to_owned()).await;
        }
        assert!(storm.is_ended().await, "a storm of messages");
        // Nobody else noticed.
        let mut tunnel = Tunnel::attach(&collective, &alice, &welcome.attach_token).await.expect("attached");
        tunnel.send(&alice.datagram(collective::OPEN_PORT)).await;
        gateway.protected_side_hears().await.expect("the packet");
        assert!(gateway.is_healthy());
    });
}

#[test]
fn controllers_and_operators_hear_how_many_rule_sets_there_are() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (_websocket, _) = Websocket::admitted(&collective, &alice, 1).await;
        collective.hears_load(1, 1).await;
        // Published after the rules stand, so maybe after the welcome; by now it was.
        let health = gateway.health().expect("it admits sessions");
        assert_eq!((&health["sessions"], &health["ruleSets"]), (&1.into(), &1.into()), "{health}");
    });
}

#[test]
fn tokens_beyond_two_of_a_kind_are_not_looked_at_before_their_turn() {
    inside(|| async {
        let mut collective = Collective::start().await;
        let _gateway = Gateway::start(&collective).await;
        let alice = collective.sign_in("alice");
        let (mut websocket, _) = Websocket::admitted(&collective, &alice, 1).await;
        // Each would be refused by its signature.
        for _ in 0..2 {
            websocket.say(&FromClient::ClaimsToken { token: collective.hello(&alice, 1).entitlement_token }).await;
            assert!(matches!(websocket.hear().await, FromGateway::Refused { .. }));
        }
        for _ in 0..4 {
            websocket.say(&FromClient::ClaimsToken { token: "junk".to_owned() }).await;
        }
        // Everything else goes on at once, and no word on the tokens comes before it.
        websocket.say(&FromClient::AttachRequest {}).await;
        let answer = websocket.hear().await;
        assert!(matches!(answer, FromGateway::Attach { .. }), "{answer:?}");
        let token = collective.hello(&alice, 1).claims_token;
        websocket.say(&FromClient::EntitlementToken { token }).await;
        websocket.say(&FromClient::AttachRequest {}).await;
        let answer = websocket.hear().await;
        assert!(matches!(answer, FromGateway::Attach { .. }), "it waits behind the claims: {answer:?}");
    });
}
