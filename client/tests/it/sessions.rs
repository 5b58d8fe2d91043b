//! `ringwall up`: packets pass, and go on passing when something breaks.

use std::process::Command;

use ringwall_client::local::{Answer, Request};
use ringwall_client::status::{ClientState, SiteState, Status};
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{ExpiryReason, FromClient, FromGateway};

use crate::gateway::Seen;
use crate::namespace::in_own_network;
use crate::program::{Machine, echoes, site, until_it_echoes};
use crate::world::World;

async fn up() -> (World, Machine) {
    let world = World::start().await;
    let mut machine = Machine::new(&world).await;
    machine.sign_in().await;
    machine.up(&[]);
    machine.connected().await;
    (world, machine)
}

/// What the kernel says.
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const ALL: [&str; 4] = ["route", "show", "table", "5257"];

#[test]
fn packets_of_both_sites_pass_and_nothing_stays_behind() {
    in_own_network(async {
        let (world, mut machine) = up().await;
        assert!(echoes("10.1.0.1:7").await && echoes("10.2.0.1:7").await);
        let status = machine.until("traffic", |_| true).await;
        assert_eq!(status.state, ClientState::Connected);
        assert_eq!(site(&status, "office").gateway.as_deref(), Some("gw1"));
        assert_eq!(site(&status, "office").entitlements.len(), 1);
        assert_eq!(site(&status, "office").shortcuts[0].url, "https://web.example/");
        let both = |status: &Status| status.sites.iter().all(|site| site.traffic.packets_down >= 1);
        assert!(both(&status), "{:?}", status.sites);
        assert!(status.dn.as_deref().is_some_and(|dn| dn.ends_with("CN=alice,OU=local")));
        assert!(status.traffic.is_some_and(|traffic| traffic.packets_down >= 2));
        let routes = ip(&ALL);
        for prefix in ["10.1.0.0/16", "10.2.0.0/16"] {
            assert!(routes.contains(&format!("{prefix} dev ringwall0")), "{routes}");
            assert!(routes.contains(&format!("blackhole {prefix}")), "{routes}");
        }
        assert!(ip(&["rule"]).contains("not from all fwmark 0x5257 lookup 5257"), "{}", ip(&["rule"]));
        machine.fails(7, &["up"], "").await;
        machine.must(&["down"], "").await;
        assert_eq!(machine.ended().await, Some(0));
        assert_eq!(ip(&ALL), "");
        assert!(!ip(&["rule"]).contains("5257") && !ip(&["link"]).contains("ringwall0"));
        drop(world);
    });
}

#[test]
fn a_killed_client_leaks_nothing_and_the_next_one_cleans_up() {
    in_own_network(async {
        let (_world, mut machine) = up().await;
        machine.kill().await;
        let routes = ip(&ALL);
        assert!(routes.contains("blackhole 10.1.0.0/16") && !routes.contains("dev ringwall0"), "{routes}");
        machine.up(&[]);
        machine.connected().await;
        until_it_echoes("10.1.0.1:7").await;
        assert_eq!(machine.terminate().await, Some(0));
        assert_eq!(ip(&ALL), "");
    });
}

#[test]
fn a_dead_gateway_is_replaced_without_a_controller() {
    in_own_network(async {
        let (world, machine) = up().await;
        world.controller.stop();
        world.gateways["gw2"].thaw();
        world.gateways["gw1"].kill();
        let status = machine
            .until("the other Gateway carries the Site", |status| {
                let office = site(status, "office");
                office.gateway.as_deref() == Some("gw2") && office.state == SiteState::Connected
            })
            .await;
        assert_eq!(site(&status, "lab").state, SiteState::Connected);
        until_it_echoes("10.1.0.1:7").await;
        let calls = world.facts.change(|changing| changing.calls.len());
        assert_eq!(calls, 3, "nothing but the sign-in was asked");
    });
}

#[test]
fn a_gateway_that_falls_silent_is_replaced_within_seconds_under_traffic() {
    in_own_network(async {
        let (world, _machine) = up().await;
        assert!(echoes("10.1.0.1:7").await);
        world.gateways["gw2"].thaw();
        world.gateways["gw1"].freeze();
        let since = std::time::Instant::now();
        // Each try is a packet, and so a reason to wonder.
        until_it_echoes("10.1.0.1:7").await;
        let took = since.elapsed();
        assert!(took < std::time::Duration::from_secs(9), "{took:?}");
    });
}

