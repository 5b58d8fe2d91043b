//! Step 5: an administrator wants tokens renewed, at once and within a window, under a running download and an echo.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    demo::{
        plan::{self, ALICE, PORT_OPEN},
        world::World,
    },
    lab::{
        probe::{Download, Url},
        servers::nginx,
        wait,
    },
    product::{
        RevocationMode,
        client::{SiteStatus, Status},
    },
    report::{Step, seconds},
};

/// For tokens to be replaced; the window is shorter.
const SOON: Duration = Duration::from_secs(90);
/// The grain of an expiry, and a little more.
const SECOND: Duration = Duration::from_millis(1_100);
/// The shortest window there is.
const WINDOW: RevocationMode = RevocationMode::RenewWindow { minutes: 1 };
/// A renewal must not be felt; a download with a limited rate, on a busy machine, has small pauses of its own.
const UNNOTICED: Duration = Duration::from_millis(250);
/// What holds older tokens is cut after 20 s: a session that outlives this has really renewed.
const AFTER_THE_CUT: Duration = Duration::from_secs(21);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let url = Url { path: nginx::DOWNLOAD.to_owned(), ..world.page(plan::OFFICE_WEB, PORT_OPEN) };
    let download = Download::start(world.alice.namespace(), &url)?;
    let echo = world.echo_to_office(&world.alice)?;
    download.wait_for_more(1 << 20, SOON)?;

    for (mode, name) in [(RevocationMode::RenewNow, "renewNow"), (WINDOW, "renewWindow")] {
        // Tokens are told apart by their expiry, in whole seconds: the ones before must not be of the same second.
        let orders = std::time::Instant::now();
        wait::until("another second", SOON, || orders.elapsed() > SECOND)?;
        let before = world.alice.status()?;
        world.operator()?.revoke(ALICE.name, mode)?;
        let took =
            wait::until("new tokens", SOON, || world.alice.status().is_ok_and(|now| all_replaced(&before, &now)))?;
        step.proved(&format!("ringctl device revoke, {name}: every token was replaced"));
        step.took(&format!("{name}: order until all tokens are new"), took);
    }
    let start = std::time::Instant::now();
    wait::until("the cut of what did not renew", AFTER_THE_CUT * 2, || start.elapsed() >= AFTER_THE_CUT)?;
    download.wait_for_more(1 << 20, SOON)?;

    let report = echo.stop()?;
    ensure!(report.lost.is_empty(), "packets were lost: {report}");
    step.proved(&format!("not one of {} echoes was lost", report.sent));
    let report = download.stop()?;
    ensure!(report.broken.is_none() && report.longest_stall < UNNOTICED, "the download noticed: {report:?}");
    step.proved(&format!("the download ran on; its longest pause was {}", seconds(report.longest_stall)));
    Ok(())
}

/// True once no token of `before` is in use any more and the same Sites are connected, by the same tunnels.
fn all_replaced(before: &Status, now: &Status) -> bool {
    let claims = |status: &Status| status.expiries.as_ref().map(|expiries| expiries.claims.clone());
    let claims_new = claims(now).is_some() && claims(now) != claims(before);
    let site_new = |old: &SiteStatus| {
        let same = now.sites.iter().find(|new| new.name == old.name);
        same.is_some_and(|new| new.is_connected() && new.expires != old.expires && new.reconnects == old.reconnects)
    };
    claims_new && before.sites.iter().all(site_new)
}
