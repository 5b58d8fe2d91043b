//! The system's resolver file and its name servers, as networks and network managers change them while a Client runs.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::namespace::in_own_network;
use crate::split_dns::{Stage, address, ask_udp, name_server, stage_with};
use crate::wire::{LINK, Wire};

/// Two looks at the file, and some more for a busy machine.
const SOON: Duration = Duration::from_secs(20);
const FIRST: &str = "127.0.0.53";
const OTHER: &str = "127.0.0.54";

/// Waits until this name is where it should be.
async fn until_found(name: &str, wanted: &str) {
    let found = async { while address(&ask_udp(name).await).as_deref() != Some(wanted) {} };
    timeout(SOON, found).await.unwrap_or_else(|_| panic!("{name} is not found at {wanted}"));
}

async fn until_the_stub_is_named(stage: &Stage) {
    let named = async {
        while !stage.text().contains("nameserver 127.0.0.157") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, named).await.expect("the file is taken over again");
}

#[test]
fn a_file_that_dhcp_writes_anew_is_taken_over_again_with_its_servers() {
    in_own_network(async {
        let first = name_server(FIRST, Some(Ipv4Addr::new(192, 0, 2, 1))).await;
        let _other = name_server(OTHER, Some(Ipv4Addr::new(192, 0, 2, 2))).await;
        let mut stage = stage_with(&format!("nameserver {FIRST}\n"), &[]).await;
        until_found("example.org.", "192.0.2.1").await;

        let dhcp = format!("search elsewhere.example\nnameserver {OTHER}\n");
        std::fs::write(&stage.file, &dhcp).expect("written");
        until_the_stub_is_named(&stage).await;
        assert!(stage.text().contains("search elsewhere.example"), "{}", stage.text());
        until_found("example.org.", "192.0.2.2").await;
        assert_eq!(address(&ask_udp("a.corp.example.").await).as_deref(), Some("10.1.0.77"), "Sites' names as before");

        // As some do: a new file in the place of the old one.
        let beside = stage.file.with_extension("new");
        std::fs::write(&beside, format!("nameserver {FIRST}\n")).expect("written");
        std::fs::rename(&beside, &stage.file).expect("renamed");
        until_the_stub_is_named(&stage).await;
        until_found("example.org.", "192.0.2.1").await;
        assert!(first.lock().expect("no panic").len() >= 2);

        stage.machine.must(&["down"], "").await;
        assert_eq!(stage.machine.ended().await, Some(0));
        assert_eq!(stage.text(), format!("nameserver {FIRST}\n"), "what was written last is the user's");
    });
}

#[test]
fn a_fight_over_the_file_is_said() {
    in_own_network(async {
        let _first = name_server(FIRST, Some(Ipv4Addr::new(192, 0, 2, 1))).await;
        let stage = stage_with(&format!("nameserver {FIRST}\n"), &[]).await;
        let file = stage.file.clone();
        let other = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if std::fs::read_to_string(&file).is_ok_and(|text| text.contains("127.0.0.157")) {
                    std::fs::write(&file, format!("nameserver {FIRST}\n")).expect("written");
                }
            }
        });
        let fight = stage.machine.until("the fight is said", |status| {
            status.troubles.iter().any(|trouble| trouble.subject == "dns" && trouble.cause.contains("keeps rewriting"))
        });
        fight.await;
        other.abort();
    });
}

#[test]
fn a_name_server_that_refuses_is_followed_by_the_next_one() {
    in_own_network(async {
        let first = name_server(FIRST, None).await;
        let _other = name_server(OTHER, Some(Ipv4Addr::new(192, 0, 2, 2))).await;
        let _stage = stage_with(&format!("nameserver {FIRST}\nnameserver {OTHER}\n"), &[]).await;
        assert_eq!(address(&ask_udp("example.org.").await).as_deref(), Some("192.0.2.2"));
        assert_eq!(first.lock().expect("no panic").clone(), ["example.org."], "in their order");
    });
}

#[test]
fn who_has_port_53_is_named_and_the_stub_begins_when_it_is_free() {
    in_own_network(async {
        let holder = UdpSocket::bind("0.0.0.0:53").await.expect("the namespace is empty");
        let stage = stage_with("nameserver 192.0.2.53\n", &[]).await;
        let own = format!("(process {})", std::process::id());
        let said = stage.machine.until("the holder is named", |status| {
            status.troubles.iter().any(|trouble| trouble.subject == "dns" && trouble.cause.contains(&own))
        });
        said.await;
        assert_eq!(stage.text(), "nameserver 192.0.2.53\n", "names are asked for as before");
        drop(holder);
        stage.machine.until("the stub listens", |status| status.troubles.is_empty()).await;
        until_the_stub_is_named(&stage).await;
        assert_eq!(address(&ask_udp("a.corp.example.").await).as_deref(), Some("10.1.0.77"));
    });
}

#[test]
fn a_resolver_that_a_sites_network_covers_is_asked_beside_the_tunnel() {
    in_own_network(async {
        let wire = Wire::start().await;
        let _server = wire.name_server("10.1.0.53");
        let _stage = stage_with("nameserver 10.1.0.53\n", &[]).await;
        until_found("example.org.", "192.0.2.9").await;
        assert_eq!(address(&ask_udp("a.corp.example.").await).as_deref(), Some("10.1.0.77"), "the Site's own names");
    });
}

#[test]
fn a_link_local_name_server_keeps_its_zone() {
    in_own_network(async {
        let wire = Wire::start().await;
        let _server = wire.name_server("fe80::53");
        let _stage = stage_with(&format!("nameserver fe80::53%{LINK}\n"), &[]).await;
        until_found("example.org.", "192.0.2.9").await;
    });
}
