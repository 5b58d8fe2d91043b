//! A device that was removed, its knock key with it: its user hears why, and makes it known again by signing in.

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, probe::http_get, servers::nginx, wait};

use crate::stage::{self, ALICE, SOON, Stage};

#[test]
fn the_user_of_a_removed_device_hears_why_and_signs_in_anew() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::start(&lab, stage::PAGE)?;
    let page = stage.page("web1", 80);
    let dn = stage.client.tokens()?.claims.head.sub.to_string();
    let log = stage.client.log().context("the Client runs")?;
    let position = log.position();
    let removed = stage.operator.attempt(&["device", "remove", &dn])?;
    ensure!(removed.status.success(), "{removed:?}");
    wait::until("the end of the session", SOON, || http_get(lab.host(ALICE), &page, SOON).is_err())?;
    // The device's own key opens nothing any more: what was wrong is heard with the profile's.
    let told = log.wait_for_after(position, "a new sign-in is required", SOON * 2)?;
    ensure!(told.contains("tokenRevoked"), "{told}");

    stage.sign_in()?;
    let reply = http_get(lab.host(ALICE), &page, SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    ensure!(stage.client.tokens()?.claims.head.sub.to_string() == dn, "it is the same device");
    Ok(())
}
