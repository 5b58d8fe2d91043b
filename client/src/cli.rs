//! The command line: one file a noun. Results go to standard output, everything else to standard error.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ringwall_trust::identity::KeyKind;

use crate::device_claims;
use crate::failure::{Exit, Failure};
use crate::store::StateDirectory;

mod credentials;
mod daemon_answer;
mod output;
mod paste;
mod profile;
mod prompts;
mod resolver;
mod sign_in;
mod status;
mod up;

const EXAMPLES: &str = "\
Examples:
  ringwall profile add 'ringwall://controller.example.com/eyJwcm9maWxl…'
  ringwall profile add - < link.txt
  ringwall up                          # asks for name and password, runs in the foreground
  ringwall up --detach --username alice --password-file ~/.password
  ringwall sign-in --certificate alice.pem --key alice.key
  ringwall status --json | jq .sites
  ringwall prompts                     # open prompts
  ringwall answer 3f0c… --stdin < otp.txt
  ringwall down

Exit codes:
  0 success            1 internal error    2 command line     3 nobody is signed in
  4 refused            5 no Controller       6 no daemon        7 a daemon runs already
  8 privilege missing  9 not found          10 another CA      64 unusable input";

/// The Ringwall Client: signs in, keeps a tunnel to every Site, and prompts the user where a policy requires it.
#[derive(Parser)]
#[command(name = "ringwall", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// Where the Client keeps profiles, keys and tokens [default: /var/lib/ringwall for root, else
    /// $XDG_STATE_HOME/ringwall]
    #[arg(long, global = true, env = "RINGWALL_STATE_DIR", value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Log filter, such as `info` or `ringwall_client=debug`
    #[arg(long, global = true, env = "RINGWALL_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    /// Log as JSON
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Manages profiles: how to find a Collective, and which certificate authority to trust
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Signs in and stores the tokens; a running daemon takes them over
    SignIn(sign_in::SignInCommand),
    /// Connects: runs in the foreground until it is stopped
    Up(up::UpCommand),
    /// Disconnects: stops the running daemon
    Down,
    /// Shows the state of the running daemon
    Status(status::StatusCommand),
    /// Answers an open prompt
    Answer(prompts::AnswerCommand),
    /// Lists open prompts
    Prompts(prompts::PromptsCommand),
    /// Revokes this device's tokens, deletes them and disconnects
    SignOut(sign_in::SignOutCommand),
    /// Answers questions about this device; started by the daemon, without privileges
    #[command(hide = true, name = device_claims::SUBCOMMAND)]
    InspectDevice,
    /// Prints shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which profile.
#[derive(Args)]
struct ProfileChoice {
    /// Name of the profile; not needed if there is only one
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// Kinds of keys on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum KeyType {
    /// RSA with 3,072 bits
    #[default]
    Rsa3072,
    /// ECDSA on P-256
    P256,
}

impl From<KeyType> for KeyKind {
    fn from(kind: KeyType) -> Self {
        match kind {
            KeyType::Rsa3072 => Self::Rsa3072,
            KeyType::P256 => Self::P256,
        }
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What was wrong, with the next step and an exit code.
    pub fn run(self) -> Result<(), Failure> {
        if let Command::Completions { shell } = self.command {
            return output::completions(shell);
        }
        if matches!(self.command, Command::InspectDevice) {
            let next_step = "this command is for the daemon: ringwall up";
            return device_claims::serve().map_err(|error| Failure::new(Exit::Unexpected, error, next_step));
        }
        self.start_log()?;
        let state = StateDirectory::open(self.state_dir.clone().unwrap_or_else(StateDirectory::default_path))?;
        match self.command {
            Command::Profile(command) => command.run(&state),
            Command::SignIn(command) => block_on(command.run(&state)),
            Command::Up(command) => command.run(state, &self.log),
            Command::Down => block_on(up::down(&state)),
            Command::Status(command) => block_on(command.run(&state)),
            Command::Answer(command) => block_on(command.run(&state)),
            Command::Prompts(command) => block_on(command.run(&state)),
            Command::SignOut(command) => block_on(command.run(&state)),
            Command::Completions { .. } | Command::InspectDevice => unreachable!("handled above"),
        }
    }

    /// The daemon logs what happens; other commands only what is unusual.
    fn start_log(&self) -> Result<(), Failure> {
        let default = if matches!(self.command, Command::Up(_)) { self.log.as_str() } else { "warn" };
        let filter = tracing_subscriber::EnvFilter::try_new(default).map_err(|error| {
            Failure::new(Exit::Usage, error, "give a filter such as `info` or `ringwall_client=debug`: --log")
        })?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let builder = builder.with_ansi(std::io::stderr().is_terminal());
        // A second subscriber in one process is a test's business.
        let _already_there = if self.log_json { builder.json().try_init() } else { builder.try_init() };
        Ok(())
    }
}

/// Runs a command that waits for the network.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Unexpected, error, "free some memory or threads, then try again"))?;
    let result = runtime.block_on(work);
    // Reading a terminal cannot be called off; it must not hold up the end.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests;
