//! What a Gateway needs of its machine, found out before anything is begun: everything that is missing is told at once.

use std::net::SocketAddr;

use ringwall_kernel::nft::Kernel;
use ringwall_startup::{CannotListen, DirectoryLock, Obstacle, Refusal, network_admin, tun_device};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};

/// Everything that is missing.
#[derive(Debug, thiserror::Error)]
#[error("this machine lacks what a Gateway needs; mend this and start again:\n  {}", .0.join("\n  "))]
pub(super) struct NotReady(Vec<String>);

/// Checks data directory, ports, TUN and nftables. The directory is this process's for as long as the lock is held.
pub(super) fn check(config: &Config) -> Result<(DataDir, DirectoryLock), NotReady> {
    let mut missing = Vec::new();
    let directory = note(&mut missing, directory(config));
    note(&mut missing, port(config.client, "listen.client"));
    if let Some(address) = config.health {
        note(&mut missing, port(address, "listen.health"));
    }
    note(&mut missing, tun_device());
    // What it says without the capability would be about the capability.
    if note(&mut missing, network_admin()).is_some() {
        note(&mut missing, nftables());
    }
    directory.filter(|_| missing.is_empty()).ok_or(NotReady(missing))
}

fn note<T, E: std::fmt::Display>(missing: &mut Vec<String>, found: Result<T, E>) -> Option<T> {
    found.map_err(|error| missing.push(error.to_string())).ok()
}

fn directory(config: &Config) -> Result<(DataDir, DirectoryLock), DataDirError> {
    let data = DataDir::open(&config.data_dir)?;
    let lock = data.lock()?;
    Ok((data, lock))
}

/// Binds the port as the listeners will, and does not listen: nothing is open before the firewall stands.
fn port(address: SocketAddr, key: &str) -> Result<(), CannotListen> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())
    };
    bound().map_err(|error| CannotListen::new(address, key, error))
}

fn nftables() -> Result<(), String> {
    let asked = Kernel::open().and_then(|mut kernel| kernel.generation());
    // Any refusal of this question says that nobody in the kernel answers it.
    let refusal = |error| Refusal::new(Obstacle::NoNftables, error);
    asked.map(drop).map_err(|error| format!("cannot speak with nftables: {}", refusal(error)))
}
