//! Step 4: pages behind conditions. The request hangs, the user is asked, answers, and the *same* connection completes.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    demo::{
        plan::{self, ALICE, PORT_MESSAGE, PORT_OTP, PORT_PASSWORD, PORT_REASON},
        world::World,
    },
    lab::{
        probe::{Capture, WaitingRequest},
        servers::nginx,
    },
    product::Prompt,
    report::Step,
};

/// For the question to arrive, and for the answer to take effect.
const SOON: Duration = Duration::from_secs(10);
/// The Client looks at its device every few seconds, and a waiting connection repeats its first packet ever more rarely.
const RETRY: Duration = Duration::from_secs(60);
/// How long the request is watched to hang.
const HANGS: Duration = Duration::from_millis(300);
/// How long the request itself would wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let codes = world.operator()?.one_time_passwords(ALICE.name)?;
    behind_condition(world, step, PORT_OTP, "OtpAuthentication", |prompt| {
        let code = codes.generate_current().to_string();
        world.alice.answer(prompt, &code)
    })?;
    step.proved("one-time password: new claims token, new rules, the same connection completed");

    behind_condition(world, step, PORT_PASSWORD, "PasswordAuthentication", |prompt| {
        world.alice.answer(prompt, ALICE.password)
    })?;
    step.proved("password: likewise");

    behind_condition(world, step, PORT_REASON, "Reason", |prompt| {
        world.alice.answer(prompt, "the auditors are in the house")
    })?;
    step.proved("reason: told to the Gateway, the same connection completed");

    behind_condition(world, step, PORT_MESSAGE, "DisplayMessage", |prompt| {
        ensure!(prompt.message.contains("not in order"), "the message does not say what to do: {prompt:?}");
        fs::write(world.order_file(), "in order\n").context("put the device in order")
    })?;
    step.proved("message: the user mended the device, the same connection completed");
    Ok(())
}

/// Asks for a page, waits for the question, answers, and holds that the one connection was used all the time.
fn behind_condition(
    world: &World<'_>,
    step: &mut Step,
    port: u16,
    kind: &str,
    answer: impl FnOnce(&Prompt) -> Result<()>,
) -> Result<()> {
    let url = world.page(plan::OFFICE_WEB, port);
    let at_host =
        Capture::start(world.host(plan::OFFICE_WEB), move |packet| packet.ports.is_some_and(|(_, to)| to == port))?;
    let asked = Instant::now();
    let request = WaitingRequest::start(world.alice.namespace(), &url, PATIENCE)?;
    let prompt = world.alice.wait_prompt(kind, SOON)?;
    step.took(&format!("{kind}: first packet until the question"), asked.elapsed());
    request.must_hang_for(HANGS)?;
    ensure!(at_host.packets().is_empty(), "packets passed before the answer");

    let answered = Instant::now();
    answer(&prompt)?;
    let reply = request.answer(RETRY)?;
    ensure!(reply.body == nginx::page(plan::OFFICE_WEB, port), "the page says {reply:?}");
    let first = at_host.stop()?.first().map(|packet| packet.at);
    let first = first.context("the page was loaded by packets that nobody saw")?;
    step.took(&format!("{kind}: answer until the connection's next packet passed"), first - answered);
    Ok(())
}
