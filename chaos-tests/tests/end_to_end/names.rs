//! Hosts by name, on real packets: a real name server behind the wall, the product's programs, and `curl` on the device.

use std::{fs, net::IpAddr, time::Duration};

use anyhow::{Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::tcp_connects,
        servers::{NameServer, Nginx, nginx},
        wait,
    },
    product::client::Shortcut,
};

use crate::stage::{self, CONTROLLER, GATEWAY, OTHER_GATEWAY, SITE, Stage};

/// For what must work.
const SOON: Duration = Duration::from_secs(10);
/// For what must not.
const PATIENCE: Duration = Duration::from_secs(2);

const STATE: &str = r#"
kind: Site
name: office
networkSubnets: [10.20.0.0/24]
nameResolution:
  dnsResolvers:
    - name: office
      updateInterval: 5
      servers: [10.20.0.53]
---
kind: LocalUser
name: alice
firstName: Alice
lastName: Archer
email: alice@ringwall.example
password: a wall with 1 door
---
kind: Entitlement
name: the intranet
site: office
conditions: []
actions:
  - subtype: tcp_up
    action: allow
    hosts: ["dns://web.office.example"]
    ports: ["80"]
  - subtype: tcp_up
    action: allow
    hosts: ["*.corp.example"]
    ports: ["81"]
appShortcuts:
  - name: Intranet
    url: http://web.office.example/
---
kind: Policy
name: everybody
type: Access
expression: "true"
entitlements: [the intranet]
"#;

#[test]
fn pages_load_by_name_where_the_name_leads_now() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let [web1, web2]: [IpAddr; 2] = ["web1", "web2"].map(|host| lab.topology().v4(host, "office").into());
    let domains = [("corp.example", web2)];
    let mut names = NameServer::start(&lab, "names", &[("web.office.example", web1)], &domains)?;
    let mut stage = Stage::start(&lab, STATE)?;
    let alice = lab.host("alice");
    let status = stage.client.status()?;
    let link = Shortcut { name: "Intranet".to_owned(), url: "http://web.office.example/".to_owned() };
    ensure!(status.sites.len() == 1 && status.sites[0].shortcuts == [link], "the app that was published: {status:?}");

    wait::until_ok("the page by name", SOON, || {
        let page = stage.client.load_by_name("http://web.office.example/", SOON)?;
        ensure!(page == nginx::page("web1", 80), "{page}");
        Ok(())
    })?;
    let other = tcp_connects(alice, (web2, 80).into(), PATIENCE)?;
    ensure!(other.is_err(), "the name does not lead to the other host: {other:?}");

    let unasked = tcp_connects(alice, (web2, 81).into(), PATIENCE)?;
    ensure!(unasked.is_err(), "nobody has asked for a name below the domain: {unasked:?}");
    let page = stage.client.load_by_name("http://any.host.corp.example:81/", SOON)?;
    ensure!(page == nginx::page("web2", 81), "{page}");
    ensure!(tcp_connects(alice, (web1, 81).into(), PATIENCE)?.is_err(), "and only where the answer led");

    ensure!(stage.client.load_by_name("http://elsewhere.example/", PATIENCE).is_err(), "a name of nobody's");
    ensure!(names.was_asked("web.office.example") && names.was_asked("any.host.corp.example"), "through the tunnel");
    ensure!(!names.was_asked("elsewhere.example"), "a question that does not match went into the tunnel");

    names.change(&[("web.office.example", web2)])?;
    wait::until_ok("the page where the name leads now", SOON + SOON, || {
        let page = stage.client.load_by_name("http://web.office.example/", PATIENCE)?;
        ensure!(page == nginx::page("web2", 80), "{page}");
        Ok(())
    })?;
    wait::until_ok("the end of the old address", SOON, || {
        ensure!(tcp_connects(alice, (web1, 80).into(), PATIENCE)?.is_err(), "the old host is still reached");
        Ok(())
    })?;

    stage.client.down()?;
    let file = fs::read_to_string(lab.directory().join("alice.resolv.conf"))?;
    ensure!(file.starts_with("nameserver 192.0.2.53"), "the device's resolver file is not back: {file}");
    let errors = lab.errors(&[])?;
    ensure!(errors.is_empty(), "ERROR in logs:\n{}", errors.join("\n"));
    Ok(())
}

