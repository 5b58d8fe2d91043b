//! Step 8: the Gateway that carries the session is killed. What it leaves in the kernel lets nothing through, and the
//! Client moves to the Site's other Gateway.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::{
        before_sign_in::Detour,
        plan::{self, PORT_OPEN},
        world::World,
    },
    lab::{
        probe::{ConnectFailure, PacketCounter, http_get, tcp_connects},
        wait,
    },
    report::Step,
};

/// A machine on the same network without a tunnel of its own.
const STRANGER: &str = plan::CONTROLLERS[2];
/// For what must work.
const SOON: Duration = Duration::from_secs(20);
/// Echoes to see after the move.
const ECHOES: usize = 50;
/// For what must not: several repetitions of the first packet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let place = world.carrier(&world.alice, "office")?;
    let dead = world.gateways[place].host().to_owned();
    let echo = world.echo_to_office(&world.alice)?;
    echo.wait_answer_after(Instant::now(), SOON)?;

    let killed = world.gateways[place].kill()?;
    step.doing(&format!("{dead}, which carries alice's session, was killed with SIGKILL"));
    world.alice.wait_connected(&["office", "lab"], SOON)?;
    let now = world.carrier(&world.alice, "office")?;
    ensure!(now != place, "the session is said to be carried by the dead Gateway");
    http_get(world.alice.namespace(), &world.page(plan::OFFICE_WEB, PORT_OPEN), SOON)?;
    let moved = echo.received();
    wait::until("echoes by the other Gateway", SOON, || echo.received() >= moved + ECHOES)?;
    let report = echo.stop()?;
    ensure!(report.lost_between(killed, Instant::now()) == report.lost.len(), "packets were lost before the kill");
    step.took("Gateway killed: the longest gap in a 100-per-second echo", report.longest_gap);
    step.proved(&format!("alice's session moved to {}; {report}", world.gateways[now].host()));

    nothing_passes_the_dead_one(world, step, &dead)?;

    world.gateways[place].restart()?;
    step.proved(&format!("{dead} came back"));
    Ok(())
}

/// Packets from outside, straight at the machine whose Gateway is dead; its kernel still holds the rules.
fn nothing_passes_the_dead_one(world: &World<'_>, step: &mut Step, dead: &str) -> Result<()> {
    let target = "office-web2";
    let mac = mac_in_the_office(world, dead)?;
    let arrivals =
        PacketCounter::install(world.host(target), &format!("ether saddr {mac} meta l4proto {{ tcp, udp, icmp }}"))?;
    let stranger = world.host(STRANGER);
    let way = Detour::through(world, stranger, target, dead)?;
    let passed_by = PacketCounter::install(world.host(dead), "ip daddr 10.20.0.0/24")?;
    let attempt = tcp_connects(stranger, world.page(target, PORT_OPEN).address, PATIENCE)?;
    drop(way);
    ensure!(attempt == Err(ConnectFailure::Silence), "through the dead Gateway: {attempt:?}");
    ensure!(passed_by.packets()? > 0, "no packet even came to {dead}: the attempt proves nothing");
    ensure!(arrivals.packets()? == 0, "the dead Gateway's machine let packets through");
    step.proved(&format!("what {dead} left behind lets not one packet through"));
    Ok(())
}

/// The hardware address by which a Gateway's machine is known in the office.
fn mac_in_the_office(world: &World<'_>, gateway: &str) -> Result<String> {
    let text = world.host(gateway).output("ip", &["-json", "link", "show", "dev", "office"])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    links[0]["address"].as_str().map(str::to_owned).with_context(|| format!("{gateway} has no address in the office"))
}
