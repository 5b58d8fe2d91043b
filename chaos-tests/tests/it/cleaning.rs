//! A lab leaves nothing behind: not when dropped, not when its process is killed; and it touches nobody else's.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::{
    Lab, LabOptions,
    command::Program,
    process_id::ProcessId,
    record::{LabRecord, RECORDS, Registry},
    wait,
};

use crate::plan::one_host;

const SOON: Duration = Duration::from_secs(20);

/// Tells a second copy of this test program to lay out a lab under this name and wait to be killed.
const VICTIM: &str = "RINGWALL_TEST_VICTIM";

/// The victim's programs may outlive it.
const VICTIM_KEEPABLE: &str = "RINGWALL_TEST_VICTIM_KEEPABLE";

fn sleeper() -> Program {
    Program::system("sleeper", "sleep").arg("600")
}

fn namespaces_of(id: &str) -> Result<Vec<String>> {
    let output = Command::new("ip").args(["netns", "list"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let prefix = format!("rw-{id}-");
    Ok(text.lines().filter(|line| line.starts_with(&prefix)).map(str::to_owned).collect())
}

fn record_of(id: &str) -> PathBuf {
    Path::new(RECORDS).join(format!("{id}.json"))
}

fn read_record(id: &str) -> Result<LabRecord> {
    Ok(serde_json::from_slice(&std::fs::read(record_of(id))?)?)
}

#[test]
fn a_dropped_lab_leaves_nothing() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (id, directory) = (lab.id(), lab.directory().to_owned());
    let process = lab.spawn("alone", sleeper())?;
    let sleeping = process.id();
    assert_eq!(namespaces_of(&id)?.len(), 2);
    assert!(sleeping.is_running() && directory.exists() && record_of(&id).exists());

    drop(lab);

    assert_eq!(namespaces_of(&id)?, Vec::<String>::new());
    assert!(!sleeping.is_running() && !directory.exists() && !record_of(&id).exists());
    Ok(())
}

#[test]
fn two_labs_with_the_same_plan_stand_side_by_side() -> Result<()> {
    let (first, second) = (Lab::start(one_host())?, Lab::start(one_host())?);
    assert_ne!(first.id(), second.id());
    let mut survivor = second.spawn("alone", sleeper())?;
    drop(first);
    assert_eq!(namespaces_of(&second.id())?.len(), 2);
    assert!(survivor.is_running()?);
    Ok(())
}

#[test]
fn programs_die_with_a_lab_that_is_killed_and_the_next_lab_removes_the_rest() -> Result<()> {
    let (mut owner, record) = killed_lab("victim-bound", false)?;
    wait::until("its program to die with it", SOON, || !record.processes.iter().any(|process| process.is_running()))?;
    owner.wait()?;

    drop(Lab::start(one_host())?);

    assert_eq!(namespaces_of(&record.id)?, Vec::<String>::new());
    assert!(!record_of(&record.id).exists() && !record.directory.exists());
    Ok(())
}

#[test]
fn programs_that_outlive_an_interrupted_lab_are_killed_by_the_next_of_its_name() -> Result<()> {
    let (mut owner, record) = killed_lab("victim-loose", true)?;
    owner.wait()?;
    assert!(!record.processes.is_empty());

    let options = LabOptions { name: Some(record.id.clone()), may_be_kept: false };
    let lab = Lab::with_options(one_host(), options)?;

    assert!(!record.processes.iter().any(|process| process.is_running()));
    assert_eq!(namespaces_of(&lab.id())?.len(), 2, "they are the new lab's");
    Ok(())
}

#[test]
fn a_kept_lab_stays_until_it_is_cleaned() -> Result<()> {
    let options = LabOptions { name: Some("keep-test".to_owned()), may_be_kept: true };
    let lab = Lab::with_options(one_host(), options)?;
    let process = lab.spawn("alone", sleeper())?;
    let sleeping = process.id();
    lab.keep()?;
    drop(lab);
    drop(process);
    drop(Lab::start(one_host())?);
    assert!(sleeping.is_running(), "another lab does not touch a kept one");
    assert_eq!(namespaces_of("keep-test")?.len(), 2);

    Registry::lock()?.free("keep-test")?;

    assert!(!sleeping.is_running());
    assert_eq!(namespaces_of("keep-test")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_in_use_is_not_taken_over() -> Result<()> {
    let named = || LabOptions { name: Some("in-use".to_owned()), may_be_kept: false };
    let lab = Lab::with_options(one_host(), named())?;
    let error = Lab::with_options(one_host(), named()).expect_err("the name is taken");
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(namespaces_of(&lab.id())?.len(), 2);
    Ok(())
}

/// Not a test of its own: the body of the process that the tests above kill.
#[test]
fn a_lab_waits_to_be_killed_when_told_to() -> Result<()> {
    let Ok(name) = env::var(VICTIM) else {
        return Ok(());
    };
    let options = LabOptions { name: Some(name), may_be_kept: env::var_os(VICTIM_KEEPABLE).is_some() };
    let lab = Lab::with_options(one_host(), options)?;
    let mut process = lab.spawn("alone", sleeper())?;
    process.wait(Duration::from_secs(600))?;
    Ok(())
}

/// Starts a lab in another process, waits until its program runs, kills that process; returns what the lab recorded.
fn killed_lab(name: &str, keepable: bool) -> Result<(Child, LabRecord)> {
    let name = format!("{name}-{:x}", std::process::id());
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["--exact", "cleaning::a_lab_waits_to_be_killed_when_told_to"])
        .env(VICTIM, &name)
        .stdout(Stdio::null());
    if keepable {
        command.env(VICTIM_KEEPABLE, "1");
    }
    let mut owner = command.spawn()?;
    let record = wait::until_ok("the other lab", SOON, || {
        let record = read_record(&name)?;
        anyhow::ensure!(!record.processes.is_empty(), "no program yet");
        Ok(record)
    })?;
    assert_eq!(Some(record.owner), ProcessId::of(owner.id()));
    owner.kill().context("kill the other lab's process")?;
    Ok((owner, record))
}
