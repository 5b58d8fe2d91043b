//! What keeps a program from starting is said in three parts: what failed, why, and what to do. Nothing is lost by it: once
//! the cause is gone, the same program starts on the same data.

mod client;
mod controller;
mod gateway;
mod ringctl;

use std::time::Duration;

use anyhow::{Result, ensure};
use ringwall_chaos_tests::lab::{
    Lab,
    command::{Program, binary_path},
    topology::{Host, Topology},
};

/// The only host.
const HOST: &str = "machine";
/// IPv4 address of the only host, on the network of its own lab.
const ADDRESS: &str = "10.77.1.11";
/// For a program to find out that it cannot start.
const SOON: Duration = Duration::from_secs(30);
/// Takes every capability from a program that root starts; its files are still root's.
const WITHOUT_CAPABILITIES: [&str; 4] = ["--bounding-set", "-all", "--inh-caps", "-all"];

fn one_host() -> Topology {
    Topology::new().network("wan", "10.77.1.0/24", "fd77:1::/64").host(Host::new(HOST).on("wan", 11))
}

/// A program of ours without capabilities, as one that somebody else than root starts.
fn without_capabilities(name: &str, binary: &str) -> Result<Program> {
    Ok(Program::system(name, "setpriv").args(WITHOUT_CAPABILITIES).arg("--").arg(binary_path(binary)?))
}

/// A program of ours in mounts of its own, made by `script`, whose parameters `$1` and so on are `parameters`; what is added
/// are the program's arguments.
pub(crate) fn with_mounts(name: &str, script: &str, parameters: &[&str], binary: &str) -> Result<Program> {
    let script = format!("{script} && shift {} && exec \"$@\"", parameters.len());
    let program = Program::with_own_mounts(name, &[], &script).args(parameters.iter().copied());
    Ok(program.arg(binary_path(binary)?))
}

/// Runs a program that must not start; answers what it said.
fn refused(lab: &Lab, program: &Program) -> Result<String> {
    let ended = lab.run(HOST, program, SOON)?;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(ended.status.code().is_some_and(|code| code != 0), "{} ended with {}: {said}", ended.line, ended.status);
    ensure!(!said.contains("panicked"), "{said}");
    Ok(said)
}

/// Every part is in the message.
fn says(said: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(said.contains(part), "{part:?} is missing in: {said}");
    }
    Ok(())
}
