//! Where connections come in: the gates in front of every listener, HTTP (`api::server`) behind two of them, peers behind the third.

pub(crate) mod connection;
pub(crate) mod dark;
pub(crate) mod gates;
mod handshake_throttle;
pub(crate) mod spa;
