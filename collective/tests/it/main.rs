//! Controllers as others see them: in-process, over loopback, with real TLS and HTTP.

mod admin;
mod client;
mod cluster;
mod entitlements;
mod feed;
mod gateway;
mod harness;
mod mfa;
mod revocation;
mod sign_in;
mod spa;
