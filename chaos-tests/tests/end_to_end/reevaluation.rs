//! `ringctl device reevaluate` at a live session, seen in the kernel.
//!
//! Claims, tokens and the time are followed without an order: each change is evaluated as it comes. What nobody tells a
//! session is that the clock of the Controllers, whose time counts, was set; the order makes the Gateway look at it.

use std::{net::IpAddr, time::SystemTime};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::{ConnectFailure, EchoProbe, http_get, tcp_connects},
        servers::{UdpEcho, nginx},
        shifted_clock::ShiftedClock,
        wait,
    },
    product::GatewayKernel,
};

use crate::stage::{self, ALICE, CONTROLLER, GATEWAY, PATIENCE, SOON, Stage};

const MINUTE: u64 = 60;
/// The office opens so long from now, by the clock.
const OPENS_IN: u64 = 4 * MINUTE;
/// The clock is set so far ahead: less than the five minutes by which a DPoP proof of the operator may differ.
const AHEAD: i64 = 280;

/// The time of day in a while, as `inTimeRange` reads it.
fn time_of_day(ahead: u64) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let minutes = (now + ahead) / MINUTE % (24 * 60);
    Ok(format!("{:02}:{:02}", minutes / 60, minutes % 60))
}

fn state() -> Result<String> {
    let (from, to) = (time_of_day(OPENS_IN)?, time_of_day(OPENS_IN + 60 * MINUTE)?);
    Ok(format!(
        r#"
kind: Condition
name: office hours
expression: inTimeRange("{from}", "{to}")
---
kind: Entitlement
name: echo
site: office
actions:
  - subtype: udp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["7"]
---
kind: Entitlement
name: web
site: office
conditions: [office hours]
actions:
  - subtype: tcp_up
    action: allow
    hosts: [10.20.0.10]
    ports: ["80"]
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [echo, web]
"#
    ))
}

#[test]
fn an_order_to_reevaluate_changes_the_kernels_rules_of_a_live_session() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let clock = ShiftedClock::new(&lab, CONTROLLER)?;
    let mut stage = Stage::found_with(&lab, &state()?, |program| clock.wear(program))?;
    stage.add_gateway(GATEWAY)?;
    stage.sign_in()?;
    let server = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), server.address())?;
    probe.wait_answer_after(std::time::Instant::now(), SOON)?;
    let (tokens, status) = (stage.client.tokens()?, stage.client.status()?);
    let tunnel: IpAddr = tokens.claims.tun_ipv4.context("a tunnel address")?.into();
    let rules = || GatewayKernel::read(lab.host(GATEWAY))?.rules_of(tunnel).context("the session has rules");
    let page = stage.page("web1", 80);
    let reevaluate = || -> Result<()> {
        let answer = stage.operator.read(&["device", "reevaluate", "CN=alice,OU=local"])?;
        let told = answer["reevaluated"].as_array().context("whose sessions")?;
        let dn = tokens.claims.head.sub.to_string();
        ensure!(told.len() == 1 && told[0] == dn.as_str(), "the live session is named: {answer}");
        Ok(())
    };

    let before = rules()?;
    ensure!(!before.iter().any(|rule| rule.contains("tcp")), "the office is closed: {before:?}");
    reevaluate()?;
    let attempt = tcp_connects(lab.host(ALICE), page.address, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "nothing has changed: {attempt:?}");
    ensure!(rules()? == before, "where nothing has changed the rules stay");

    clock.set_ahead(AHEAD)?;
    let attempt = tcp_connects(lab.host(ALICE), page.address, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "nobody has told the session: {attempt:?}");
    ensure!(rules()? == before, "the kernel has the former rules");
    let after = wait::until_ok("other rules in the kernel", SOON, || {
        // The Gateway hears the Controller's time with the next bookmark.
        reevaluate()?;
        let now = rules()?;
        ensure!(now != before, "still {now:?}");
        Ok(now)
    })?;
    let added: Vec<_> = after.difference(&before).collect();
    ensure!(after.is_superset(&before), "what was open stays open: {before:?}, {after:?}");
    ensure!(
        added.len() == 1 && ["10.20.0.10", "tcp", "80"].iter().all(|part| added[0].contains(part)),
        "the page's rule was added: {added:?}"
    );
    let reply = http_get(lab.host(ALICE), &page, SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");

    let (tokens_now, status_now) = (stage.client.tokens()?, stage.client.status()?);
    ensure!(tokens_now.claims == tokens.claims && tokens_now.sites == tokens.sites, "no token was renewed");
    ensure!(status_now.sites[0].reconnects == status.sites[0].reconnects, "and the tunnel stayed");
    let report = probe.stop()?;
    ensure!(report.lost.is_empty(), "packets were lost: {report}");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}
