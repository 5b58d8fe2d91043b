//! Hosts by name, on real packets: a real name server behind the wall, the product's programs, and `curl` on the device.

use std::{fs, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::tcp_connects,
        servers::{NameServer, Nginx, nginx},
        topology::{Host, Topology},
        wait,
    },
    product::{Administrator, Client, Controller, Founding, Gateway, Ringctl, controller::socket, gateway},
};

const CONTROLLER: &str = "controller";
const PASSWORD: &str = "the operator has a long password";
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
---
kind: ClientProfile
name: demo
identityProvider: local
"#;

fn topology() -> Topology {
    Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network("office", "10.20.0.0/24", "fd20::/64")
        .host(Host::new(CONTROLLER).on("wan", 11))
        .host(Host::new("gateway").on("wan", 21).on("office", 2))
        .host(Host::new("web1").on("office", 10))
        .host(Host::new("web2").on("office", 11))
        .host(Host::new("names").on("office", 53))
        .host(Host::new("alice").on("wan", 101))
}

/// The programs of a small Collective, and a Client that knows it.
struct Stage<'lab> {
    client: Client<'lab>,
    _programs: (Controller, Gateway, Vec<Nginx>),
}

fn stage(lab: &Lab) -> Result<Stage<'_>> {
    let webs = ["web1", "web2"].into_iter().map(|host| Nginx::start(lab, host, &[80, 81])).collect::<Result<_>>()?;
    let founding = Founding { collective: "names", administrator: "operator", password: PASSWORD };
    let (controller, founded) = Controller::found(lab, CONTROLLER, &founding)?;
    let administrator = Administrator { name: "operator", password: PASSWORD, ca_fingerprint: &founded.ca_fingerprint };
    let operator = Ringctl::sign_in(lab, CONTROLLER, &administrator)?;
    let state = lab.directory().join("state.yaml");
    fs::write(&state, STATE).context("write the state for ringctl")?;
    operator.apply(&state)?;
    let seed = operator.add_gateway("gateway", "office", &socket(lab, "gateway", gateway::CLIENT_PORT))?;
    let gateway = Gateway::start(lab, "gateway", "office", &seed)?;
    let mut client = Client::new(lab, "alice");
    client.add_profile(&operator.profile_link("demo")?)?;
    client.up("alice", "a wall with 1 door", &["office"])?;
    Ok(Stage { client, _programs: (controller, gateway, webs) })
}

#[test]
fn pages_load_by_name_where_the_name_leads_now() -> Result<()> {
    let lab = Lab::start(topology())?;
    let [web1, web2]: [IpAddr; 2] = ["web1", "web2"].map(|host| lab.topology().v4(host, "office").into());
    let domains = [("corp.example", web2)];
    let mut names = NameServer::start(&lab, "names", &[("web.office.example", web1)], &domains)?;
    let mut stage = stage(&lab)?;
    let alice = lab.host("alice");

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
