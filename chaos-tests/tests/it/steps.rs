//! Steps of the demonstration can fail: a machine that forwards without a wall is noticed.

use anyhow::Result;
use ringwall_chaos_tests::{
    demo::{before_sign_in, plan, world::World},
    lab::Lab,
    report::Report,
};

/// Runs step 2 on machines without the product; true if it held.
fn nothing_is_reached(lab: &Lab) -> Result<bool> {
    let mut world = World::new(lab)?;
    let mut report = Report::stdout();
    report.step("nothing is reached", |step| before_sign_in::run(&mut world, step));
    Ok(!report.summary().failed())
}

#[test]
fn machines_that_do_not_forward_let_nothing_through() -> Result<()> {
    assert!(nothing_is_reached(&Lab::start(plan::topology())?)?);
    Ok(())
}

#[test]
fn one_machine_that_forwards_is_noticed_even_if_no_answer_comes_back() -> Result<()> {
    let lab = Lab::start(plan::topology())?;
    lab.host("office-gw2").sysctl("net.ipv4.ip_forward", "1")?;
    assert!(!nothing_is_reached(&lab)?);
    Ok(())
}
