//! `ringctl` before it reaches a Controller.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use anyhow::Result;
use ringwall_chaos_tests::lab::{
    Lab,
    command::{Program, binary_path},
};

use super::{one_host, refused, says, without_capabilities};

const BINARY: &str = "ringctl";

#[test]
fn ringctl_says_what_is_wrong_with_its_session_file() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = lab.directory().join("session.json");
    let get = |program: Program| program.arg("--session").arg(&file).args(["get", "sites"]);
    let program = get(Program::product("get", BINARY)?);
    says(&refused(&lab, &program)?, &["not signed in", "ringctl sign-in"])?;
    fs::write(&file, "{")?;
    says(&refused(&lab, &program)?, &["session.json", "got mode 644", "chmod 600"])?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    says(&refused(&lab, &program)?, &["session.json is no session file", "remove it and sign in again"])?;
    std::os::unix::fs::chown(&file, Some(65_534), None)?;
    let said = refused(&lab, &get(without_capabilities("get", BINARY)?))?;
    says(&said, &["session.json", "Permission denied", "the user who owns the file"])?;
    let homeless = Program::system("get", "env").args(["-u", "HOME", "-u", "XDG_CONFIG_HOME", "-u", "RINGCTL_SESSION"]);
    let said = refused(&lab, &homeless.arg(binary_path(BINARY)?).args(["get", "sites"]))?;
    says(&said, &["neither XDG_CONFIG_HOME nor HOME is set", "--session"])
}

#[test]
fn ringctl_says_that_no_controller_answers() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let password = lab.directory().join("password");
    fs::write(&password, "a password")?;
    let program = Program::product("sign-in", BINARY)?
        .arg("--session")
        .arg(lab.directory().join("session.json"))
        .args(["sign-in", "10.77.1.11:8443", "--ca-fingerprint", &"ab".repeat(32), "--username", "operator"])
        .arg("--password-file")
        .arg(&password);
    says(&refused(&lab, &program)?, &["no Controller answers", "10.77.1.11:8443: Connection refused"])?;
    fs::remove_file(&password)?;
    says(&refused(&lab, &program)?, &["cannot read", "No such file or directory", "check the path"])
}