/// Loads the page by name until it is the one of this host.
fn wait_page(stage: &Stage<'_>, host: &str) -> Result<()> {
    wait::until_ok(&format!("the page of {host}"), SOON + SOON, || {
        let page = stage.client.load_by_name("http://web.office.example/", PATIENCE)?;
        ensure!(page == nginx::page(host, 80), "{page}");
        Ok(())
    })
}

#[test]
fn a_name_leads_to_no_appliance_and_not_out_of_its_site() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let at = |host: &str, network: &str| IpAddr::from(lab.topology().v4(host, network));
    let web1 = at("web1", SITE);
    let mut names = NameServer::start(&lab, "names", &[("web.office.example", web1)], &[])?;
    let mut stage = Stage::start(&lab, STATE)?;
    stage.add_gateway(OTHER_GATEWAY)?;
    // What a name would lead to, if it did.
    let _sibling = Nginx::start(&lab, OTHER_GATEWAY, &[80])?;
    let _controller = Nginx::start(&lab, CONTROLLER, &[80])?;
    wait_page(&stage, "web1")?;

    for (address, reason) in [
        (at(OTHER_GATEWAY, SITE), "appliance"),
        (at(CONTROLLER, "wan"), "appliance"),
        (at("stranger", "wan"), "outside_site"),
        ([169, 254, 169, 254].into(), "special_purpose"),
    ] {
        let refused = || {
            stage.gateways.iter().try_fold(0, |sum, gateway| {
                let label = format!("reason=\"{reason}\"");
                Ok::<_, anyhow::Error>(sum + gateway.counter("ringwall_name_addresses_refused_total", &label)?)
            })
        };
        let before = refused()?;
        names.change(&[("web.office.example", address)])?;
        wait::until_ok("a refused answer", SOON + SOON, || {
            ensure!(refused()? > before, "{address} was not refused as {reason}");
            Ok(())
        })?;
        for host in [GATEWAY, OTHER_GATEWAY] {
            let named = lab.host(host).output("nft", &["list", "set", "inet", "ringwall", "named4"])?;
            ensure!(!named.contains(&format!(" {address} ")), "{host} lets sessions through to {address}: {named}");
        }
        ensure!(stage.client.load_by_name("http://web.office.example/", PATIENCE).is_err(), "a page of {address}");
        wait::until_ok("the explanation", SOON, || {
            let told = stage.operator.attempt(&["explain", "alice", "web.office.example:80"])?.stdout;
            ensure!(told.contains(&format!("web.office.example is {address}, which is")), "{told}");
            Ok(())
        })?;
        names.change(&[("web.office.example", web1)])?;
        wait_page(&stage, "web1")?;
    }
    Ok(())
}

#[test]
fn a_second_name_server_that_does_not_know_the_zone_never_answers_in_place_of_the_first() -> Result<()> {
    /// The race was lost once in ten questions.
    const QUESTIONS: usize = 60;
    let lab = Lab::start(stage::topology())?;
    let [web1, web2]: [IpAddr; 2] = ["web1", "web2"].map(|host| lab.topology().v4(host, "office").into());
    let domains = [("corp.example", web2)];
    let _right = NameServer::start(&lab, "names", &[("web.office.example", web1)], &domains)?;
    let wrong = NameServer::start(&lab, "web2", &[], &[])?;
    let stage = Stage::start(&lab, &STATE.replace("[10.20.0.53]", "[10.20.0.53, 10.20.0.11]"))?;
    wait_page(&stage, "web1")?;
    for number in 0..QUESTIONS {
        let page = stage.client.load_by_name(&format!("http://host-{number}.corp.example:81/"), SOON)?;
        ensure!(page == nginx::page("web2", 81), "question {number}: {page}");
    }
    drop(wrong);
    Ok(())
}
