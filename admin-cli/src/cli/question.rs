//! Questions that change nothing: why, what if, what cannot work.

use std::path::PathBuf;

use clap::Args;

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// User name, or a DN like CN=alice,OU=corp.
    pub(crate) user: String,
    /// `address:port`, `[v6]:port`, `name:port`, or an address with `--protocol icmp`.
    pub(crate) destination: String,
    /// tcp, udp or icmp.
    #[arg(long, default_value = "tcp")]
    pub(crate) protocol: String,
}

/// `simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// YAML documents as `apply` takes them (`-`: standard input).
    #[arg(long, short)]
    pub(crate) file: PathBuf,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// YAML documents as `apply` takes them (`-`: standard input); default: what the Collective has.
    #[arg(long, short)]
    pub(crate) file: Option<PathBuf>,
}
