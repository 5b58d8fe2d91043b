//! What other programs do to a tunnel's rules, routes, link and addresses: it is put back, and nothing leaves in clear
//! meanwhile. Packets are counted on the other end of the machine's only link.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::namespace::in_own_network;
use crate::program::{Machine, until_it_echoes};
use crate::wire::{LINK, Wire, ip};
use crate::world::{TUNNEL_ADDRESS, TUNNEL_ADDRESS6, World};

/// Everything is back within this time; the machine of a test may be busy.
const SOON: Duration = Duration::from_secs(5);
/// Hosts of both Sites, by both families.
const PROTECTED: [&str; 3] = ["10.1.0.1:7", "10.2.0.1:7", "[fd01::1]:7"];

struct Stage {
    _world: World,
    machine: Machine,
    wire: Wire,
}

/// A Client with both families, on a link that carries everything else; `seen` is what the neighbour saw before.
async fn stage() -> (Stage, u64) {
    let wire = Wire::start().await;
    for address in PROTECTED {
        wire.must_see(address).await;
    }
    let world = World::with_ipv6().await;
    let mut machine = Machine::new(&world).await;
    machine.sign_in().await;
    machine.up(&[]);
    machine.connected().await;
    until_it_echoes(PROTECTED[0]).await;
    wire.caught_up().await;
    let seen = wire.in_clear();
    (Stage { _world: world, machine, wire }, seen)
}

/// Packets for every protected host, a thousand a second each, until it is dropped.
struct Stream(JoinHandle<()>);

