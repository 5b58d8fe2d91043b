//! How fast a revocation is enforced: 200 cuts of live sessions, one after the other, each of a session whose packets pass.
//!
//! A sample is the time from the arrival of the order at a Controller to its knowledge that the Gateway's kernel holds the
//! session's rules no more: Raft entry, feed, removal from the kernel and acknowledgement are in it, the start of
//! `ringctl` is not. One Controller and one Gateway on one machine, 20 sessions. What the protected host receives is the
//! check: nothing arrives after the order was reported as enforced.

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    bench::figure::Figures,
    lab::{
        Lab,
        probe::EchoProbe,
        servers::UdpEcho,
        topology::{Host, Topology},
    },
    product::{
        Administrator, Client, Controller, Founding, Gateway, Ringctl, controller::socket, gateway::CLIENT_PORT,
    },
    report::Step,
};

const CONTROLLER: &str = "controller-1";
const GATEWAY: &str = "office-gw1";
const SITE: &str = "office";
const WEB: &str = "web";
const ECHO: u16 = 7;
/// Users, each on a device of his own: a device may sign in 12 times in a row.
const USERS: usize = 20;
/// Cuts of each user's session.
const ROUNDS: usize = 10;
/// With `QUICK`.
const QUICK_ROUNDS: usize = 2;
const PASSWORD: &str = "a wall with 1 door";
const ADMINISTRATOR: &str = "operator";
const ADMINISTRATORS_PASSWORD: &str = "the operator has a long password";
const SOON: Duration = Duration::from_secs(20);

pub(super) fn measure(quick: bool, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let lab = Lab::start(topology()).context("lay out the lab")?;
    let founding = Founding { collective: "bench", administrator: ADMINISTRATOR, password: ADMINISTRATORS_PASSWORD };
    let (_controller, founded) = Controller::found(&lab, CONTROLLER, &founding)?;
    let administrator = Administrator {
        name: ADMINISTRATOR,
        password: ADMINISTRATORS_PASSWORD,
        ca_fingerprint: &founded.ca_fingerprint,
    };
    let operator = Ringctl::sign_in(&lab, CONTROLLER, &administrator)?;
    let file = lab.directory().join("state.yaml");
    fs::write(&file, state()?)?;
    operator.apply(&file)?;
    let seed = operator.add_gateway(GATEWAY, SITE, &socket(&lab, GATEWAY, CLIENT_PORT))?;
    let _gateway = Gateway::start(&lab, GATEWAY, SITE, &seed)?;
    let echo = UdpEcho::start(lab.host(WEB), (IpAddr::from(lab.topology().v4(WEB, SITE)), ECHO))?;
    let link = operator.profile_link("staff")?;
    let mut clients = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let mut client = Client::new(&lab, &user(number));
        client.add_profile(&link)?;
        client.up(&user(number), PASSWORD, &[SITE])?;
        clients.push(client);
    }
    let rounds = if quick { QUICK_ROUNDS } else { ROUNDS };
    let mut samples = Vec::with_capacity(USERS * rounds);
    for round in 1..=rounds {
        for (number, client) in clients.iter_mut().enumerate() {
            if round > 1 {
                client.sign_in(&user(number), PASSWORD, &[SITE])?;
            }
            samples.push(cut(&operator, &user(number), client, &echo)?);
        }
        step.doing(&format!("round {round} of {rounds}: {} cuts", samples.len()));
    }
    for (key, part) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        figures.add_quantile(step, &format!("revocation.enforced.{key}"), "ms", &samples, part)?;
    }
    Ok(())
}

/// Cuts a session under traffic; milliseconds until the Gateway enforces it.
fn cut(operator: &Ringctl<'_>, user: &str, client: &Client<'_>, echo: &UdpEcho) -> Result<f64> {
    let probe = EchoProbe::start(client.namespace(), echo.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    let enforced = operator.cut(user)?;
    let reported = Instant::now();
    let [gateway] = enforced.as_slice() else { anyhow::bail!("one Gateway was expected to answer: {enforced:?}") };
    let took = gateway.enforced_after_ms.with_context(|| format!("{} was not reached", gateway.name))?;
    let report = probe.stop()?;
    ensure!(echo.arrived_after(reported) == 0, "packets of {user} passed after the revocation: {report}");
    Ok(took)
}

fn user(number: usize) -> String {
    format!("user-{number}")
}

fn topology() -> Topology {
    let mut topology = Topology::new()
        .network("wan", "10.77.1.0/24", "fd77:1::/64")
        .network(SITE, "10.20.0.0/24", "fd20::/64")
        .host(Host::new(CONTROLLER).on("wan", 11))
        .host(Host::new(GATEWAY).on("wan", 21).on(SITE, 2))
        .host(Host::new(WEB).on(SITE, 10));
    for (number, address) in (0..USERS).zip(101..) {
        topology = topology.host(Host::new(&user(number)).on("wan", address));
    }
    topology
}

fn state() -> Result<String> {
    let mut state = format!(
        "kind: Site\nname: {SITE}\nnetworkSubnets: [10.20.0.0/24]\n---\nkind: IpPool\nname: v4\nranges:\n  - cidr: \
         100.64.0.0/16\n---\nkind: IdentityProvider\nname: local\ntype: LocalDatabase\nadminProvider: true\nipPoolV4: \
         v4\n---\nkind: Entitlement\nname: echo\nsite: {SITE}\nactions:\n  - subtype: udp_up\n    action: allow\n    \
         hosts: [10.20.0.10]\n    ports: [\"{ECHO}\"]\n---\nkind: Policy\nname: everybody\ntype: Access\nexpression: \
         \"true\"\nentitlements: [echo]\n---\nkind: ClientProfile\nname: staff\nidentityProvider: local\n"
    );
    for number in 0..USERS {
        write!(state, "---\nkind: LocalUser\nname: {}\npassword: {PASSWORD}\n", user(number))?;
    }
    Ok(state)
}
