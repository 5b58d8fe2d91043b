//! The whole product on real packets: the steps of the demonstration, as a test. Needs root, and the product's binaries
//! beside the tests' (`cargo build --workspace --bins`).

mod admin_api;
mod administrators_key;
mod applying;
mod certificate;
mod clocks;
mod dual_control;
mod expiry;
mod full_disk;
mod gateway_keys;
mod names;
mod reevaluation;
mod removed_device;
mod ringctl;
mod shared_keys;
mod spoofed_syns;
mod stage;
mod start_up;
mod what_if;

use anyhow::Result;
use ringwall_chaos_tests::{
    demo::{self, plan},
    lab::Lab,
    report::Report,
};

#[test]
fn every_step_of_the_demonstration_holds() -> Result<()> {
    let lab = Lab::start(plan::topology())?;
    let mut report = Report::stdout();
    let world = demo::perform(&lab, &mut report)?;
    report.print_summary();
    assert!(!report.summary().failed(), "a step failed:\n{}", world.wreck());
    Ok(())
}
