//! The process: everything put together, in an order in which nothing is open before it is closed.
//!
//! 0. what the machine has to have: data directory, ports, TUN, nftables;
//! 1. identity (joining if need be), first view of the Collective;
//! 2. firewall: drops everything;
//! 3. TUN device, workers, routes, forwarding;
//! 4. registry and feed: no lease yet, nobody is admitted;
//! 5. listeners, once the first lease is held.
//!
//! On SIGTERM the reverse. Killed, the kernel's table stays and drops.

mod arbiters;
mod preflight;
mod start;

use std::os::unix::process::CommandExt as _;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use anyhow::Context;
use ringwall_actors::feed::FeedOutbox;
use ringwall_actors::registry::Registry;
use ringwall_actors::registry::{AskHealth, Drain};
use ringwall_kernel::descriptors;
use ringwall_startup::StopSignals;

use self::start::Running;
use crate::config::Config;
use crate::firewall::Enforcer;

/// Sessions that do not let go within this are left to the kernel.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the registry is asked whether it still runs, and for its load.
const PULSE: Duration = Duration::from_secs(10);

/// Why the process ends when the host watcher has stopped.
const UNWATCHED: &str = "the host watcher has stopped";

/// How the process ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to.
    Stopped,
    /// The firewall must be shaped anew: begin again from the start.
    Reshape,
    /// A promise cannot be kept any more.
    Broken(String),
}

/// Runs until a signal, or until something makes it impossible to go on.
///
/// # Errors
/// If the Gateway cannot be started.
pub fn run(config: Config) -> anyhow::Result<Outcome> {
    let metrics =
        metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().context("install metrics")?;
    if let Err(error) = descriptors::raise_limit() {
        tracing::warn!(%error, "connections wait when descriptors run out");
    }
    actix_rt::System::new().block_on(async move {
        let mut signals = StopSignals::take().context("taking SIGINT and SIGTERM")?;
        let mut running = tokio::select! {
            running = start::start(config, metrics) => running?,
            () = signals.told() => return Ok(Outcome::Stopped),
        };
        let pulse = pulse(running.registry.clone(), running.firewall.enforcer(), Arc::clone(&running.outbox));
        let outcome = tokio::select! {
            () = signals.told() => Outcome::Stopped,
            () = &mut running.reshaped => Outcome::Reshape,
            what = &mut running.broken => Outcome::Broken(what.unwrap_or_else(|_| UNWATCHED.to_owned())),
            what = pulse => Outcome::Broken(what),
        };
        tracing::info!(?outcome, "stopping");
        drain(running).await;
        Ok(outcome)
    })
}

/// Replaces this process by a new one with the same arguments; returns only if that failed.
#[must_use]
pub fn re_execute() -> std::io::Error {
    match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    }
}

/// Tells the Controllers of the load; answers if the registry is gone.
async fn pulse(registry: Addr<Registry>, enforcer: Enforcer, outbox: Arc<FeedOutbox>) -> String {
    let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    loop {
        tokio::time::sleep(PULSE).await;
        let Some(sessions) = alive(&registry).await else {
            return "the session registry has stopped".to_owned();
        };
        outbox.load(counted(sessions), counted(enforcer.rule_sets()));
    }
}

/// How many sessions there are; `None` if the registry is gone.
async fn alive(registry: &Addr<Registry>) -> Option<usize> {
    registry.send(AskHealth).await.ok().map(|health| health.sessions)
}

/// Sessions are told and cut, the kernel lets go of them, forwarding ends, workers stop.
async fn drain(running: Running) {
    match tokio::time::timeout(DRAIN, running.registry.send(Drain)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!("the session registry is gone; the kernel's rules expire by themselves"),
        Err(_) => tracing::error!("sessions did not end in time; the kernel's rules expire by themselves"),
    }
    if let Err(error) = running.firewall.disable_forwarding() {
        tracing::error!(%error, "cannot disable IP forwarding; the nftables table keeps dropping");
    }
    drop(running);
}
