//! The program `ringwall-controller`.
//!
//! Exit codes: 0 done; 64 a configuration that is not usable (`EX_USAGE`); 1 anything else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ringwall_collective::{Arguments, ConfigError, execute, install_log};
use ringwall_startup::complain;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = install_log(arguments.log_format, &arguments.log).and_then(|()| execute(arguments.command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(if error.is::<ConfigError>() { 64 } else { 1 })
        }
    }
}
