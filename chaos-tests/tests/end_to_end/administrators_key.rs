//! The admin port of a new Collective is dark; an administrator reaches it from another machine with a key of his own (T53).

use anyhow::{Result, ensure};
use ringwall_chaos_tests::{
    lab::{
        Lab,
        probe::{ConnectFailure, tcp_connects},
    },
    product::{
        Administrator, Controller, Founding, Ringctl,
        controller::{ADMIN_PORT, socket},
    },
};

use crate::stage::{self, ALICE, CONTROLLER, PATIENCE};

/// How `ringctl` ends where nothing answers.
const UNREACHABLE: i32 = 3;

#[test]
fn an_administrator_reaches_a_dark_admin_port_with_a_key_of_his_own() -> Result<()> {
    let lab = Lab::start(stage::topology())?;
    let founding =
        Founding { collective: "dark", administrator: "operator", password: "the operator has a long password" };
    let (_controller, founded) = Controller::found(&lab, CONTROLLER, &founding)?;
    let administrator = Administrator {
        name: founding.administrator,
        password: founding.password,
        ca_fingerprint: &founded.ca_fingerprint,
    };
    let at = socket(&lab, CONTROLLER, ADMIN_PORT);
    let desk = lab.host(ALICE);
    let dark = tcp_connects(desk, at.parse()?, PATIENCE)?;
    ensure!(dark == Err(ConnectFailure::Silence), "{dark:?}");

    let (_, without) = Ringctl::sign_in_at(&lab, ALICE, &at, &administrator, None)?;
    ensure!(without.status.code() == Some(UNREACHABLE), "without a key: {without:?}");
    ensure!(without.stderr.contains("--knock-key-file"), "it says what is missing: {without:?}");
    // The key of a Collective that nobody knows here.
    let (_, wrong) = Ringctl::sign_in_at(&lab, ALICE, &at, &administrator, Some(&"A".repeat(128)))?;
    ensure!(wrong.status.code() == Some(UNREACHABLE), "with a wrong key: {wrong:?}");

    let (operator, with) = Ringctl::sign_in_at(&lab, ALICE, &at, &administrator, Some(&founded.knock_key))?;
    with.success()?;
    let status = operator.read(&["collective", "status"])?;
    ensure!(status["weaker"].as_array().is_some_and(Vec::is_empty), "a new Collective is dark: {status}");
    // From then on the session file has a key of this machine's own.
    let (operator, again) = Ringctl::sign_in_at(&lab, ALICE, &at, &administrator, None)?;
    again.success()?;
    operator.status()?;
    let dark = tcp_connects(desk, at.parse()?, PATIENCE)?;
    ensure!(dark == Err(ConnectFailure::Silence), "the port was open for proved connections only: {dark:?}");

    operator.read(&["get", "global-settings"])?;
    Ok(())
}
