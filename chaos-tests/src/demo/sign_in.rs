//! Step 3: `ringwall up`: a tunnel per Site; what policies give is reached, nothing else is; and how fast it is.

use std::{net::IpAddr, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    demo::{
        darkness,
        plan::{self, ALICE, BOB, PORT_ECHO, PORT_FORBIDDEN, PORT_NAMED, PORT_OPEN},
        world::World,
    },
    lab::{
        Lab,
        probe::{ConnectFailure, EchoProbe, IperfRun, PacketCounter, Url, http_get, tcp_connects},
        servers::{IperfServer, nginx},
        wait,
    },
    report::Step,
};

/// For what must work.
const SOON: Duration = Duration::from_secs(10);
/// For what must not: several repetitions of the first packet.
const PATIENCE: Duration = Duration::from_secs(2);
/// Seconds of each measurement of throughput.
const MEASURE: u32 = 3;

/// Runs the step.
pub fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let took = world.alice.up(ALICE.name, ALICE.password, &["office", "lab"])?;
    step.proved("alice signed in: claims token, entitlement tokens for two Sites, certificate, two tunnels");
    step.took("sign-in until both tunnels carry (user's view)", took);
    let took = world.bob.up(BOB.name, BOB.password, &["office"])?;
    step.took("sign-in of a second user, one Site", took);

    darkness::after_others_knocked(world, step)?;
    pages_load(world, step)?;
    a_page_loads_by_name(world, step)?;
    nothing_else_does(world, step)?;
    echo_is_complete(world, step)?;
    throughput(world, step)
}

fn pages_load(world: &World<'_>, step: &mut Step) -> Result<()> {
    let topology = world.lab.topology();
    for host in [plan::OFFICE_WEB, "office-web2", plan::LAB_WEB] {
        for address in [plan::service(topology, host, PORT_OPEN), plan::service_v6(topology, host, PORT_OPEN)] {
            let reply = http_get(world.alice.namespace(), &Url::of(address, "/"), SOON)?;
            ensure!(reply.body == nginx::page(host, PORT_OPEN), "{host} says {reply:?}");
        }
    }
    step.proved("alice's pages load through both tunnels, over IPv4 and IPv6");
    http_get(world.bob.namespace(), &world.page(plan::OFFICE_WEB, PORT_OPEN), SOON)?;
    step.proved("bob's page in the office loads");
    Ok(())
}

/// No address stands in the entitlement: the Gateway asks the office's name server, and the answer becomes the rule.
fn a_page_loads_by_name(world: &World<'_>, step: &mut Step) -> Result<()> {
    let url = format!("http://{}:{PORT_NAMED}/", plan::OFFICE_WEB_NAME);
    wait::until_ok("the page by name", SOON, || {
        let page = world.alice.load_by_name(&url, PATIENCE)?;
        ensure!(page == nginx::page(plan::OFFICE_WEB, PORT_NAMED), "{page}");
        Ok(())
    })?;
    ensure!(world.names.was_asked(plan::OFFICE_WEB_NAME), "the office's name server was never asked");
    let address = world.page(plan::OFFICE_WEB, PORT_NAMED).address;
    let attempt = tcp_connects(world.bob.namespace(), address, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "bob, who may not use the name, by its address: {attempt:?}");
    step.proved("a page loads by name; the resolver at the Gateway fills the rule");
    Ok(())
}

fn nothing_else_does(world: &World<'_>, step: &mut Step) -> Result<()> {
    let forbidden = world.count_arrivals(&format!("tcp dport {PORT_FORBIDDEN}"))?;
    let attempt =
        tcp_connects(world.alice.namespace(), world.page(plan::OFFICE_WEB, PORT_FORBIDDEN).address, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "a port without entitlement: {attempt:?}");
    let counted = forbidden.iter().map(PacketCounter::packets).sum::<Result<u64>>()?;
    ensure!(counted == 0, "{counted} packets to a port without entitlement arrived");
    step.proved("a port without entitlement: no answer, not one packet arrived");

    let attempt = tcp_connects(world.bob.namespace(), world.page(plan::LAB_WEB, PORT_OPEN).address, PATIENCE)?;
    ensure!(attempt.is_err(), "bob reaches the lab without an entitlement");
    step.proved("bob does not reach the lab");
    Ok(())
}

fn echo_is_complete(world: &World<'_>, step: &mut Step) -> Result<()> {
    let lab_echo = plan::service(world.lab.topology(), plan::LAB_WEB, PORT_ECHO);
    let probe = EchoProbe::start(world.alice.namespace(), lab_echo)?;
    wait::until("100 echoes", SOON, || probe.received() >= 100)?;
    let report = probe.stop()?;
    ensure!(report.lost.is_empty(), "packets were lost in the tunnel: {report}");
    step.proved("a 100-per-second echo through the tunnel loses nothing");
    let gateway: IpAddr = world.lab.topology().v4("lab-gw1", "lab").into();
    let others = world.lab_echo.arrivals().iter().filter(|arrival| arrival.from.ip() != gateway).count();
    ensure!(others == 0, "{others} packets came to the host from elsewhere than the Gateway");
    step.proved("the host sees nobody but its Gateway");
    if let Some(rtt) = report.rtt_median {
        step.took("round trip through the tunnel, median", rtt);
    }
    Ok(())
}

/// The tunnel beside plain forwarding by the kernel, in the same kind of lab.
fn throughput(world: &World<'_>, step: &mut Step) -> Result<()> {
    let run = IperfRun::to(plan::address(world.lab.topology(), plan::OFFICE_WEB), plan::iperf_port()).seconds(MEASURE);
    let up = run.run(world.lab, ALICE.name)?.bits_per_second;
    let down = run.clone().down().run(world.lab, ALICE.name)?.bits_per_second;
    let bare = Lab::start(plan::bare_topology())?;
    let _server = IperfServer::start(&bare, plan::OFFICE_WEB, plan::iperf_port())?;
    let bare_up = run.run(&bare, ALICE.name)?.bits_per_second;
    let bare_down = run.down().run(&bare, ALICE.name)?.bits_per_second;
    for (name, tunnel, kernel) in [("up", up, bare_up), ("down", down, bare_down)] {
        ensure!(tunnel > 0.0 && kernel > 0.0, "nothing was measured");
        step.figure(
            &format!("throughput of one TCP flow {name}, tunnel beside kernel forwarding"),
            format!("{:.2} of {:.2} Gbit/s, ratio {:.2}", tunnel / 1e9, kernel / 1e9, tunnel / kernel),
        );
    }
    Ok(())
}
