//! Why names are not divided, or not safely, and what the user can do about it.

use std::path::PathBuf;

use super::port_holder::PortHolder;

/// Why names are not divided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// The user wants it so.
    #[error("split DNS is disabled: --no-dns was given")]
    LeftAlone,
    /// Somebody has the port of all addresses that the stub could have.
    #[error("port 53 of the loopback is taken by {}: names of Sites are not resolved until it is free", holder(.0))]
    Taken(Option<PortHolder>),
    /// The stub cannot listen.
    #[error("cannot start the DNS stub on the loopback: {0}")]
    Stub(std::io::Error),
    /// The system's file cannot be read or changed.
    #[error("cannot change {file}: {error}")]
    File {
        /// Path of the file.
        file: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
    /// The file is ours again, but does not stay so.
    #[error("another program keeps rewriting {0}: names of Sites may be asked of its name servers for some seconds")]
    Contested(PathBuf),
    /// systemd-resolved refused.
    #[error("{0}")]
    Resolved(String),
}

impl DnsError {
    /// Names are divided all the same.
    #[must_use]
    pub(crate) const fn is_divided(&self) -> bool {
        matches!(self, Self::Contested(_))
    }

    /// What the user can do.
    #[must_use]
    pub(crate) const fn next_step(&self) -> &'static str {
        match self {
            Self::Taken(_) => {
                "stop it, or let it listen on its own addresses only (dnsmasq: bind-interfaces); the Client notices within \
                 seconds"
            }
            Self::Contested(_) => {
                "let that program leave the file alone (NetworkManager: dns=none, dhclient: supersede domain-name-servers)"
            }
            Self::LeftAlone | Self::Stub(_) | Self::File { .. } | Self::Resolved(_) => {
                "reach hosts by their addresses, or look at the cause"
            }
        }
    }
}

fn holder(holder: &Option<PortHolder>) -> String {
    holder.as_ref().map_or_else(|| "another program".to_owned(), ToString::to_string)
}
