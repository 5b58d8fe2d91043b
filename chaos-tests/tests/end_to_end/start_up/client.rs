//! The Client's daemon.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use ringwall_chaos_tests::lab::{Lab, command::Program};

use super::{HOST, SOON, controller::found, one_host, refused, says, with_mounts, without_capabilities};

const BINARY: &str = "ringwall";

fn command(program: Program, state: &Path, arguments: &[&str]) -> Program {
    program.arg("--state-dir").arg(state).args(arguments.iter().copied())
}

#[test]
fn a_client_says_what_its_machine_lacks() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (_, printed) = found(&lab)?;
    let link = printed.lines().find_map(|line| line.strip_prefix("client profile")).context("a profile")?.trim();
    let state = lab.directory().join("state");
    let up = |program| command(program, &state, &["up"]);
    says(&refused(&lab, &up(Program::product("up", BINARY)?))?, &["there is no profile yet", "ringwall profile add"])?;
    let add = command(Program::product("add", BINARY)?, &state, &["profile", "add", link]);
    lab.run(HOST, &add, SOON)?.success()?;

    let said = refused(&lab, &up(without_capabilities("up", BINARY)?))?;
    says(&said, &["the capability CAP_NET_ADMIN is missing", "run the program as root", "setcap cap_net_admin+ep"])?;
    let said = refused(&lab, &up(with_mounts("up", "mount -t tmpfs none /dev/net", &[], BINARY)?))?;
    says(&said, &["cannot open /dev/net/tun: No such file or directory", "modprobe tun"])?;

    let directory = state.to_str().context("a path in text")?;
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let said = refused(&lab, &up(with_mounts("up", script, &[directory], BINARY)?))?;
    says(&said, &[directory, "Read-only file system", "--state-dir"])?;
    fs::set_permissions(&state, Permissions::from_mode(0o755))?;
    says(&refused(&lab, &up(Program::product("up", BINARY)?))?, &["got mode 0755", "chmod 700", "--state-dir"])?;
    fs::set_permissions(&state, Permissions::from_mode(0o700))?;
    // Nothing of the profile is lost.
    let list = command(Program::product("list", BINARY)?, &state, &["profile", "list"]);
    says(&lab.run(HOST, &list, SOON)?.success()?, &["10.77.1.11"])
}
