//! `ringwall-bench`: measures the product in a lab on this machine and writes a summary.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ringwall_chaos_tests::bench;

/// Measures Ringwall in a lab of network namespaces, beside plain forwarding by the kernel. Needs root.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Fewer runs of each measurement.
    #[arg(long, env = "QUICK", value_parser = clap::builder::BoolishValueParser::new(), default_value = "false", num_args = 0..=1, default_missing_value = "true")]
    quick: bool,
}

fn main() -> Result<ExitCode> {
    bench::run(Arguments::parse().quick)
}
