//! `join`: become a Controller of an existing Collective with a seed file.

use anyhow::{Context, bail};
use ringwall_trust::identity::Fingerprint;

use super::addresses::configuration;
use super::arguments::Join;
use crate::peers::joining;
use crate::setup::config::ConfigError;

pub(super) fn execute(arguments: &Join) -> anyhow::Result<()> {
    let raw = configuration(&arguments.data_dir, &arguments.addresses);
    let config = raw.validate()?;
    for (what, addresses) in [("client", &config.advertise.client), ("peer", &config.advertise.peer)] {
        if addresses.is_empty() {
            let fault = format!(
                "--advertise-{what}: expected host:port, because --listen-{what} is no address that others can dial"
            );
            bail!(ConfigError(vec![fault]));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let joined = runtime.block_on(joining::join(&arguments.seed, &config, &raw, announce_waiting))?;
    announce(arguments, &joined);
    Ok(())
}

/// What the operator compares before anybody admits this machine.
#[expect(clippy::print_stdout, reason = "the fingerprint goes to the operator's terminal")]
fn announce_waiting(name: &str, fingerprint: Fingerprint) {
    println!("key fingerprint   {fingerprint}");
    println!(
        "waiting for admission: an administrator compares this fingerprint and runs\n\n  ringctl collective admit {name}\n"
    );
}

#[expect(clippy::print_stdout, reason = "the outcome goes to the operator's terminal")]
fn announce(arguments: &Join, joined: &joining::Joined) {
    println!("joined as controller {} ({})", joined.node, joined.name);
    if !joined.signed {
        println!(
            "its intermediates are not signed yet: the Controller that keeps the root key signs them as soon as it runs; \
             until then this one serves no Clients"
        );
    }
    println!("\nnext: ringwall-controller run --data-dir {}", arguments.data_dir.display());
}
