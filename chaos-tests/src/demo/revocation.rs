//! Step 6: a revocation that cuts: per Gateway how long it took, and by the packets themselves. Signing in again works.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::{
        plan::{self, ALICE, PORT_OPEN},
        world::World,
    },
    lab::{
        probe::{Download, Url, http_get},
        servers::nginx,
        wait,
    },
    report::Step,
};

/// For what must work.
const SOON: Duration = Duration::from_secs(20);
/// Nothing may come for so long before the traffic counts as cut.
const QUIET: Duration = Duration::from_secs(1);
/// The promise between Controllers and Gateways on one site, with room for the start of `ringctl` itself, which a
/// user's program does not have to wait for but this measurement includes.
const PROMISE: Duration = Duration::from_secs(2);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let url = Url { path: nginx::DOWNLOAD.to_owned(), ..world.page(plan::OFFICE_WEB, PORT_OPEN) };
    let download = Download::start(world.alice.namespace(), &url)?;
    let echo = world.echo_to_office(&world.alice)?;
    download.wait_for_more(1 << 20, SOON)?;
    echo.wait_answer_after(Instant::now(), SOON)?;

    let ordered = Instant::now();
    let enforced = world.operator()?.cut(ALICE.name)?;
    let returned = Instant::now();
    ensure!(enforced.len() == world.gateways.len(), "not every Gateway answered: {enforced:?}");
    for gateway in &enforced {
        let time = gateway.enforced_after_ms.with_context(|| format!("{} was not reached", gateway.name))?;
        step.figure(&format!("revocation enforced at {}", gateway.name), format!("{time:.1} ms"));
    }
    download.wait_stalled(QUIET, SOON)?;
    wait::until("the echo to fall silent", SOON, || echo.so_far().last_received.is_none_or(|at| at.elapsed() > QUIET))?;

    let late = world.office_echo.arrived_after(returned);
    ensure!(late == 0, "{late} packets passed after the order was reported as enforced");
    let last = world.office_echo.last_arrival().context("the echo ran")?;
    ensure!(last.saturating_duration_since(ordered) < PROMISE, "packets passed for {:?}", last - ordered);
    step.proved("after ringctl reported it as enforced, not one packet arrived");
    step.took("order given until the last packet arrived", last.saturating_duration_since(ordered));
    step.took("order given until ringctl reported it", returned - ordered);
    drop((download.stop()?, echo.stop()?));

    let took = world.alice.sign_in(ALICE.name, ALICE.password, &["office", "lab"])?;
    http_get(world.alice.namespace(), &world.page(plan::OFFICE_WEB, PORT_OPEN), SOON)?;
    step.proved("alice signed in again at once, and the page loads");
    step.took("sign-in after the revocation", took);
    Ok(())
}
