//! Signing in on a machine without a browser: the page is opened on another one, and the address that its browser came to,
//! where nobody listens, is pasted.

use std::{fs::OpenOptions, io::Write, time::Duration};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{browser::Browser, command::Program, process::Process};

use crate::{
    place::{ALICE, BOB, Place},
    provider::{Provider, go_through},
};

const END: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(30);

/// A sign-in whose standard input is a pipe that the test writes to; the process, and the page that it names.
fn sign_in(place: &Place, pipe: &str) -> Result<(Process, std::fs::File, String)> {
    let path = place.lab.directory().join(pipe);
    let made = std::process::Command::new("mkfifo").arg(&path).status()?;
    ensure!(made.success(), "no pipe");
    let client = place.client(ALICE)?;
    let line = format!(
        "exec {} sign-in --no-browser --key-type p256 --profile sso < {}",
        client.line(),
        path.to_str().context("text")?
    );
    // Both ends, so that the shell finds one.
    let input = OpenOptions::new().read(true).write(true).open(&path)?;
    let program = Program::system(client.name(), "sh").args(["-c", &line]);
    let mut process = place.lab.spawn(ALICE, program)?;
    process.wait_ready("a page for the browser", SOON, |process| !process.log().lines_with("https://").is_empty())?;
    let page = process.log().lines_with("https://").pop().context("a page")?;
    Ok((process, input, page.trim().to_owned()))
}

#[test]
fn where_there_is_no_browser_the_address_that_another_one_came_to_is_pasted() -> Result<()> {
    let place = Place::found()?;
    let operator = place.operator()?;
    let provider = Provider::start(&place.lab)?;
    place.apply(&operator, &provider.objects())?;
    place.add_profile(&operator, ALICE, "sso")?;
    let browser = Browser::start(&place.lab, BOB)?;

    let (mut signing_in, mut input, page) = sign_in(&place, "first")?;
    ensure!(!signing_in.log().lines_with("paste the address").is_empty(), "{}", signing_in.log().text());
    let came_to = go_through(&browser, &page, "Alice")?;
    ensure!(signing_in.is_running()?, "the browser came to its own machine, where nobody listens");
    writeln!(input, "{came_to}")?;
    ensure!(signing_in.wait(END)?.success(), "{}", signing_in.log().text());
    let devices = operator.read(&["device", "list"])?;
    assert!(devices[0]["distinguishedName"].as_str().context("a device")?.ends_with(",CN=alice,OU=sso"), "{devices}");

    // What belongs to another sign-in is known before anybody is asked.
    let redeemed = provider.redeemed(&place)?;
    let (mut other, mut input, _) = sign_in(&place, "second")?;
    writeln!(input, "{came_to}")?;
    assert_eq!(other.wait(END)?.code(), Some(64), "{}", other.log().text());
    ensure!(!other.log().lines_with("does not belong to this sign-in page").is_empty(), "{}", other.log().text());
    assert_eq!(provider.redeemed(&place)?, redeemed);
    assert_eq!(place.lab.errors(&[])?, Vec::<String>::new());
    Ok(())
}
