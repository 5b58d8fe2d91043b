//! Step 7: the leading Controller is killed. Traffic does not notice; a new sign-in works within seconds; it comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::{
        bring_up,
        plan::{self, BOB, PORT_OPEN},
        world::World,
    },
    lab::{
        probe::{Download, Url, http_get},
        servers::nginx,
        wait,
    },
    report::{Step, seconds},
};

/// For elections, sign-ins and catching up.
const SOON: Duration = Duration::from_secs(30);
/// Live traffic does not depend on Controllers at all.
const UNNOTICED: Duration = Duration::from_millis(250);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let status = world.operator()?.status()?;
    let leader = status.leader_name().with_context(|| format!("nobody leads: {status:?}"))?.to_owned();
    let place = world.controllers.iter().position(|controller| controller.host() == leader);
    let place = place.with_context(|| format!("the plan has no Controller {leader}"))?;
    let url = Url { path: nginx::DOWNLOAD.to_owned(), ..world.page(plan::OFFICE_WEB, PORT_OPEN) };
    let download = Download::start(world.alice.namespace(), &url)?;
    let echo = world.echo_to_office(&world.alice)?;
    download.wait_for_more(1 << 20, SOON)?;

    world.bob.down()?;
    let killed = world.controllers[place].kill()?;
    step.doing(&format!("{leader}, the leader, was killed with SIGKILL"));
    let took = wait::until_ok("a new sign-in", SOON, || {
        world.bob.up(BOB.name, BOB.password, &["office"])?;
        http_get(world.bob.namespace(), &world.page(plan::OFFICE_WEB, PORT_OPEN), SOON)?;
        Ok(killed.elapsed())
    })?;
    step.proved("bob signed in anew and his page loads");
    step.took("leader killed until a new sign-in is complete", took);

    let survivor = world.controllers[(place + 1) % world.controllers.len()].host().to_owned();
    let operator = bring_up::sign_in(world, &survivor)?;
    world.controllers[place].restart()?;
    let restarted = Instant::now();
    wait::until_ok("the killed Controller to catch up", SOON, || {
        let (there, here) = (operator.status()?, bring_up::sign_in(world, &leader)?.status()?);
        ensure!(here.applied >= there.applied, "{leader} is at {}, {survivor} at {}", here.applied, there.applied);
        Ok(())
    })?;
    step.proved(&format!("{leader} came back and caught up"));
    step.took("restart until caught up", restarted.elapsed());

    let report = echo.stop()?;
    ensure!(report.lost.is_empty(), "the loss of a Controller lost packets: {report}");
    let download = download.stop()?;
    ensure!(download.broken.is_none() && download.longest_stall < UNNOTICED, "the download noticed: {download:?}");
    step.proved(&format!(
        "all the while not one of {} echoes was lost; the download's longest pause was {}",
        report.sent,
        seconds(download.longest_stall)
    ));
    world.operator = Some(operator);
    Ok(())
}
