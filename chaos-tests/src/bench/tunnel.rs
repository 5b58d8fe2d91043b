//! Throughput and round trip through the TLS tunnel, in turns with a plain router.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{
    bench::figure::Figures,
    demo::{
        plan::{self, ALICE, OFFICE_WEB, PORT_ECHO},
        world::World,
    },
    lab::{
        Lab,
        namespace::Namespace,
        probe::{EchoProbe, IperfRun},
        servers::{IperfServer, UdpEcho},
        wait,
    },
    report::Step,
};

/// Seconds of each measurement of throughput.
const SECONDS: u32 = 4;
/// Echoes of each measurement of the round trip.
const ECHOES: usize = 300;
/// For the echoes.
const SOON: Duration = Duration::from_secs(20);
/// The peer's name.
const KERNEL: &str = "kernel forwarding";

pub(super) fn measure(
    world: &World<'_>,
    bare: &Lab,
    runs: usize,
    step: &mut Step,
    figures: &mut Figures,
) -> Result<()> {
    let _server = IperfServer::start(bare, OFFICE_WEB, plan::iperf_port())?;
    let up = IperfRun::to(plan::address(bare.topology(), OFFICE_WEB), plan::iperf_port()).seconds(SECONDS);
    for (key, run) in [("tunnel.tls.up", up.clone()), ("tunnel.tls.down", up.down())] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            ours.push(run.run(world.lab, ALICE.name)?.bits_per_second / 1e9);
            theirs.push(run.run(bare, ALICE.name)?.bits_per_second / 1e9);
        }
        figures.add_beside(step, key, "Gbit/s", &ours, (KERNEL, &theirs))?;
    }
    round_trips(world, bare, runs, step, figures)
}

fn round_trips(world: &World<'_>, bare: &Lab, runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let server = UdpEcho::start(bare.host(OFFICE_WEB), plan::service(bare.topology(), OFFICE_WEB, PORT_ECHO))?;
    let mut added = Vec::new();
    for _ in 0..runs {
        let ours = round_trip(world.alice.namespace(), &world.office_echo)?;
        let theirs = round_trip(bare.host(ALICE.name), &server)?;
        added.push((ours.as_secs_f64() - theirs.as_secs_f64()) * 1e6);
    }
    figures.add(step, "tunnel.rtt.added", "µs", &added)
}

fn round_trip(from: &Namespace, server: &UdpEcho) -> Result<Duration> {
    let probe = EchoProbe::start(from, server.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    wait::until("echoes", SOON, || probe.received() >= ECHOES)?;
    probe.stop()?.rtt_median.context("echoes came back")
}
