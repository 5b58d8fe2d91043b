//! Thousands of SYNs a second with a user's own address, and with a Gateway's: neither is kept out, neither gets slower
//! (T47). On real packets, from a host that holds no key.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::{SynFlood, http_get},
        servers::nginx,
        wait,
    },
    product::{
        controller::{CLIENT_PORT, PEER_PORT},
        gateway,
    },
};

use crate::stage::{self, ALICE, CONTROLLER, GATEWAY, PASSWORD, SITE, SOON, Stage};

const STATE: &str = r#"
kind: GlobalSettings
spaMode: UDP-TCP
---
kind: Site
name: office
networkSubnets: [10.20.0.0/24]
---
kind: IpPool
name: tunnel-v4
ranges:
  - cidr: 100.64.0.0/16
---
kind: IdentityProvider
name: local
type: LocalDatabase
adminProvider: true
ipPoolV4: tunnel-v4
---
kind: LocalUser
name: alice
password: a wall with 1 door
---
kind: Entitlement
name: web
site: office
actions:
  - action: allow
    subtype: tcp_up
    hosts: [10.20.0.10]
    ports: ["80"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [web]
---
kind: ClientProfile
name: demo
identityProvider: local
"#;

/// SYNs a second at each port.
const RATE: u32 = 2_000;
/// Connections that are timed, without the flood and with it; a device that asks for more tokens within a minute waits.
const ROUNDS: usize = 5;
/// What a machine that others keep busy adds to either median.
const NOISE: Duration = Duration::from_millis(250);
/// A Gateway that starts again.
const RESTART: Duration = Duration::from_secs(60);

/// The user goes down and comes up again; how long each time took.
fn rounds(stage: &mut Stage<'_>) -> Result<Vec<Duration>> {
    let mut times = vec![];
    for round in 0..ROUNDS {
        stage.client.down()?;
        let took = stage.client.up(ALICE, PASSWORD, &[SITE]).with_context(|| format!("round {round}"))?;
        times.push(took);
    }
    times.sort_unstable();
    Ok(times)
}

fn wan(lab: &Lab, host: &str) -> Ipv4Addr {
    lab.topology().v4(host, "wan")
}

#[test]
fn syns_with_a_users_address_change_neither_success_nor_time() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::start(&lab, STATE)?;
    let quiet = rounds(&mut stage)?;
    let at = |host, port| SocketAddrV4::new(wan(&lab, host), port);
    let flood = |to| SynFlood::start(lab.host("stranger"), wan(&lab, ALICE), to, RATE);
    let floods = [flood(at(GATEWAY, gateway::CLIENT_PORT))?, flood(at(CONTROLLER, CLIENT_PORT))?];
    let flooded = rounds(&mut stage)?;
    let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    for flood in floods {
        let sent = flood.stop()?;
        ensure!(sent.rate > f64::from(RATE) / 2.0, "{sent:?}: the machine sends too little for this test");
    }
    let (without, with) = (quiet[ROUNDS / 2], flooded[ROUNDS / 2]);
    eprintln!("down and up: {without:?} without a flood ({quiet:?}), {with:?} with it ({flooded:?})");
    ensure!(with <= 2 * without + NOISE, "median {with:?} with the flood, {without:?} without");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}

/// Kills the Gateway and starts it anew: it has to come to its Controller before it serves. How long that took.
fn start_again(stage: &mut Stage<'_>) -> Result<Duration> {
    stage.gateways[0].kill()?;
    let began = Instant::now();
    stage.gateways[0].restart()?;
    Ok(began.elapsed())
}

#[test]
fn syns_with_a_gateways_address_do_not_keep_it_from_its_controller() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::start(&lab, STATE)?;
    let to = SocketAddrV4::new(wan(&lab, CONTROLLER), PEER_PORT);
    let quiet = start_again(&mut stage)?;
    let flood = SynFlood::start(lab.host("stranger"), wan(&lab, GATEWAY), to, RATE)?;
    let flooded = start_again(&mut stage)?;
    let page = wait::until_ok("the page through the tunnel", RESTART, || {
        let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
        ensure!(reply.status == 200, "{reply:?}");
        Ok(reply.body)
    })?;
    ensure!(page == nginx::page("web1", 80), "{page}");
    let sent = flood.stop()?;
    ensure!(sent.rate > f64::from(RATE) / 2.0, "{sent:?}: the machine sends too little for this test");
    eprintln!("a Gateway's start: {quiet:?} without a flood, {flooded:?} with it");
    ensure!(flooded <= 2 * quiet + NOISE, "{flooded:?} with the flood, {quiet:?} without");
    Ok(())
}
