//! `ringwall up`: signs in, keeps tokens fresh, holds a link to every Site, and asks the user what has to be asked.
//!
//! One task, the `Engine`, never waits: calls to Controllers, hashing files and sign-ins run beside it and report back.
//! What it does with them depends on its `Phase`: signed out, signing in, connected, renewing, losing, stopping. Going down takes routes, rules, resolvers and the device with it; so does dying, except for
//! blackholes and rules, which the next start removes, so that nothing leaks in between.

use std::path::PathBuf;

use ringwall_startup::{network_admin, tun_device};
use ringwall_trust::identity::KeyKind;

use crate::failure::{Exit, Failure};
use crate::local;
use crate::sign_in::Credentials;
use crate::store::{StateDirectory, StoredProfile};

mod account;
mod active_session;
mod device_monitor;
mod engine;
mod phase;
mod session;
mod shared;
mod status;
mod tasks;
mod terminal;
mod user_prompts;
mod watchers;

use engine::Engine;

/// What `ringwall up` was told.
pub(crate) struct UpOptions {
    /// Where the Client keeps what it knows.
    pub(crate) state: StateDirectory,
    /// Which profile.
    pub(crate) stored: StoredProfile,
    /// Kind of the device's key, if it has none yet.
    pub(crate) key_kind: KeyKind,
    /// Given on the command line.
    pub(crate) credentials: Option<Credentials>,
    /// Sign in again with them when the tokens are revoked or at their end.
    pub(crate) reconnect: bool,
    /// Sign in even if there are tokens on disk.
    pub(crate) fresh: bool,
    /// Believe in any Controller that the profile's root vouches for.
    pub(crate) forget_controllers: bool,
    /// Pages are only told, not opened.
    pub(crate) no_browser: bool,
    /// Name of the TUN device.
    pub(crate) device: String,
    /// The system's resolver file; `None`: leave the system's resolver alone.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// Ask on the terminal.
    pub(crate) interactive: bool,
}

/// Runs until it is told to go down.
///
/// # Errors
/// Before it is up: a missing privilege, another daemon, or what the sign-in was refused for.
pub(crate) async fn run(options: UpOptions) -> Result<(), Failure> {
    check_machine()?;
    let lock = options.state.lock()?;
    if let Some(file) = &options.resolv_conf {
        options.state.note_resolver_file(file)?;
        // Before anything is looked up by name.
        crate::dns::recover(file);
    }
    let (calls, inbox) = tokio::sync::mpsc::channel(16);
    let (events, _) = tokio::sync::broadcast::channel(64);
    let socket = options.state.socket_path();
    let server = local::serve(&socket, calls.clone(), events.clone()).map_err(|error| {
        let cause = anyhow::Error::new(error).context(format!("cannot open {}", socket.display()));
        Failure::new(Exit::Usage, cause, "choose another --state-dir, with a path of less than 90 bytes")
    })?;
    let terminal = options.interactive.then(|| terminal::start(calls, events.subscribe()));
    let engine = Engine::new(options, inbox, events)?;
    let result = Box::pin(engine.run()).await;
    if let Some(terminal) = terminal {
        terminal.abort();
    }
    server.finish().await;
    drop(lock);
    result
}

/// What this machine needs for a tunnel; asked before anything is begun.
///
/// # Errors
/// What is missing.
pub(crate) fn check_machine() -> Result<(), Failure> {
    for needed in [network_admin(), tun_device()] {
        let next_step = "do as the message says, or: setcap cap_net_admin+ep $(command -v ringwall)";
        needed.map_err(|missing| Failure::new(Exit::Privilege, missing, next_step))?;
    }
    Ok(())
}
