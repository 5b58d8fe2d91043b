//! The product's programs, as an operator or a user runs them: one file per program, and the only place that knows its
//! flags and what it prints.

pub mod client;
pub mod controller;
pub mod gateway;
pub(crate) mod gateway_kernel;
pub(crate) mod held_tokens;
pub mod ringctl;
mod secret_file;

pub(crate) use self::ringctl::RevocationMode;
pub use self::{
    client::{Client, Prompt},
    controller::{Controller, Founded, Founding},
    gateway::Gateway,
    gateway_kernel::GatewayKernel,
    held_tokens::{HeldTokens, instant_of},
    ringctl::{Administrator, Ringctl},
};
