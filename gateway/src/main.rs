//! `ringwall-gateway`: reads the command line and the configuration, then runs the process.
//!
//! Exit codes: 0 stopped in good order; 1 failed; 64 wrong configuration; 70 a broken promise on this side.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringwall_gateway::config::Config;
use ringwall_gateway::logging::{self, LogFormat};
use ringwall_gateway::process::{self, Outcome};
use ringwall_startup::complain;

/// A Gateway of a Ringwall Collective.
#[derive(Debug, Parser)]
#[command(name = "ringwall-gateway", version, about, max_term_width = 100)]
struct Arguments {
    /// Format of log lines.
    #[arg(long, value_enum, default_value = "text", global = true, env = "RINGWALL_LOG_FORMAT")]
    log_format: LogFormat,
    /// Which log lines are written, e.g. `info` or `info,ringwall_gateway=debug`.
    #[arg(long, default_value = "info", global = true, env = "RINGWALL_LOG")]
    log: String,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join with the seed file of the configuration if that was not done yet, then enforce.
    ///
    /// Example: ringwall-gateway run --config /etc/ringwall/gateway.toml
    Run {
        /// The configuration file, TOML.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration file and say what is wrong with it.
    Check {
        /// The configuration file, TOML.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `EX_USAGE` of sysexits(3): the configuration cannot be meant.
const WRONG_CONFIGURATION: u8 = 64;
/// `EX_SOFTWARE`: a defect.
const DEFECT: u8 = 70;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = logging::install(arguments.log_format, &arguments.log) {
        let expected = "expected a filter such as `info` or `info,ringwall_gateway=debug`";
        return failed(&format!("--log: {error}; {expected}"), WRONG_CONFIGURATION);
    }
    let (Command::Run { config: file } | Command::Check { config: file }) = &arguments.command;
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => return failed(&format!("{}: {error}", file.display()), WRONG_CONFIGURATION),
    };
    if matches!(arguments.command, Command::Check { .. }) {
        return ExitCode::SUCCESS;
    }
    match process::run(config) {
        Ok(Outcome::Stopped) => ExitCode::SUCCESS,
        Ok(Outcome::Reshape) => {
            let error = process::re_execute();
            broken(&format!("re-execute failed: {error}"))
        }
        Ok(Outcome::Broken(what)) => broken(&what),
        Err(error) => failed(&error, 1),
    }
}

/// Says why the program ends.
fn failed(why: &dyn Display, code: u8) -> ExitCode {
    complain(why);
    ExitCode::from(code)
}

/// The same for a broken promise, which stands in the log as well.
fn broken(what: &str) -> ExitCode {
    tracing::error!("{what}");
    failed(&what, DEFECT)
}
