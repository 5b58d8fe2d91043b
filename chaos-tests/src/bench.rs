//! Benchmarks: the figures of the design, measured in the lab with the product's own programs, beside plain forwarding by
//! the kernel over the same hops.
//!
//! Each figure is the median of several runs, taken in turns with its peer's, so that both see the same machine; where a
//! key says `p95`, `p99` or `max`, it is that of all samples. The result is printed and written as `bench/summary.json`
//! beside the binaries and in the checkout.

pub(crate) mod figure;
mod knocks;
mod policy;
mod revocation;
mod sign_in;
mod tunnel;

use std::{collections::BTreeSet, env, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    bench::figure::Figures,
    demo::{
        bring_up,
        plan::{self, ALICE},
        world::World,
    },
    lab::{Lab, command::binary_path},
    report::Report,
};

/// Runs of each measurement.
const RUNS: usize = 5;
/// With `QUICK`.
const QUICK_RUNS: usize = 3;

/// Measures everything.
pub fn run(quick: bool) -> Result<ExitCode> {
    let runs = if quick { QUICK_RUNS } else { RUNS };
    let mut report = Report::stdout();
    let mut figures = Figures::default();
    report.step("Decisions", |step| policy::measure(runs, step, &mut figures));
    report.step("Knocks under a flood of junk", |step| knocks::measure(runs, step, &mut figures));
    report.step("Sign-ins at one Controller", |step| sign_in::measure(runs, step, &mut figures));
    report.step("Revocations of live sessions", |step| revocation::measure(quick, step, &mut figures));
    let lab = Lab::start(plan::topology()).context("lay out the lab")?;
    let bare = Lab::start(plan::bare_topology()).context("lay out the lab without a wall")?;
    let mut world = World::new(&lab)?;
    report.step("The Collective comes up", |step| bring_up::run(&mut world, step));
    report.step("Sign-in", |step| {
        let mut samples = Vec::new();
        for _ in 0..runs {
            samples.push(world.alice.up(ALICE.name, ALICE.password, &["office", "lab"])?.as_secs_f64() * 1e3);
        }
        figures.add(step, "signin.tunnels", "ms", &samples)
    });
    report.step("The tunnel beside kernel forwarding", |step| tunnel::measure(&world, &bare, runs, step, &mut figures));
    report.print_summary();
    // Beside the binaries, and in the checkout where it is looked for.
    for directory in BTreeSet::from([directory()?, env::current_dir()?.join("target/bench")]) {
        let path = figures.write(&directory)?;
        report.say(&format!("written to {}", path.display()));
    }
    Ok(report.exit_code())
}

/// `bench` in cargo's target directory: beside the directory of the binaries.
fn directory() -> Result<PathBuf> {
    let own = binary_path("ringwall-bench")?;
    let target = own.ancestors().nth(2).context("the binaries stand in <target>/<profile>")?;
    Ok(target.join("bench"))
}
