//! `ringctl` before it reaches a Controller.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::{
    Lab,
    command::{Program, binary_path},
};

use super::{one_host, refused, says, with_mounts, without_capabilities};

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
    let (session, fingerprint) = (lab.directory().join("session.json"), "ab".repeat(32));
    let sign_in = ["sign-in", "10.77.1.11:8443", "--ca-fingerprint", &fingerprint, "--username", "operator"];
    let program = Program::product("sign-in", BINARY)?.arg("--session").arg(&session);
    let program = program.args(sign_in).arg("--password-file").arg(&password);
    says(&refused(&lab, &program)?, &["no Controller answers", "10.77.1.11:8443: Connection refused"])?;
    let directory = lab.directory().to_str().context("a path in text")?;
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let read_only = with_mounts("sign-in", script, &[directory], BINARY)?.arg("--session").arg(&session);
    let read_only = read_only.args(sign_in).arg("--password-file").arg(&password);
    let said = refused(&lab, &read_only)?;
    says(&said, &["cannot write", "session.json: Read-only file system", "or name another file: --session"])?;
    fs::remove_file(&password)?;
    says(&refused(&lab, &program)?, &["cannot read", "No such file or directory", "check the path"])
}
