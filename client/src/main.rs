//! `ringwall`, the Client's program: reads the command line, and ends with an exit code that says what happened.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ringwall_client::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody reads it; the exit code is left.
            let _gone = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}
