//! A Gateway.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use ringwall_chaos_tests::lab::{Lab, command::Program, servers::Nginx};

use super::{HOST, SOON, WITHOUT_CAPABILITIES, one_host, refused, says, with_mounts};

const BINARY: &str = "ringwall-gateway";
/// Takes nf_tables away from a program: what a kernel says that was built without it.
const NO_NFTABLES: &str = r"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int socket(int domain, int type, int protocol) {
    if (domain == AF_NETLINK && protocol == NETLINK_NETFILTER) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}
";

fn configure(lab: &Lab) -> Result<PathBuf> {
    let file = lab.directory().join("gateway.toml");
    let data = lab.directory().join("data");
    let text = format!(
        "data_dir = \"{}\"\n[listen]\nclient = \"0.0.0.0:8444\"\nhealth = \"127.0.0.1:9100\"\n[network]\nprotected = [\"wan\"]\n",
        data.display()
    );
    fs::write(&file, text)?;
    Ok(file)
}

/// Builds a library that, loaded before a program, takes nf_tables away from it.
pub(super) fn without_nftables(lab: &Lab) -> Result<PathBuf> {
    let (source, library) = (lab.directory().join("none.c"), lab.directory().join("none.so"));
    fs::write(&source, NO_NFTABLES)?;
    let built = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    ensure!(built.context("run the C compiler")?.success(), "cc failed");
    Ok(library)
}

fn run(file: &Path) -> Result<Program> {
    Ok(Program::product("run", BINARY)?.args(["run", "--config"]).arg(file))
}

#[test]
fn a_gateway_names_everything_that_its_machine_lacks_at_once() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = configure(&lab)?;
    let _other = Nginx::start(&lab, HOST, &[8444, 9100])?;
    let script = format!(
        "mount -t tmpfs none /dev/net && set -- \"$1\" setpriv {} -- \"$2\" \"$3\" \"$4\" \"$5\"",
        WITHOUT_CAPABILITIES.join(" ")
    );
    let bare = with_mounts("bare", &script, &["one"], BINARY)?.args(["run", "--config"]).arg(&file);
    let said = refused(&lab, &bare)?;
    let parts = [
        "lacks what a Gateway needs; mend this and start again",
        "cannot listen on 0.0.0.0:8444 (listen.client): Address already in use",
        "cannot listen on 127.0.0.1:9100 (listen.health): Address already in use",
        "`ss -lntup` shows which",
        "cannot open /dev/net/tun: No such file or directory",
        "modprobe tun",
        "the capability CAP_NET_ADMIN is missing",
        "AmbientCapabilities=CAP_NET_ADMIN",
    ];
    says(&said, &parts)
}

#[test]
fn a_gateway_says_that_the_kernel_has_no_nftables() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = configure(&lab)?;
    let said = refused(&lab, &run(&file)?.env("LD_PRELOAD", without_nftables(&lab)?))?;
    says(&said, &["cannot speak with nftables", "Protocol not supported", "modprobe nf_tables", "6.9 or newer"])
}

#[test]
fn a_gateway_says_what_is_wrong_with_directory_seed_and_configuration() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = configure(&lab)?;
    // All is there but the seed: the machine is ready.
    let said = refused(&lab, &run(&file)?)?;
    says(&said, &["cannot join", "no seed file configured", "set `seed`"])?;
    let data = lab.directory().join("data");
    let directory = data.to_str().context("a path in text")?;
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let read_only = with_mounts("read-only", script, &[directory], BINARY)?.args(["run", "--config"]).arg(&file);
    says(&refused(&lab, &read_only)?, &[directory, "Read-only file system", "ReadWritePaths="])?;
    let script = "mount -t tmpfs -o size=64k,mode=700 none \"$1\"";
    let full = with_mounts("full", script, &[directory], BINARY)?.args(["run", "--config"]).arg(&file);
    says(&refused(&lab, &full)?, &[directory, "No space left on device", "free space on this file system"])?;
    fs::write(data.join("identity.json"), "{}")?;
    says(&refused(&lab, &run(&file)?)?, &["identity.json", "mode 644", "chmod 600"])?;
    fs::set_permissions(data.join("identity.json"), fs::Permissions::from_mode(0o600))?;
    says(
        &refused(&lab, &run(&file)?)?,
        &["identity.json is damaged or of another version", "join again with a new seed"],
    )?;

    fs::write(&file, "data_dri = \"/x\"\n[network]\nmtu = 100\ntun = \"a/b\"\n[listen]\nhealth = 9100\n")?;
    for command in ["run", "check"] {
        let program = Program::product(command, BINARY)?.args([command, "--config"]).arg(&file);
        let ended = lab.run(HOST, &program, SOON)?;
        ensure!(ended.status.code() == Some(64), "{}", ended.status);
        let parts = [
            "correct these and start again",
            "data_dri: unknown field",
            "data_dir is missing",
            "network.mtu is not within 1280 to 9000",
            "network.tun: ",
            "network.protected names no interface",
            "listen.health: invalid type",
        ];
        says(&ended.stderr, &parts)?;
    }
    Ok(())
}

#[test]
fn a_gateway_without_a_log_says_why_it_does_not_start() -> Result<()> {
    let lab = Lab::start(one_host())?;
    let file = configure(&lab)?;
    // What is said on standard error with this filter of the log; the program ends with this code.
    let ended = |log: &str, code: i32| -> Result<String> {
        let program = Program::product("run", BINARY)?.args(["--log", log, "run", "--config"]).arg(&file);
        let ended = lab.run(HOST, &program, SOON)?;
        ensure!(ended.status.code() == Some(code), "{}: {}", ended.status, ended.stderr);
        Ok(ended.stderr)
    };
    says(&ended("off", 1)?, &["error: ", "cannot join", "set `seed`"])?;
    says(&ended("ringwall_gateway=loud", 64)?, &["error: --log: ", "expected a filter such as `info`"])?;
    fs::write(&file, "data_dri = \"/x\"\n")?;
    says(&ended("off", 64)?, &["error: ", "gateway.toml: ", "data_dri: unknown field"])
}
