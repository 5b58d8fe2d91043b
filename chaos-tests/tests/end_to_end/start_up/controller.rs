//! A Controller.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{
    Lab,
    command::{Program, binary_path},
    servers::Nginx,
};

use super::gateway::without_nftables;
use super::{ADDRESS, HOST, SOON, one_host, refused, says, with_mounts, without_capabilities};

const BINARY: &str = "ringwall-controller";
/// Takes every capability but the one for ports below 1024.
const LOW_PORTS_ONLY: [&str; 4] = ["--bounding-set", "-all,+net_bind_service", "--inh-caps", "-all"];
/// Nobody's user id.
const NOBODY: u32 = 65_534;

/// Founds a Collective; answers its data directory and what was printed.
pub(super) fn found(lab: &Lab) -> Result<(PathBuf, String)> {
    let data = lab.directory().join("data");
    let printed = lab.run(HOST, &init(&data)?, SOON)?.success()?;
    Ok((data, printed))
}

fn init(data: &Path) -> Result<Program> {
    Ok(Program::product("init", BINARY)?.args(founding_of(data)))
}

/// Arguments that found a Collective.
fn founding_of(data: &Path) -> Vec<String> {
    let fixed = ["init", "--collective", "small", "--admin", "operator", "--keep-root-sealed"];
    let places = [
        format!("--hostname={ADDRESS}:443"),
        format!("--listen-client={ADDRESS}:443"),
        format!("--listen-peer={ADDRESS}:444"),
        format!("--data-dir={}", data.display()),
    ];
    fixed.into_iter().map(str::to_owned).chain(places).collect()
}

fn run(data: &Path) -> Result<Program> {
    Ok(Program::product("run", BINARY)?.arg("run").arg("--data-dir").arg(data))
}

/// The Controller starts on its data and listens.
fn starts(lab: &Lab, data: &Path) -> Result<()> {
    let mut process = lab.spawn(HOST, run(data)?)?;
    process.wait_listening(443, SOON)?;
    let ended = process.terminate(SOON)?;
    ensure!(ended.success(), "{ended}: {}", process.log().text());
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| path.display().to_string())
}

#[test]
fn a_controller_says_whose_its_port_is() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (data, _) = found(&lab)?;
    let other = Nginx::start(&lab, HOST, &[443])?;
    let said = refused(&lab, &run(&data)?)?;
    says(
        &said,
        &["cannot listen on 10.77.1.11:443 (client API)", "Address already in use", "`ss -lntup` shows which"],
    )?;
    drop(other);
    // An address of another machine.
    let configuration = fs::read_to_string(data.join("controller.toml"))?;
    let elsewhere = lab.directory().join("elsewhere.toml");
    fs::write(&elsewhere, configuration.replace("10.77.1.11:443", "10.77.1.99:443"))?;
    let said = refused(&lab, &Program::product("run", BINARY)?.args(["run", "--config"]).arg(&elsewhere))?;
    says(&said, &["10.77.1.99:443 (client API)", "Cannot assign requested address", "`ip address` shows those"])?;
    // A low port, for somebody who is not root.
    let unprivileged = without_capabilities("run", BINARY)?.arg("run").arg("--data-dir").arg(&data);
    let said = refused(&lab, &unprivileged)?;
    says(&said, &["10.77.1.11:443 (client API)", "Permission denied", "CAP_NET_BIND_SERVICE"])?;
    starts(&lab, &data)
}

#[test]
fn a_controller_says_what_is_wrong_with_its_directory() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (data, _) = found(&lab)?;
    let directory = data.to_str().context("a path in text")?;
    let said = refused(&lab, &run(&lab.directory().join("nowhere"))?)?;
    says(&said, &["nowhere holds no Controller", "ringwall-controller init", "--data-dir"])?;
    let unlogged = Program::product("run", BINARY)?.args(["--log", "off", "run", "--data-dir"]);
    let said = refused(&lab, &unlogged.arg(lab.directory().join("nowhere")))?;
    says(&said, &["error: ", "nowhere holds no Controller"])?;
    let said = refused(&lab, &init(&data)?)?;
    says(&said, &["to be empty or not to exist", "no identity.json"])?;

    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let read_only = with_mounts("read-only", script, &[directory], BINARY)?.args(["run", "--data-dir", directory]);
    let said = refused(&lab, &read_only)?;
    says(&said, &[directory, "Read-only file system", "ReadWritePaths="])?;

    let script = "mount -t tmpfs -o size=64k none \"$2\" && cp -a \"$1\"/identity.json \"$2\" && chmod 700 \"$2\"";
    let small = lab.directory().join("small");
    fs::create_dir(&small)?;
    let small = small.to_str().context("a path in text")?;
    let full = with_mounts("full", script, &[directory, small], BINARY)?.args(["run", "--config"]);
    let configuration = fs::read_to_string(data.join("controller.toml"))?.replace(directory, small);
    let file = lab.directory().join("small.toml");
    fs::write(&file, configuration)?;
    let said = refused(&lab, &full.arg(&file))?;
    says(&said, &[small, "No space left on device", "free space on this file system", "acknowledged is kept"])?;
    // The same at the founding: nothing is begun, and the directory stays empty.
    let script = "mount -t tmpfs -o size=64k none \"$1\"";
    let founding = with_mounts("init", script, &[small], BINARY)?.args(founding_of(Path::new(small)));
    says(&refused(&lab, &founding)?, &[small, "No space left on device", "free space on this file system"])?;

    let mut first = lab.spawn(HOST, run(&data)?)?;
    first.wait_listening(443, SOON)?;
    let said = refused(&lab, &run(&data)?)?;
    says(&said, &[&format!("{directory} is in use by process {}", first.id().number()), "stop that process"])?;
    ensure!(first.is_running()?, "the first goes on");
    first.terminate(SOON)?;
    starts(&lab, &data)
}

