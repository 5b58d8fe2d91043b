//! `ringctl`: what the operator orders. A client of the admin API and nothing else.
//!
//! Tables go to standard output for people, JSON or YAML for programs; everything else goes to standard error. Exit
//! codes tell kinds of failure apart ([`exit_code::ExitCode`]).

pub mod apply;
pub mod cli;
pub mod command;
mod connection;
pub mod exit_code;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod mail;
pub mod output;
mod qr;
mod session;
