//! The demonstration: the whole product on this one machine, step by step, asserting on packets.
//!
//! Each step is a file with one function: what it does with the product's programs, and what probes must see. The
//! end-to-end tests run the same steps.

pub mod plan;
pub mod world;

pub mod before_sign_in;
pub(crate) mod bring_up;
pub(crate) mod controller_loss;
pub(crate) mod darkness;
pub(crate) mod gateway_loss;
pub(crate) mod partner;
pub(crate) mod renewal;
pub(crate) mod revocation;
pub mod sign_in;
pub(crate) mod step_up;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    demo::world::World,
    lab::{Lab, LabOptions, record::Registry},
    report::Report,
};

/// The lab's name: there is one demonstration on a machine at a time.
pub(crate) const LAB: &str = "demo";

/// Runs all steps; with `keep` the lab stays up.
pub fn run(keep: bool) -> Result<ExitCode> {
    let mut report = Report::stdout();
    report.say("Ringwall: the whole product in a lab of network namespaces on this machine.");
    let options = LabOptions { name: Some(LAB.to_owned()), may_be_kept: keep };
    let lab = Lab::with_options(plan::topology(), options).context("lay out the lab")?;
    undo_when_interrupted(&lab)?;
    report.say(&format!("The lab '{LAB}' stands; logs are in {}.", lab.directory().display()));
    let world = perform(&lab, &mut report)?;
    if report.summary().failed() {
        report.say(&world.wreck());
    }
    report.print_summary();
    if keep {
        lab.keep()?;
        report.say(&world.hints());
    }
    Ok(report.exit_code())
}

/// Runs all steps in a lab of `plan::topology`.
pub fn perform<'lab>(lab: &'lab Lab, report: &mut Report) -> Result<World<'lab>> {
    let mut world = World::new(lab)?;
    report.step("The Collective comes up", |step| bring_up::run(&mut world, step));
    report.step("Without a sign-in there is nothing to reach", |step| {
        darkness::before_any_knock(&world, step)?;
        before_sign_in::run(&mut world, step)
    });
    report.step("A user signs in and gets exactly what policies give", |step| sign_in::run(&mut world, step));
    report.step("A partner's people come from their own directory", |step| partner::run(&mut world, step));
    report.step("Conditions ask the user, and the waiting packet passes", |step| step_up::run(&mut world, step));
    report.step("Tokens are renewed under traffic, unnoticed", |step| renewal::run(&mut world, step));
    report.step("A revocation cuts at once", |step| revocation::run(&mut world, step));
    report.step("The leading Controller dies", |step| controller_loss::run(&mut world, step));
    report.step("The Gateway that carries the session dies", |step| gateway_loss::run(&mut world, step));
    report.step("Nothing broke its promise meanwhile", |step| world.check_logs(step));
    Ok(world)
}

/// Removes every lab that nobody uses; kept ones included.
pub fn clean() -> Result<Vec<String>> {
    Registry::lock()?.clean_all()
}

/// A Ctrl-C removes the lab before the program ends.
fn undo_when_interrupted(lab: &Lab) -> Result<()> {
    let id = lab.id();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        let interrupted = runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                result = tokio::signal::ctrl_c() => result,
                _ = terminate.recv() => Ok(()),
            }
        });
        if interrupted.is_ok() {
            // What cannot be undone now is undone by the next run.
            let _ = Registry::lock().and_then(|registry| registry.undo(&id));
            std::process::exit(130);
        }
    })?;
    Ok(())
}
