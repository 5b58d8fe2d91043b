//! `ringwall-gateway`: reads the command line and the configuration, then runs the process.
//!
//! Exit codes: 0 stopped in good order; 1 failed; 64 wrong configuration; 70 a broken promise on this side.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringwall_gateway::config::Config;
use ringwall_gateway::logging::{self, LogFormat};
use ringwall_gateway::process::{self, Outcome};

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
        return say(
            &format!("--log: {error}; expected a filter such as `info` or `info,ringwall_gateway=debug`"),
            WRONG_CONFIGURATION,
        );
    }
    let (Command::Run { config: file } | Command::Check { config: file }) = &arguments.command;
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => return say(&format!("{}: {error}", file.display()), WRONG_CONFIGURATION),
    };
    if matches!(arguments.command, Command::Check { .. }) {
        return ExitCode::SUCCESS;
    }
    match process::run(config) {
        Ok(Outcome::Stopped) => ExitCode::SUCCESS,
        Ok(Outcome::Reshape) => {
            let error = process::re_execute();
            say(&format!("re-execute failed: {error}"), DEFECT)
        }
        Ok(Outcome::Broken(what)) => say(&what, DEFECT),
        Err(error) => say(&format!("{error:#}"), 1),
    }
}

/// Says why the program ends, where a person sees it and in the log.
fn say(what: &str, code: u8) -> ExitCode {
    tracing::error!("{what}");
    ExitCode::from(code)
}