#[test]
fn a_new_certificate_is_shown_in_the_same_session() {
    in_own_network(async {
        let world = World::start().await;
        // Renewed after half of it.
        world.facts.change(|changing| changing.certificate_life = 8);
        let mut machine = Machine::new(&world).await;
        machine.sign_in().await;
        world.facts.change(|changing| changing.certificate_life = 3_600);
        machine.up(&[]);
        let before = machine.connected().await;
        let mut world = world;
        let gateway = world.gateway("gw3");
        gateway.until(hello).await;
        let again = gateway.until(hello).await;
        assert_eq!(again.last_session_id, site(&before, "lab").session);
        gateway.until(|seen| matches!(seen, Seen::Attached).then_some(())).await;
        until_it_echoes("10.2.0.1:7").await;
        let after = machine.connected().await;
        assert_eq!(site(&before, "lab").session, site(&after, "lab").session);
        assert!(after.expiries.expect("signed in").certificate > before.expiries.expect("signed in").certificate);
    });
}

#[test]
fn a_lost_tunnel_comes_back_in_the_same_session() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        let before = machine.connected().await;
        let gateway = world.gateway("gw1");
        gateway.until(|seen| matches!(seen, Seen::Attached).then_some(())).await;
        gateway.cut_tunnels();
        gateway.until(|seen| matches!(seen, Seen::Message(FromClient::AttachRequest {})).then_some(())).await;
        gateway.until(|seen| matches!(seen, Seen::Attached).then_some(())).await;
        let after = machine.until("reconnected", |status| site(status, "office").reconnects == 1).await;
        assert_eq!(site(&before, "office").session, site(&after, "office").session);
        until_it_echoes("10.1.0.1:7").await;
    });
}

#[test]
fn a_lost_websocket_is_resumed_with_a_higher_number_and_the_tunnel_stays() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        let before = machine.connected().await;
        let gateway = world.gateway("gw1");
        let first = gateway.until(hello).await;
        gateway.until(|seen| matches!(seen, Seen::Attached).then_some(())).await;
        gateway.cut_websockets();
        let second = gateway.until(hello).await;
        assert!(second.connect_seq > first.connect_seq);
        assert_eq!(second.last_session_id, site(&before, "office").session);
        let after = machine.connected().await;
        assert_eq!(site(&after, "office").reconnects, 0, "the tunnel was there all the time");
        assert!(echoes("10.1.0.1:7").await);
    });
}

fn hello(seen: &Seen) -> Option<ringwall_protocol::wire::session::Hello> {
    match seen {
        Seen::Hello(hello) => Some(hello.as_ref().clone()),
        _ => None,
    }
}

#[test]
fn tokens_that_end_soon_are_renewed_and_shown_claims_first() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        machine.connected().await;
        let gateway = world.gateway("gw1");
        gateway.until(hello).await;
        gateway.say(FromGateway::TokensExpiring {
            kinds: vec![TokenKind::Claims, TokenKind::Entitlement],
            not_after: ringwall_client::clock::now(),
            reason: ExpiryReason::Revocation,
        });
        gateway.until(|seen| matches!(seen, Seen::Message(FromClient::ClaimsToken { .. })).then_some(())).await;
        gateway.until(|seen| matches!(seen, Seen::Message(FromClient::EntitlementToken { .. })).then_some(())).await;
        assert!(echoes("10.1.0.1:7").await);
    });
}

#[test]
fn tokens_are_renewed_by_themselves_before_they_end() {
    in_own_network(async {
        let world = World::start().await;
        // Renewed after half of it.
        world.facts.change(|changing| changing.entitlement_life = 4);
        let mut machine = Machine::new(&world).await;
        machine.sign_in().await;
        machine.up(&[]);
        let mut world = world;
        let gateway = world.gateway("gw3");
        for _ in 0..2 {
            gateway
                .until(|seen| matches!(seen, Seen::Message(FromClient::EntitlementToken { .. })).then_some(()))
                .await;
        }
        assert!(echoes("10.2.0.1:7").await);
    });
}

#[test]
fn a_revoked_session_waits_for_the_user_and_signing_in_brings_it_back() {
    in_own_network(async {
        let (world, machine) = up().await;
        world.facts.change(|changing| changing.revoked_below = changing.idx + 1);
        for gateway in ["gw1", "gw3"] {
            world.gateways[gateway]
                .say(FromGateway::End { code: ErrorCode::TokenRevoked, message: "revoked by an administrator".into() });
        }
        let status = machine.until("a sign-in is wanted", |status| status.state == ClientState::SignInRequired).await;
        assert!(status.troubles.iter().any(|trouble| trouble.next_step.contains("ringwall sign-in")), "{status:?}");
        machine.sign_in().await;
        machine.connected().await;
        until_it_echoes("10.1.0.1:7").await;
    });
}