#[test]
fn a_controller_refuses_keys_of_a_wrong_owner_or_mode_and_damaged_ones() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (data, _) = found(&lab)?;
    let key = data.join("kek.key");
    set_mode(&key, 0o644)?;
    let said = refused(&lab, &run(&data)?)?;
    says(&said, &["kek.key", "got mode 644", "chmod 600"])?;
    set_mode(&key, 0o600)?;

    set_mode(&data, 0o755)?;
    let said = refused(&lab, &run(&data)?)?;
    says(&said, &["its owner's alone", "got mode 0755", "chmod 700"])?;
    set_mode(&data, 0o700)?;

    chown(&data, Some(NOBODY), None)?;
    let said = refused(&lab, &run(&data)?)?;
    says(&said, &["of user 65534", "chown 0"])?;
    chown(&data, Some(0), None)?;

    // Root's right to read every file is a capability too.
    chown(&key, Some(NOBODY), None)?;
    let said = refused(&lab, &without_capabilities("run", BINARY)?.arg("run").arg("--data-dir").arg(&data))?;
    says(&said, &["kek.key", "Permission denied", "the user who owns the file"])?;
    chown(&key, Some(0), None)?;

    for name in ["token.key", "node.pem", "kek.key", "client-ca.key", "identity.json"] {
        let file = data.join(name);
        let right = fs::read(&file)?;
        fs::write(&file, &right[..right.len() / 2])?;
        let said = refused(&lab, &run(&data)?)?;
        says(&said, &[name, "from a backup"])?;
        fs::write(&file, right)?;
    }
    starts(&lab, &data)
}

#[test]
fn a_controller_tells_all_mistakes_of_its_configuration_at_once() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = lab.directory().join("controller.toml");
    let text = "data_dir = \"/nowhere\"\nraft = { heartbeat_ms = 900 }\nworkers = { http = \"all\" }\n\
                [listen]\nclient = \"10.77.1.11\"\npear = \"0.0.0.0:444\"\n[admin]\nallow_sources = [\"10.0.0.0/40\"]\n";
    fs::write(&file, text)?;
    let program = Program::product("run", BINARY)?.args(["run", "--config"]).arg(&file);
    let ended = lab.run(HOST, &program, SOON)?;
    ensure!(ended.status.code() == Some(64), "{}", ended.status);
    let parts = [
        "correct these and start again",
        "raft: expected 0 < 2 × heartbeat_ms",
        "workers.http: invalid type",
        "listen.client: expected address:port, got \"10.77.1.11\"",
        "listen.pear: unknown field",
        "admin.allow_sources: expected an address or a prefix, got \"10.0.0.0/40\"",
    ];
    says(&ended.stderr, &parts)?;
    fs::write(&file, "[listen\n")?;
    says(&refused(&lab, &program)?, &["line 1", "correct these"])?;
    fs::remove_file(&file)?;
    says(&refused(&lab, &program)?, &["cannot read", "No such file or directory", "check the path"])
}

/// Runs a Controller that cannot guard its ports; answers what it said of that.
fn cannot_guard(lab: &Lab, program: Program) -> Result<String> {
    let mut process = lab.spawn(HOST, program)?;
    let said = process.log().wait_for("SPA mode UDP-TCP cannot be kept here", SOON)?;
    // Other Controllers and Gateways still come, and nobody else does.
    process.wait_listening(444, SOON)?;
    let page = Program::system("page", "curl").args(["--insecure", "--silent", "--max-time", "5"]);
    let asked = lab.run(HOST, &page.arg(format!("https://{ADDRESS}/")), SOON)?;
    ensure!(!asked.status.success() && asked.stdout.is_empty(), "somebody was let in: {asked:?}");
    ensure!(process.is_running()?, "it goes on: {}", process.log().text());
    let ended = process.terminate(SOON)?;
    ensure!(ended.success(), "{ended}: {}", process.log().text());
    Ok(said)
}

#[test]
fn a_controller_that_cannot_guard_its_ports_says_so_and_lets_only_its_peers_in() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let (data, _) = found(&lab)?;
    let everywhere = ["clients and administrators are not let in", "override the mode of this appliance"];
    let bare = Program::system("bare", "setpriv").args(LOW_PORTS_ONLY).arg("--").arg(binary_path(BINARY)?);
    let said = cannot_guard(&lab, bare.arg("run").arg("--data-dir").arg(&data))?;
    says(&said, &everywhere)?;
    says(&said, &["guarding ports in the kernel needs CAP_NET_ADMIN", "AmbientCapabilities=CAP_NET_ADMIN"])?;

    let old = Program::product("old-kernel", BINARY)?.env("LD_PRELOAD", without_nftables(&lab)?);
    let said = cannot_guard(&lab, old.arg("run").arg("--data-dir").arg(&data))?;
    says(&said, &everywhere)?;
    says(
        &said,
        &["cannot open the netlink socket for the port guard", "Protocol not supported", "modprobe nf_tables"],
    )?;

    // With both it keeps its mode.
    let mut process = lab.spawn(HOST, run(&data)?)?;
    process.wait_logged("the ports are dark until somebody knocks", SOON)?;
    let ended = process.terminate(SOON)?;
    ensure!(ended.success(), "{ended}: {}", process.log().text());
    Ok(())
}
