//! A Controller is removed, and with it every key that it knew, under a session that goes on.

use std::time::Instant;

use anyhow::{Result, ensure};
use ringwall_chaos_tests::lab::{
    Lab,
    probe::{EchoProbe, http_get},
    servers::{UdpEcho, nginx},
    wait,
};
use serde_json::Value;

use crate::stage::{self, ALICE, CONTROLLER, OTHER_CONTROLLERS, SOON, Stage};

fn keys(stage: &Stage<'_>) -> Result<Value> {
    Ok(stage.operator.read(&["collective", "status"])?["keys"].take())
}

#[test]
fn keys_that_a_removed_controller_knew_are_replaced_under_a_session_that_goes_on() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let mut stage = Stage::start(&lab, stage::PAGE_AND_ECHO)?;
    let _second = stage.add_controller(OTHER_CONTROLLERS[0], |program| program)?;
    let third = stage.add_controller(OTHER_CONTROLLERS[1], |program| program)?;
    let echo = UdpEcho::start(lab.host("web1"), (stage.protected("web1"), 7))?;
    let probe = EchoProbe::start(lab.host(ALICE), echo.address())?;
    probe.wait_answer_after(Instant::now(), SOON)?;
    let own_key = || std::fs::read(lab.directory().join(CONTROLLER).join("kek.key"));
    let before = own_key()?;

    let removed = stage.operator.attempt(&["collective", "remove", OTHER_CONTROLLERS[1], "--yes"])?;
    ensure!(removed.status.success(), "{removed:?}");
    drop(third);
    wait::until_ok("every shared key is replaced", SOON * 3, || {
        let keys = keys(&stage)?;
        let settled = keys["stage"] == "settled" && keys["generation"] == 2;
        ensure!(settled && keys["membersWithFormerKey"] == Value::Array(vec![]), "{keys}");
        Ok(())
    })?;
    ensure!(own_key()? != before, "the file of the key-encryption key is as before");

    // The Gateway comes back with the key that it was told of, the Client with the tokens that it has.
    let gateway = stage.gateways.first_mut().expect("a Gateway");
    probe.wait_answer_after(Instant::now(), SOON)?;
    gateway.kill()?;
    gateway.restart()?;
    probe.wait_answer_after(Instant::now(), SOON * 2)?;

    let ended = stage.operator.attempt(&["collective", "end-former-keys", "--yes"])?;
    ensure!(ended.status.success(), "{ended:?}");
    ensure!(keys(&stage)?["formerKnockKeys"] == false, "{}", keys(&stage)?);
    probe.wait_answer_after(Instant::now(), SOON)?;
    // What the Collective gives out now opens its ports.
    stage.client.down()?;
    stage.client.add_profile(&stage.operator.profile_link("demo")?)?;
    stage.sign_in()?;
    let reply = http_get(lab.host(ALICE), &stage.page("web1", 80), SOON)?;
    ensure!(reply.body == nginx::page("web1", 80), "{reply:?}");
    Ok(())
}