#[test]
fn a_daemon_that_may_reconnect_signs_in_again_by_itself() {
    in_own_network(async {
        let world = World::start().await;
        let mut machine = Machine::new(&world).await;
        let password = machine.password_file();
        let password = password.to_str().expect("text").to_owned();
        machine.up(&["--reconnect", "--key-type", "p256", "--username", "alice", "--password-file", &password]);
        let before = machine.connected().await;
        world.facts.change(|changing| changing.revoked_below = changing.idx + 1);
        for gateway in ["gw1", "gw3"] {
            world.gateways[gateway]
                .say(FromGateway::End { code: ErrorCode::TokenRevoked, message: "revoked by an administrator".into() });
        }
        machine
            .until("connected anew", |status| {
                status.state == ClientState::Connected
                    && site(status, "office").session != site(&before, "office").session
            })
            .await;
        until_it_echoes("10.2.0.1:7").await;
    });
}

#[test]
fn a_gateway_that_asks_for_more_routes_than_signed_is_left() {
    in_own_network(async {
        let world = World::start().await;
        let mut machine = Machine::new(&world).await;
        machine.sign_in().await;
        world.gateways["gw1"].kill();
        world.gateways["gw3"].pretend_network("0.0.0.0/0");
        machine.up(&[]);
        let status = machine
            .until("the lab's Gateway is mistrusted", |status| {
                status.troubles.iter().any(|trouble| trouble.subject == "lab" && trouble.cause.contains("routes"))
            })
            .await;
        assert_ne!(site(&status, "lab").state, SiteState::Connected);
        assert!(!ip(&ALL).contains("default"), "{}", ip(&ALL));
    });
}

#[test]
fn a_neighbour_does_not_reach_the_tunnel_address() {
    in_own_network(async {
        let mut neighbour = Command::new("unshare").args(["--net", "--", "sleep", "60"]).spawn().expect("started");
        let pid = neighbour.id().to_string();
        let there = |arguments: &str| {
            let arguments: Vec<&str> = ["-t", &pid, "-n"].into_iter().chain(arguments.split(' ')).collect();
            Command::new("nsenter").args(arguments).output().expect("util-linux is installed").status.success()
        };
        let own = std::fs::read_link("/proc/self/ns/net").expect("readable");
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|its| its == own) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ip(&["link", "add", "lan0", "type", "veth", "peer", "name", "lan1", "netns", &pid]);
        ip(&["address", "add", "192.0.2.1/24", "dev", "lan0"]);
        ip(&["link", "set", "lan0", "up"]);
        assert!(there("ip address add 192.0.2.2/24 dev lan1") && there("ip link set lan1 up"));
        assert!(there("ip route add 10.9.0.0/16 via 192.0.2.1"));
        let (_world, machine) = up().await;
        assert!(machine.connected().await.device.is_some_and(|device| device.guarded));
        assert!(there("ping -c 1 -W 5 192.0.2.1"), "the machine itself answers");
        assert!(!there("ping -c 1 -W 1 10.9.0.2"), "the tunnel address answers on the LAN");
        assert!(echoes("10.1.0.1:7").await);
        neighbour.kill().expect("killed");
        neighbour.wait().expect("waited");
    });
}

#[test]
fn signing_out_revokes_forgets_and_goes_down() {
    in_own_network(async {
        let (world, mut machine) = up().await;
        let answer = machine.ask(Request::SignOut {}).await;
        assert_eq!(answer, Answer::Done {});
        assert_eq!(machine.ended().await, Some(0));
        let calls = world.facts.change(|changing| changing.calls.clone());
        assert_eq!(calls.last().map(String::as_str), Some("/client/v1/sign-out"));
        machine.fails(3, &["up"], "").await;
    });
}

#[test]
fn a_detached_daemon_is_up_when_the_command_returns() {
    in_own_network(async {
        let world = World::start().await;
        let machine = Machine::new(&world).await;
        let password = machine.password_file();
        let password = password.to_str().expect("text");
        let arguments = ["up", "--detach", "--key-type", "p256", "--username", "alice", "--password-file", password];
        machine.must(&arguments, "").await;
        machine.connected().await;
        machine.must(&["status"], "").await;
        machine.must(&["down"], "").await;
        let log = std::fs::read_to_string(machine.state().join("ringwall.log")).expect("a log");
        assert!(!log.contains("ERROR") && !log.contains("eyJ"), "neither errors nor tokens: {log}");
    });
}
