//! Step 2: who has not signed in reaches nothing, not even by sending packets straight at a Gateway.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    demo::{
        plan::{self, ALICE, GATEWAYS, PORT_OPEN},
        world::World,
    },
    lab::{
        namespace::Namespace,
        probe::{ConnectFailure, PacketCounter, tcp_connects},
    },
    report::Step,
};

/// How long each attempt waits for an answer that must not come: several repetitions of the first packet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the step.
pub fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let alice = world.host(ALICE.name);
    let arrivals = world.count_arrivals("meta l4proto { tcp, udp, icmp }")?;
    let targets = [(plan::OFFICE_WEB, "office-gw1"), (plan::OFFICE_WEB, "office-gw2"), (plan::LAB_WEB, "lab-gw1")];
    for (host, _) in targets {
        let attempt = tcp_connects(alice, world.page(host, PORT_OPEN).address, PATIENCE)?;
        ensure!(matches!(attempt, Err(ConnectFailure::Unreachable(_))), "{host} without a route: {attempt:?}");
    }
    step.proved("without a tunnel there is no way to the protected hosts");

    for (host, gateway) in targets {
        let way = Detour::through(world, alice, host, gateway)?;
        let passed_by = PacketCounter::install(world.host(gateway), "ip daddr { 10.20.0.0/24, 10.30.0.0/24 }")?;
        let attempt = tcp_connects(alice, world.page(host, PORT_OPEN).address, PATIENCE)?;
        ensure!(attempt == Err(ConnectFailure::Silence), "{host} by way of {gateway}: {attempt:?}");
        ensure!(passed_by.packets()? > 0, "no packet even came to {gateway}: the attempt proves nothing");
        drop(way);
    }
    let counted = arrivals.iter().map(PacketCounter::packets).sum::<Result<u64>>()?;
    ensure!(counted == 0, "{counted} packets reached protected hosts");
    step.proved("packets sent straight at each of the three Gateways: not one came through");
    ensure!(GATEWAYS.len() == targets.len(), "every Gateway of the plan is tried");
    Ok(())
}

/// A route that an attacker on the same network can always set: through a Gateway, past its tunnels.
#[derive(Debug)]
pub(crate) struct Detour<'lab> {
    from: &'lab Namespace,
    route: String,
}

impl<'lab> Detour<'lab> {
    /// Sends what `from` has for `host` straight to `gateway`. A Client's own rules would come before this route.
    pub(crate) fn through(world: &World<'lab>, from: &'lab Namespace, host: &str, gateway: &str) -> Result<Self> {
        let topology = world.lab.topology();
        let route = format!("{} via {} metric 1", plan::address(topology, host), topology.v4(gateway, "wan"));
        from.ip_batch(&format!("route add {route}\n"))?;
        Ok(Self { from, route })
    }
}

impl Drop for Detour<'_> {
    fn drop(&mut self) {
        // With the lab gone the route is gone too.
        let _ = self.from.ip_batch(&format!("route del {}\n", self.route));
    }
}
