//! Step 1: a Collective is founded, two Controllers join, state is loaded, three Gateways join from seed files.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::{
        plan::{CONTROLLERS, DIRECTORY_AUTHORITY, GATEWAYS, ORDER_FILE},
        world::World,
    },
    lab::wait,
    product::{
        Administrator, Controller, Founding, Gateway, Ringctl,
        controller::{PEER_PORT, socket},
        gateway,
    },
    report::Step,
};

/// The first administrator.
const ADMINISTRATOR: &str = "operator";
/// The administrator's password.
const PASSWORD: &str = "the operator has a long password";

/// The state, as the operator wrote it.
const STATE: &str = include_str!("state.yaml");

/// A joined Controller becomes a voter once it has caught up for 10 s.
const VOTERS: Duration = Duration::from_secs(60);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let lab = world.lab;
    let founding = Founding { collective: "demo", administrator: ADMINISTRATOR, password: PASSWORD };
    let (first, founded) = Controller::found(lab, CONTROLLERS[0], &founding)?;
    world.controllers.push(first);
    world.ca_fingerprint = founded.ca_fingerprint;
    step.proved("ringwall-controller init: a Collective of one Controller serves");

    let operator = sign_in(world, CONTROLLERS[0])?;
    for name in &CONTROLLERS[1..] {
        let seed = operator.add_controller(name, &socket(lab, name, PEER_PORT))?;
        world.controllers.push(Controller::join(lab, name, &seed, &operator)?);
        ensure!(!seed.exists(), "{name} left its seed file behind");
    }
    wait::until_ok("three Controllers and one leader", VOTERS, || {
        let status = operator.status()?;
        ensure!(status.voters() == CONTROLLERS.len() && status.leader.is_some(), "{status:?}");
        Ok(())
    })?;
    step.proved("ringwall-controller join, ringctl collective admit: three Controllers vote, one of them leads");

    let state = lab.directory().join("state.yaml");
    let text = STATE.replace(ORDER_FILE, &world.order_file().to_string_lossy());
    // As text of one line in double quotes, which YAML reads like JSON.
    let text = text.replace(DIRECTORY_AUTHORITY, &serde_json::to_string(world.directory.authority())?);
    fs::write(&state, text).context("write the state for ringctl")?;
    operator.apply(&state)?;
    let again = operator.apply(&state)?;
    step.proved("ringctl apply -f state.yaml, twice: the state is loaded");
    step.doing(again.lines().last().unwrap_or_default());

    for planned in GATEWAYS {
        let client = socket(lab, planned.host, gateway::CLIENT_PORT);
        let seed = operator.add_gateway(planned.host, planned.site, &client)?;
        world.gateways.push(Gateway::start(lab, planned.host, planned.site, &seed)?);
    }
    step.proved("three Gateways joined from seed files");
    let link = operator.profile_link("demo")?;
    world.alice.add_profile(&link)?;
    world.bob.add_profile(&link)?;
    step.proved("both users' Clients know the Collective by its profile link");
    world.operator = Some(operator);
    Ok(())
}

/// Signs the operator in at the Controller of a host.
pub(crate) fn sign_in<'lab>(world: &World<'lab>, host: &str) -> Result<Ringctl<'lab>> {
    let administrator =
        Administrator { name: ADMINISTRATOR, password: PASSWORD, ca_fingerprint: &world.ca_fingerprint };
    Ringctl::sign_in(world.lab, host, &administrator)
}
