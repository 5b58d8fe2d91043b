//! The commands: one noun each, one function per verb.

mod administrator;
mod admission;
mod apply;
mod approval;
mod blocklist;
mod collective;
mod device;
mod explain;
mod export;
mod fido2;
mod files;
mod object;
mod otp;
mod profile;
mod session;
mod sign_in;
mod what_if;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::CommandFactory;
use ringwall_startup::Refusal;

use crate::cli::{Approvals, Cli, Command};
use crate::connection::{ApiError, Connection};
use crate::output::Format;
use crate::session::Session;

pub(crate) use object::parse_kind;

/// What every command has: the connection and how to show results.
pub(crate) struct Desk {
    /// The admin API.
    pub(crate) api: Connection,
    /// How to show.
    pub(crate) output: Format,
    /// The file that keeps the session.
    pub(crate) session: PathBuf,
}

/// Runs what the command line says.
///
/// # Errors
/// Whatever kept it from being done; [`crate::exit_code::ExitCode::of`] tells the kinds apart.
pub async fn run(cli: Cli) -> Result<()> {
    let path = Session::path(cli.session.as_deref())?;
    match cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ringctl", &mut std::io::stdout());
            Ok(())
        }
        Command::SignIn(order) => sign_in::sign_in(order, &path).await,
        Command::SignOut => sign_in::sign_out(&path).await,
        Command::Apply(order) => apply::apply(&desk(&path, cli.output)?, &order).await,
        Command::Diff(order) => apply::diff(&desk(&path, cli.output)?, &order).await,
        Command::Export(order) => export::export(&desk(&path, cli.output)?, &order).await,
        Command::Get(order) => object::get(&desk(&path, cli.output)?, &order).await,
        Command::Delete(order) => object::delete(&desk(&path, cli.output)?, &order).await,
        Command::Test(order) => object::test(&desk(&path, cli.output)?, &order).await,
        Command::Device(order) => device::run(&desk(&path, cli.output)?, order).await,
        Command::Session(order) => session::run(&desk(&path, cli.output)?, order).await,
        Command::AdminSession(order) => administrator::run(&desk(&path, cli.output)?, order).await,
        Command::Approve(order) => approval::approve(&desk(&path, cli.output)?, &order).await,
        Command::Approvals { order } => {
            approval::run(&desk(&path, cli.output)?, order.unwrap_or(Approvals::List)).await
        }
        Command::BreakGlass(order) => administrator::break_glass(&desk(&path, cli.output)?, order).await,
        Command::Blocklist(order) => blocklist::run(&desk(&path, cli.output)?, order).await,
        Command::Collective(order) => collective::run(&desk(&path, cli.output)?, order).await,
        Command::Profile(order) => profile::run(&desk(&path, cli.output)?, order).await,
        Command::Otp(order) => otp::run(&desk(&path, cli.output)?, order).await,
        Command::Simulate(order) => what_if::simulate(&desk(&path, cli.output)?, &order).await,
        Command::Lint(order) => what_if::lint(&desk(&path, cli.output)?, &order).await,
        Command::Fido2(order) => fido2::run(&desk(&path, cli.output)?, order).await,
        Command::Explain(order) => explain::explain(&desk(&path, cli.output)?, order).await,
    }
}

fn desk(path: &Path, output: Format) -> Result<Desk> {
    let session = Session::load(path)?.filter(|session| session.token.is_some()).ok_or(ApiError::NotSignedIn)?;
    Ok(Desk { api: Connection::new(&session)?, output, session: path.to_owned() })
}

/// Reads a text file, or standard input for `-`; at most 1 MiB.
pub(crate) fn read_text(path: &PathBuf) -> Result<String> {
    use std::io::Read;
    const MOST: u64 = 1024 * 1024;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MOST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
    };
    read.map_err(|error| anyhow::anyhow!("cannot read {}: {}", path.display(), Refusal::of_file(error)))?;
    anyhow::ensure!(text.len() as u64 <= MOST, "{} is longer than 1 MiB; split it", path.display());
    Ok(text)
}
