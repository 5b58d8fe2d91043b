//! One TCP connection attempt, and how it ended.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::lab::namespace::Namespace;

/// Why a connection was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// Somebody answered with a reset.
    #[error("refused")]
    Refused,
    /// Nobody answered.
    #[error("no answer")]
    Silence,
    /// The network answered that there is no way, or there is no route.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

/// Tries to connect once; the time it took if it worked.
pub fn tcp_connects(from: &Namespace, to: SocketAddr, timeout: Duration) -> Result<Result<Duration, ConnectFailure>> {
    from.enter(|| {
        let start = Instant::now();
        TcpStream::connect_timeout(&to, timeout).map(|_| start.elapsed()).map_err(|error| classify(&error))
    })
}

/// What an error of `connect` says about the way to the other end.
pub(super) fn classify(error: &std::io::Error) -> ConnectFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => ConnectFailure::Silence,
        _ => ConnectFailure::Unreachable(error.to_string()),
    }
}
