//! Processes of the lab are started, frozen, killed, restarted, and their words kept.

use std::time::Duration;

use anyhow::Result;
use ringwall_chaos_tests::lab::{Lab, command::Program, wait};
use rustix::process::Signal;

use crate::plan::one_host;

const SOON: Duration = Duration::from_secs(10);

/// A shell that prints its namespace's interfaces, then a number once every 10 ms.
const TALKER: &str =
    "ls /sys/class/net /proc/self/net/dev_mcast; n=0; while :; do echo tick $n; n=$((n+1)); sleep 0.01; done";

fn talker() -> Program {
    Program::system("talker", "sh").args(["-c", TALKER])
}

#[test]
fn a_killed_process_ends_and_a_restart_goes_on_in_the_same_log() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let mut process = lab.spawn("alone", talker())?;
    process.wait_logged("tick 3", SOON)?;

    process.kill()?;
    assert!(!process.is_running()?);
    let position = process.log().position();
    process.restart()?;

    process.log().wait_for_after(position, "tick 3", SOON)?;
    assert!(process.is_running()?);
    Ok(())
}

#[test]
fn a_stopped_process_is_silent_until_it_is_continued() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let mut process = lab.spawn("alone", talker())?;
    process.wait_logged("tick 0", SOON)?;

    process.signal(Signal::STOP)?;
    let state = format!("/proc/{}/stat", process.id().number());
    wait::until("the process to stop", SOON, || {
        std::fs::read_to_string(&state).is_ok_and(|stat| stat.contains(") T "))
    })?;
    let position = process.log().position();
    let word = process.log().wait_for_after(position, "tick", Duration::from_millis(200));
    assert!(word.is_err(), "a stopped process said {word:?}");

    process.signal(Signal::CONT)?;
    process.log().wait_for_after(position, "tick", SOON)?;
    process.terminate(SOON)?;
    assert!(!process.is_running()?);
    Ok(())
}

#[test]
fn a_process_that_dies_early_is_reported_with_its_last_words() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let mut process = lab.spawn("alone", Program::system("doomed", "sh").args(["-c", "echo no such port; exit 3"]))?;
    let error = process.wait_listening(80, SOON).expect_err("it never listens");
    let text = format!("{error:#}");
    assert!(text.contains("exit status: 3") && text.contains("no such port"), "{text}");
    Ok(())
}

#[test]
fn errors_in_logs_are_collected_unless_allowed() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let script = "echo '2026-01-01T00:00:00Z ERROR part: wall is open'; echo '2026-01-01T00:00:01Z  INFO part: fine'";
    lab.spawn("alone", Program::system("loud", "sh").args(["-c", script]))?.wait(SOON)?;
    assert_eq!(lab.errors(&[])?, ["loud: 2026-01-01T00:00:00Z ERROR part: wall is open"]);
    assert_eq!(lab.errors(&["wall is open"])?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_program_runs_to_its_end_in_the_namespace_with_input_and_both_outputs() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let program = Program::system("once", "sh")
        .args(["-c", "read word; echo $word $NAME; ip -brief link show wan >&2; exit 4"])
        .env("NAME", "value")
        .input("secret\n");
    let finished = lab.run("alone", &program, SOON)?;
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(4), "secret value\n"));
    assert!(finished.stderr.starts_with("wan@"), "only the lab's machine has this interface: {}", finished.stderr);
    let error = finished.success().expect_err("exit code 4 is a failure");
    assert!(error.to_string().contains("exit status: 4"), "{error}");
    Ok(())
}

#[test]
fn a_program_that_does_not_end_is_ended() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let error = lab.run("alone", &talker(), Duration::from_millis(200)).expect_err("it talks for ever");
    assert!(format!("{error:#}").contains("tick 1"), "its output is part of the error: {error:#}");
    Ok(())
}
