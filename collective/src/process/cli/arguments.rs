//! The command line as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A Controller of a Ringwall Collective.
#[derive(Debug, Parser)]
#[command(name = "ringwall-controller", version, about, max_term_width = 100)]
pub struct Arguments {
    /// Format of log lines.
    #[arg(long, value_enum, default_value = "text", global = true, env = "RINGWALL_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Which log lines are written, e.g. `info` or `info,ringwall_raft=debug`.
    #[arg(long, default_value = "info,openraft=error,actix_server=warn", global = true, env = "RINGWALL_LOG")]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new Collective with this machine as its first Controller.
    ///
    /// Example: ringwall-controller init --data-dir /var/lib/ringwall --collective acme --hostname sdp.acme.example:443
    /// --advertise-client 192.0.2.10:443 --advertise-peer 192.0.2.10:444
    /// --admin root --keep-root-sealed
    Init(Init),
    /// Ask to join an existing Collective with a seed file, and wait until an administrator has admitted this machine
    /// (`ringctl collective admit`).
    Join(Join),
    /// Run the Controller.
    Run(Run),
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where keys, log and snapshots will be; must be empty or not exist.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Name of the Collective, for people.
    #[arg(long)]
    pub collective: String,
    /// Where Clients will find the Controllers, `host:port`.
    #[arg(long)]
    pub hostname: String,
    /// Name of the first administrator.
    #[arg(long)]
    pub admin: String,
    /// File with the administrator's password; without it one is made and printed once.
    #[arg(long, conflicts_with = "admin_password_fd")]
    pub admin_password_file: Option<PathBuf>,
    /// File descriptor to read the administrator's password from.
    #[arg(long)]
    pub admin_password_fd: Option<i32>,
    /// Write the root key, sealed under a passphrase, to this file; it is not kept in the data directory.
    #[arg(long, requires = "root_passphrase")]
    pub root_key_out: Option<PathBuf>,
    /// File with the passphrase of the root key.
    #[arg(long, conflicts_with = "root_passphrase_fd", group = "root_passphrase")]
    pub root_passphrase_file: Option<PathBuf>,
    /// File descriptor to read the passphrase of the root key from.
    #[arg(long, group = "root_passphrase")]
    pub root_passphrase_fd: Option<i32>,
    /// Keep the root key in the data directory, sealed under this node's key, so that joining Controllers get their
    /// intermediates signed automatically. Weaker: who takes this machine's disk can make certificates for the
    /// Collective.
    #[arg(long, required_unless_present = "root_key_out")]
    pub keep_root_sealed: bool,
    /// Disable single packet authorization (`spaMode: Open` instead of `UDP-TCP`). Weaker: whoever
    /// scans the network finds the ports. Without it this machine needs CAP_NET_ADMIN, as root has it.
    #[arg(long)]
    pub open: bool,
    /// Addresses.
    #[command(flatten)]
    pub addresses: Addresses,
}

/// `join`.
#[derive(Debug, Args)]
pub struct Join {
    /// Where keys, log and snapshots will be; must be empty or not exist.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Seed file from `ringctl collective add` or `POST /appliances/{id}/export`; deleted after joining.
    #[arg(long)]
    pub seed: PathBuf,
    /// Addresses.
    #[command(flatten)]
    pub addresses: Addresses,
}

/// Addresses of `init` and `join`.
#[derive(Debug, Args)]
pub struct Addresses {
    /// Client API.
    #[arg(long, default_value = "0.0.0.0:443")]
    pub listen_client: SocketAddr,
    /// Admin API.
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub listen_admin: SocketAddr,
    /// Controllers, Gateways and joining appliances.
    #[arg(long, default_value = "0.0.0.0:444")]
    pub listen_peer: SocketAddr,
    /// Metrics and health, plain HTTP; without it none.
    #[arg(long)]
    pub listen_metrics: Option<SocketAddr>,
    /// `host:port` where Clients reach this Controller; may be repeated. Default: the listening address; required if that is 0.0.0.0 or [::].
    #[arg(long)]
    pub advertise_client: Vec<String>,
    /// `host:port` of its admin API.
    #[arg(long)]
    pub advertise_admin: Vec<String>,
    /// `host:port` where appliances reach it. Default and requirement as above.
    #[arg(long)]
    pub advertise_peer: Vec<String>,
    /// Networks that may reach the admin API without a knock. Default: this machine.
    #[arg(long)]
    pub admin_source: Vec<String>,
}

/// `run`.
#[derive(Debug, Args)]
#[group(id = "configuration", required = true, multiple = false, args = ["config", "data_dir"])]
pub struct Run {
    /// Configuration file.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Data directory whose `controller.toml` is read.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn init_wants_to_know_where_the_root_key_goes() {
        let base = ["ringwall-controller", "init", "--data-dir", "d", "--collective", "c", "--hostname", "h:1"];
        let parse = |more: &[&str]| Arguments::try_parse_from(base.iter().chain(&["--admin", "a"]).chain(more));
        assert!(parse(&[]).is_err());
        assert!(parse(&["--keep-root-sealed"]).is_ok());
        assert!(parse(&["--root-key-out", "f"]).is_err(), "without a passphrase");
        assert!(parse(&["--root-key-out", "f", "--root-passphrase-fd", "3"]).is_ok());
    }
}
