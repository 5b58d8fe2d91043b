//! Where connections come in: the gates in front of every listener, HTTP (`api::server`) behind two of them, peers behind the third.

pub mod connection;
pub mod dark;
pub mod gates;
pub mod pre_auth_limiter;
pub mod spa;
