//! What happens because time passes: the leader moves revocations on and keeps house; every Controller tends its own
//! keys; the one that holds the root signs intermediates; the leader makes members of those who joined.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::membership::ControllerRecord;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_raft::state::member::{ChangeControllerState, SetIssuers};
use ringwall_raft::{Command, Role, State};
use ringwall_trust::ca::RootCa;
use ringwall_trust::identity::{IssuerKind, VerifiedRequest};
use ringwall_trust::secret::SystemRandom;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::clock;
use crate::controller::Controller;
use crate::issuing::check;
use crate::peers::other_controllers;
use crate::refusal::Refusal;
use crate::setup::config::Advertise;

/// How often revocations are looked at: the promise of `renewNow` stands on it.
const TICK: Duration = Duration::from_millis(500);
/// How often everything else is.
const CHORES: Duration = Duration::from_secs(60);

/// Does its duties until told to stop.
pub(crate) async fn run(
    controller: Arc<Controller>,
    root: Option<RootCa>,
    advertise: Advertise,
    stop: watch::Receiver<bool>,
) {
    // Apart, so that none waits for another: a change of the group takes seconds, the promise of `renewNow` does not.
    tokio::join!(
        move_revocations(&controller, stop.clone()),
        tend_group(&controller, stop.clone()),
        tend_self(&controller, root.as_ref(), &advertise, stop),
    );
}

/// Returns false when it is time to stop.
async fn next_tick(tick: &mut Interval, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = tick.tick() => true,
        _ = stop.wait_for(|stop| *stop) => false,
    }
}

fn ticks() -> Interval {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

fn leads(controller: &Controller) -> bool {
    controller.replica.status().role == Role::Leader && controller.replica.state().collective().is_some()
}

async fn move_revocations(controller: &Controller, mut stop: watch::Receiver<bool>) {
    let mut tick = ticks();
    let mut chores_at = Instant::now();
    while next_tick(&mut tick, &mut stop).await {
        if !leads(controller) {
            continue;
        }
        let state = controller.replica.state();
        log("moving revocations on", propose_all(controller, state.revocations_due(clock::now())).await);
        if chores_at <= Instant::now() {
            chores_at = Instant::now() + CHORES;
            keep_house(controller, &state).await;
        }
    }
}

/// What is over is forgotten, by a clock that is not suspect (T69).
async fn keep_house(controller: &Controller, state: &State) {
    let Some(now) = controller.clock.forgetting() else {
        metrics::counter!("ringwall_housekeeping_total", "outcome" => "withheld").increment(1);
        return;
    };
    log("keeping house", propose_all(controller, state.chores_due(now)).await);
    metrics::counter!("ringwall_housekeeping_total", "outcome" => "done").increment(1);
}

async fn tend_group(controller: &Controller, mut stop: watch::Receiver<bool>) {
    let mut tick = ticks();
    while next_tick(&mut tick, &mut stop).await {
        if leads(controller) {
            log("tending the group", lead(controller, &controller.replica.state()).await);
            log("rotating shared keys", controller.key_rotation.lead().await);
        }
    }
}

async fn tend_self(
    controller: &Arc<Controller>,
    root: Option<&RootCa>,
    advertise: &Advertise,
    mut stop: watch::Receiver<bool>,
) {
    let mut tick = ticks();
    let mut applied = controller.replica.watch_applied();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // A Controller that joins waits for signatures: look as soon as something was applied.
            changed = applied.changed(), if root.is_some() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let state = controller.replica.state();
        if state.collective().is_none() {
            continue;
        }
        log("tending shared keys", controller.key_rotation.tend_own(root).await);
        // By a clock that others do not confirm no certificate is made and no key replaced: it would be of another time.
        if !controller.clock.state().verdict.is_suspect() {
            if let Some(root) = root {
                log("signing intermediates", sign_waiting(controller, root, &state).await);
            }
            log("tending the signing key", controller.own_keys.tend_signing_key(clock::now()).await);
            log("tending the certificate", controller.own_keys.tend_certificate(clock::now()).await);
        }
        log("tending addresses", controller.own_keys.tend_addresses(advertise).await);
    }
}

