//! Where connections come in: the gates in front of every listener, HTTP behind two of them, peers behind the third.

pub mod dark;
pub mod gates;
pub mod http;
pub mod pre_auth_limiter;
pub mod spa;
