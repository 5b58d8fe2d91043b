//! `ringwall-demo`: the whole product in a lab on this machine, step by step; exit code 0 only if every step held.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, Subcommand};
use ringwall_chaos_tests::demo;

/// Shows Ringwall at work in a lab of network namespaces. Needs root.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lays out the lab and runs all steps.
    Run {
        /// Leave the lab up, and say how to play with it.
        #[arg(long)]
        keep: bool,
    },
    /// Removes what kept or interrupted labs left.
    Clean,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Run { keep } => demo::run(keep),
        Command::Clean => {
            let cleaned = demo::clean()?;
            let list = if cleaned.is_empty() { "nothing".to_owned() } else { cleaned.join(", ") };
            writeln!(io::stdout(), "removed: {list}")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