/// Failures are retried at the next look; without a quorum they are expected.
fn log(what: &str, outcome: Result<(), Refusal>) {
    if let Err(refusal) = outcome {
        tracing::debug!(%refusal, "{what} did not succeed");
    }
}

async fn propose_all(controller: &Controller, commands: Vec<Command>) -> Result<(), Refusal> {
    for command in commands {
        controller.replica.change(command).await?;
    }
    Ok(())
}

async fn lead(controller: &Controller, state: &State) -> Result<(), Refusal> {
    let me = controller.replica.me();
    if state.controller(me).is_some_and(|own| own.state == ApplianceState::Retiring) {
        return hand_over(controller, state).await;
    }
    for record in state.controllers() {
        match record.state {
            ApplianceState::Joining | ApplianceState::Active | ApplianceState::Retiring => {
                include(controller, record).await?;
            }
            _ => exclude(controller, record.node).await?,
        }
    }
    Ok(())
}

/// Makes a Controller that joined a learner, then a voter, then active.
async fn include(controller: &Controller, record: &ControllerRecord) -> Result<(), Refusal> {
    let status = controller.replica.status();
    if !status.voters.contains(&record.node) {
        let included = if status.learners.contains(&record.node) {
            controller.replica.node().promote(record.node).await
        } else {
            controller.replica.node().add_learner(record.node).await
        };
        if let Err(error) = included {
            tracing::debug!(node = %record.node, %error, "controller is not a voter yet");
        }
        return Ok(());
    }
    if record.state == ApplianceState::Joining && record.client_issuer.is_some() {
        controller.replica.change(ChangeControllerState { node: record.node, state: ApplianceState::Active }).await?;
        tracing::info!(node = %record.node, "controller is active");
    }
    Ok(())
}

/// A Controller that retires leads no more: an active voter does, and its duties with it.
async fn hand_over(controller: &Controller, state: &State) -> Result<(), Refusal> {
    let voters = controller.replica.status().voters;
    let others = other_controllers(state, controller.replica.me());
    let Some(next) = others.into_iter().find(|node| voters.contains(node)) else { return Ok(()) };
    controller.replica.node().transfer_leader(next).await.map_err(|error| {
        tracing::warn!(%next, %error, "leadership is not handed over yet");
        Refusal::busy()
    })?;
    tracing::info!(%next, "this controller retires: another one leads");
    Ok(())
}

/// Takes a removed Controller out of the Raft group.
async fn exclude(controller: &Controller, node: NodeId) -> Result<(), Refusal> {
    if !controller.replica.status().has_member(node) {
        return Ok(());
    }
    controller.replica.node().remove_voter(node).await.map_err(|error| {
        tracing::warn!(%node, %error, "controller is not out of the group yet");
        Refusal::busy()
    })
}

/// Signs what Controllers that joined have asked for.
async fn sign_waiting(controller: &Controller, root: &RootCa, state: &State) -> Result<(), Refusal> {
    for record in state.controllers().filter(|one| one.state == ApplianceState::Joining && one.client_issuer.is_none())
    {
        let [Some(client), Some(appliance)] = waiting_requests(state, record) else { continue };
        let collective = check::collective(state)?.id;
        let sign = |request: &VerifiedRequest, kind| {
            root.sign_intermediate(request, collective, record.node, kind, clock::now(), &SystemRandom)
                .map(|certificate| BASE64URL_NOPAD.encode(&certificate))
                .map_err(|error| {
                    tracing::error!(node = %record.node, %error, "intermediate was not signed");
                    Refusal::internal()
                })
        };
        let set = SetIssuers {
            node: record.node,
            client_issuer: sign(&client, IssuerKind::Client)?,
            appliance_issuer: sign(&appliance, IssuerKind::Appliance)?,
        };
        controller.replica.change(set).await?;
        tracing::info!(node = %record.node, "intermediates signed");
    }
    Ok(())
}

/// What a Controller that was admitted has asked for: an intermediate for Clients, and one for appliances.
fn waiting_requests(state: &State, record: &ControllerRecord) -> [Option<VerifiedRequest>; 2] {
    let Some(candidate) = state.candidate(record.appliance).filter(|one| one.node == Some(record.node)) else {
        return [None, None];
    };
    candidate.issuer_requests.each_ref().map(|text| {
        let der = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        VerifiedRequest::verify(&der).ok()
    })
}
