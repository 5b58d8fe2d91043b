//! What an unauthenticated host finds that knocks at nothing and asks every port: a Controller's and a Gateway's address
//! beside one at which nobody is.

use std::{net::Ipv4Addr, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    demo::{
        plan::{CONTROLLERS, GATEWAYS, STRANGER, UNUSED},
        world::World,
    },
    lab::probe::{Flags, scan_ports},
    report::Step,
};

/// Scans before anybody knocked: every kind of packet.
pub(crate) fn before_any_knock(world: &World<'_>, step: &mut Step) -> Result<()> {
    scan(world, step, &[Flags::Syn, Flags::Ack, Flags::Null], "before anybody knocked")
}

/// Scans while others are let in: their knocks open nothing for an unauthenticated host.
pub(crate) fn after_others_knocked(world: &World<'_>, step: &mut Step) -> Result<()> {
    scan(world, step, &[Flags::Syn], "while others' sessions run")
}

fn scan(world: &World<'_>, step: &mut Step, flags: &[Flags], when: &str) -> Result<()> {
    let begun = Instant::now();
    let address = |host: &str| world.lab.topology().v4(host, "wan");
    let targets: [(&str, Ipv4Addr); 3] = [
        (CONTROLLERS[0], address(CONTROLLERS[0])),
        (GATEWAYS[0].host, address(GATEWAYS[0].host)),
        ("an unused address", UNUSED),
    ];
    for (name, target) in targets {
        let found = scan_ports(world.host(STRANGER), target, flags)?;
        let all = (flags.len() + 1) * usize::from(u16::MAX);
        ensure!(target == UNUSED || found.sent == all, "only {} of {all} packets were sent to {name}", found.sent);
        ensure!(found.answers == 0, "{name} answered an unauthenticated host {when}: {found}");
    }
    step.proved(&format!("{when} every port of a Controller and of a Gateway is as silent as an unused address"));
    step.took("all TCP and UDP ports of three addresses scanned", begun.elapsed());
    Ok(())
}
