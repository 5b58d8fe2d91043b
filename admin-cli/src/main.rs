//! The program: parse, run, say what went wrong and leave with a code that tells what kind of failure it was.

use std::process::ExitCode;

use clap::Parser;
use ringwall_admin_cli::cli::Cli;
use ringwall_admin_cli::{command, exit_code, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&anyhow::anyhow!(error).context("cannot start the runtime"));
            return exit_code::ExitCode::Local.into();
        }
    };
    match runtime.block_on(command::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            exit_code::ExitCode::of(&error).into()
        }
    }
}
