//! One Client that is signed in, as a Gateway sees it: what it may reach now, and what would open more (`docs/token-flow.md`).
//!
//! Promises: what the session may reach follows from its current tokens, device claims, reasons and address by the one
//! pure function of `protocol`, again after every change of any of them; nothing outlives its tokens; a panic ends this
//! session only and withdraws its rules. Whether tokens are valid is the registry's business, moving packets the workers'.

pub mod actor;
pub mod core;
pub mod guard;
pub mod message;
pub mod notice;
pub mod prompts;
