//! A partner's people come from the partner's own LDAP directory: a further factor at the first sign-in only, and one
//! device each.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    demo::{
        plan::{self, LENA, LENAS_OTHER_DEVICE, PARTNER_PROVIDER, PORT_OPEN},
        world::World,
    },
    lab::{
        probe::{ConnectFailure, http_get, tcp_connects},
        servers::nginx,
    },
    product::Client,
    report::Step,
};

const SOON: Duration = Duration::from_secs(10);
/// For what must not be reached: several repetitions of the first packet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the step.
pub(crate) fn run(world: &mut World<'_>, step: &mut Step) -> Result<()> {
    let link = world.operator()?.profile_link(PARTNER_PROVIDER)?;
    let codes = world.operator()?.one_time_passwords_at(LENA.name, PARTNER_PROVIDER)?;
    let mut lena = Client::new(world.lab, LENA.name);
    lena.add_profile(&link)?;

    let without = lena.sign_in_once(LENA.name, LENA.password, "")?;
    ensure!(!without.status.success(), "a first sign-in without the further factor succeeded");
    let code = format!("{}\n", codes.generate_current());
    lena.sign_in_once(LENA.name, LENA.password, &code)?.success()?;
    step.proved("an LDAP user's first sign-in asks for a one-time password too");

    let took = lena.up(LENA.name, LENA.password, &["office"])?;
    step.proved("the same device's next sign-in asks for the password only");
    step.took("sign-in of an LDAP user until the tunnel carries", took);
    let reply = http_get(lena.namespace(), &world.page(plan::OFFICE_WEB, PORT_OPEN), SOON)?;
    ensure!(reply.body == nginx::page(plan::OFFICE_WEB, PORT_OPEN), "the page says {reply:?}");
    let closed = world.page(plan::OFFICE_WEB, plan::PORT_OTP).address;
    let attempt = tcp_connects(lena.namespace(), closed, PATIENCE)?;
    ensure!(attempt == Err(ConnectFailure::Silence), "a page for employees: {attempt:?}");
    step.proved("what a group in a group of the directory is entitled to is reached, and nothing else");

    let other = Client::new(world.lab, LENAS_OTHER_DEVICE);
    other.add_profile(&link)?;
    let refused = other.sign_in_once(LENA.name, LENA.password, &code)?;
    let said = format!("{}{}", refused.stdout, refused.stderr);
    ensure!(!refused.status.success() && said.contains("registered devices"), "the second device heard: {said}");
    step.proved("a second device is refused: the provider's limit is one");
    lena.down()
}