impl Stream {
    fn start() -> Self {
        Self(tokio::spawn(async {
            let v4 = UdpSocket::bind("0.0.0.0:0").await.expect("bound");
            let v6 = UdpSocket::bind("[::]:0").await.expect("bound");
            let mut tick = interval(Duration::from_millis(1));
            loop {
                tick.tick().await;
                for address in PROTECTED {
                    let socket = if address.starts_with('[') { &v6 } else { &v4 };
                    // Refused by a blackhole or by the guard: as it should be.
                    let _refused = socket.send_to(b"stream", address).await;
                }
            }
        }))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a tunnel needs, as the kernel lists it.
fn standing() -> Vec<String> {
    let mut lines: Vec<String> = ["rule", "-6 rule", "route show table 5257", "-6 route show table 5257"]
        .iter()
        .flat_map(|what| ip(what).lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .filter(|line| line.contains("5257") || line.contains("ringwall0") || line.contains("blackhole"))
        .collect();
    lines.sort();
    let device = ip("-o address show dev ringwall0");
    lines.extend([TUNNEL_ADDRESS, TUNNEL_ADDRESS6].map(|address| format!("{address}: {}", device.contains(address))));
    lines.push(format!("up: {}", ip("-o link show dev ringwall0").contains(",UP")));
    lines
}

/// Waits until everything stands as it did.
async fn until_standing(wanted: &[String], after: &str) {
    let begin = Instant::now();
    while standing() != wanted {
        assert!(begin.elapsed() < SOON, "after {after}: {:#?} instead of {wanted:#?}", standing());
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_others_remove_is_put_back_and_nothing_leaves_in_clear() {
    in_own_network(async {
        let (Stage { _world, machine, wire }, seen) = stage().await;
        let wanted = standing();
        assert_eq!(wanted.iter().filter(|line| line.contains("fwmark 0x5257")).count(), 2, "{wanted:#?}");
        let stream = Stream::start();
        for (what, commands) in [
            ("the rules went", &["rule del priority 5257", "-6 rule del priority 5257"][..]),
            ("the routes went", &["route flush table 5257", "-6 route flush table 5257"][..]),
            ("one route went", &["route del 10.1.0.0/16 dev ringwall0 table 5257"][..]),
            ("a blackhole went", &["route del blackhole 10.2.0.0/16 table 5257"][..]),
            ("all rules went", &["rule flush", "rule add priority 32766 lookup main"][..]),
            ("the link went down", &["link set ringwall0 down"][..]),
            ("the link went down and up", &["link set ringwall0 down", "link set ringwall0 up"][..]),
            ("the addresses went", &["address flush dev ringwall0"][..]),
        ] {
            for command in commands {
                ip(command);
            }
            until_standing(&wanted, what).await;
            until_it_echoes(PROTECTED[0]).await;
            until_it_echoes(PROTECTED[1]).await;
        }
        drop(stream);
        wire.caught_up().await;
        assert_eq!(wire.in_clear(), seen, "packets for a Site left in clear");
        let status = machine.connected().await;
        assert!(status.troubles.is_empty(), "{:?}", status.troubles);
    });
}

#[test]
fn the_guard_needs_neither_rules_nor_routes_nor_a_daemon_that_runs() {
    in_own_network(async {
        let (Stage { _world, machine, wire }, seen) = stage().await;
        let wanted = standing();
        machine.signal(Signal::STOP);
        for command in ["rule del priority 5257", "-6 rule del priority 5257", "route flush table 5257"] {
            ip(command);
        }
        let (v4, v6) = (UdpSocket::bind("0.0.0.0:0").await, UdpSocket::bind("[::]:0").await);
        let (v4, v6) = (v4.expect("bound"), v6.expect("bound"));
        for _ in 0..20 {
            for address in PROTECTED {
                let socket = if address.starts_with('[') { &v6 } else { &v4 };
                let sent = socket.send_to(b"in clear?", address).await;
                assert!(sent.is_err_and(|error| error.raw_os_error() == Some(1)), "{address} was not refused (EPERM)");
            }
        }
        wire.caught_up().await;
        assert_eq!(wire.in_clear(), seen, "packets for a Site left in clear");
        machine.signal(Signal::CONT);
        until_standing(&wanted, "the daemon slept").await;
        until_it_echoes(PROTECTED[0]).await;
    });
}

#[test]
fn a_client_that_starts_again_after_a_kill_lets_nothing_out_in_between() {
    in_own_network(async {
        let (Stage { _world, mut machine, wire }, seen) = stage().await;
        let stream = Stream::start();
        machine.kill().await;
        machine.up(&[]);
        machine.connected().await;
        until_it_echoes(PROTECTED[0]).await;
        drop(stream);
        wire.caught_up().await;
        assert_eq!(wire.in_clear(), seen, "packets for a Site left in clear");
    });
}

#[test]
fn lost_notifications_lead_to_a_full_comparison() {
    in_own_network(async {
        let (Stage { _world, machine, wire: _wire }, _) = stage().await;
        let wanted = standing();
        machine.signal(Signal::STOP);
        let lost = || {
            let sockets = std::fs::read_to_string("/proc/net/netlink").expect("readable");
            // Columns: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode.
            let drops = |line: &str| line.split_ascii_whitespace().nth(8)?.parse::<u64>().ok();
            sockets.lines().filter_map(drops).sum::<u64>()
        };
        let begin = Instant::now();
        while lost() == 0 {
            assert!(begin.elapsed() < Duration::from_secs(20), "the daemon's queue does not overflow");
            ip(&format!("address add 203.0.113.1/32 dev {LINK}"));
            ip(&format!("address del 203.0.113.1/32 dev {LINK}"));
        }
        for command in ["rule del priority 5257", "-6 rule del priority 5257", "route flush table 5257"] {
            ip(command);
        }
        machine.signal(Signal::CONT);
        until_standing(&wanted, "notifications were lost").await;
    });
}

#[test]
fn a_fight_over_the_rules_is_bounded_and_said() {
    in_own_network(async {
        let (Stage { _world, machine, wire }, seen) = stage().await;
        let stream = Stream::start();
        let other = tokio::spawn(async {
            let (mut removed, mut tick) = (0_u32, interval(Duration::from_millis(5)));
            loop {
                tick.tick().await;
                if ip("rule").contains("5257") {
                    ip("rule del priority 5257");
                    removed += 1;
                }
                // Nobody puts it back any more as fast as it is removed.
                assert!(removed < 40, "the daemon does not tire");
            }
        });
        let said = machine
            .until("the fight is said", |status| {
                status.troubles.iter().any(|trouble| trouble.cause.contains("keeps removing"))
            })
            .await;
        assert!(said.troubles.iter().any(|trouble| trouble.next_step.contains("ip monitor")), "{:?}", said.troubles);
        assert!(!other.is_finished(), "the daemon does not tire");
        other.abort();
        let back = async {
            while !ip("rule").contains("5257") {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), back).await.expect("the rule comes back once nobody removes it");
        until_it_echoes(PROTECTED[0]).await;
        drop(stream);
        wire.caught_up().await;
        assert_eq!(wire.in_clear(), seen, "packets for a Site left in clear");
    });
}

fn ipv6_off(off: bool) {
    for which in ["default", "all"] {
        let file = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
        std::fs::write(file, if off { "1" } else { "0" }).expect("written");
    }
}

#[test]
fn without_ipv6_the_networks_of_ipv4_are_reached_and_those_of_ipv6_stay_shut() {
    in_own_network(async {
        ipv6_off(true);
        let world = World::with_ipv6().await;
        let mut machine = Machine::new(&world).await;
        machine.sign_in().await;
        machine.up(&[]);
        let status = machine.connected().await;
        let told: Vec<_> = status.troubles.iter().map(|trouble| (trouble.subject.as_str(), trouble.times)).collect();
        assert_eq!(told, [("ipv6", 1)], "{:?}", status.troubles);
        until_it_echoes(PROTECTED[0]).await;
        let routes = ip("-6 route show table 5257");
        assert!(routes.contains("blackhole fd01::/64") && !routes.contains("ringwall0"), "{routes}");

        ipv6_off(false);
        machine.until("IPv6 is used once it is there", |status| status.troubles.is_empty()).await;
        let routes = ip("-6 route show table 5257");
        assert!(routes.contains("fd01::/64 dev ringwall0"), "{routes}");
        until_it_echoes(PROTECTED[0]).await;
        machine.must(&["down"], "").await;
        assert_eq!(machine.ended().await, Some(0));
    });
}
