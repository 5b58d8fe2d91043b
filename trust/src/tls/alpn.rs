//! The protocols that are spoken inside TLS (RFC 7301). The major version is part of the name.

use std::fmt;

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alpn {
    /// Sign-in at a Controller, without a client certificate.
    SignIn,
    /// The rest of a Controller's client API, with one.
    Client,
    /// Controller to Controller.
    Raft,
    /// Gateway to Controller.
    Feed,
    /// An appliance that joins.
    Join,
    /// A tunnel's packets.
    Tunnel,
    /// HTTP/1.1: a session's websocket at a Gateway, the admin API.
    Http,
}

impl Alpn {
    const ALL: [Self; 7] = [Self::SignIn, Self::Client, Self::Raft, Self::Feed, Self::Join, Self::Tunnel, Self::Http];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "ringwall/sign-in/1",
            Self::Client => "ringwall/client/1",
            Self::Raft => "ringwall/raft/1",
            Self::Feed => "ringwall/feed/1",
            Self::Join => "ringwall/join/1",
            Self::Tunnel => "ringwall/tunnel/1",
            Self::Http => "http/1.1",
        }
    }

    /// The name as rustls wants it.
    #[must_use]
    pub fn entry(self) -> Vec<u8> {
        self.name().as_bytes().to_vec()
    }

    /// The protocol with this name.
    #[must_use]
    pub(crate) fn parse(entry: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|alpn| alpn.name().as_bytes() == entry)
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
