//! The command tree: what it all hangs on, and a file for each family of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::Format;

mod administrator;
mod approval;
mod collective;
mod device;
mod factor;
mod object;
mod profile;
mod question;
mod session;

pub use administrator::{AdminSession, BreakGlass};
pub use approval::{Approvals, Approve};
pub use collective::{Add, Admit, Collective};
pub use device::{Device, Revoke};
pub use factor::{Fido2, Otp};
pub use object::{Apply, Delete, Diff, Export, Get, Test};
pub use profile::{Background, Profile};
pub use question::{Explain, Lint, Simulate};
pub use session::{Blocklist, Session};

/// Administers a Ringwall Collective.
#[derive(Debug, Parser)]
#[command(name = "ringctl", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// How results are shown.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// The session file; default: ringctl/session.json below the user's configuration.
    #[arg(long, global = true, env = "RINGCTL_SESSION")]
    pub(crate) session: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  ringctl sign-in 10.0.0.11:8443 --ca-fingerprint 3f… --username admin
  ringctl apply -f state.yaml
  ringctl device revoke CN=alice,OU=local --cut --wait enforced
  ringctl explain alice 10.20.0.10:443

Exit codes: 0 done, 1 local error, 2 usage, 3 unreachable, 4 not signed in, 5 not permitted, 6 not found,
7 invalid, 8 conflict, 9 unavailable, 10 check failed (denied, findings, or differences), 11 another administrator must approve it first.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in as an administrator and remember the session.
    SignIn(SignIn),
    /// End the session.
    SignOut,
    /// Create or change objects as YAML files say, all or none; references may be names.
    Apply(Apply),
    /// Show what `apply` would change.
    Diff(Diff),
    /// Print objects as a file that `apply` takes.
    Export(Export),
    /// Show objects of a kind, or one.
    Get(Get),
    /// Delete an object.
    Delete(Delete),
    /// Ask whether an identity or MFA provider answers as it is configured.
    #[command(after_help = "Examples:\n  ringctl test identity-provider sso\n  ringctl test mfa-provider radius")]
    Test(Test),
    /// Registered devices, and the tokens that they hold.
    #[command(subcommand)]
    Device(Device),
    /// Live sessions.
    #[command(subcommand)]
    Session(Session),
    /// Users who may not sign in.
    #[command(subcommand)]
    Blocklist(Blocklist),
    /// Sessions of administrators.
    #[command(subcommand)]
    AdminSession(AdminSession),
    /// Approve what another administrator asked for, where the settings want two (`dualControl`): it is carried out.
    #[command(after_help = "Examples:\n  ringctl approvals\n  ringctl approve 4c07bc67-57ea-42dd-b702-c2d6c45419fc")]
    Approve(Approve),
    /// Orders that wait for a second administrator; without a command, they are shown.
    #[command(
        after_help = "Examples:\n  ringctl approvals\n  ringctl approvals withdraw 4c07bc67-57ea-42dd-b702-c2d6c45419fc"
    )]
    Approvals {
        /// What to do with them.
        #[command(subcommand)]
        order: Option<Approvals>,
    },
    /// Emergency access, for when no administrator can sign in.
    #[command(subcommand)]
    BreakGlass(BreakGlass),
    /// Controllers and Gateways.
    #[command(subcommand)]
    Collective(Collective),
    /// Client profiles: how Clients find the Collective.
    #[command(subcommand)]
    Profile(Profile),
    /// One-time password seeds.
    #[command(subcommand)]
    Otp(Otp),
    /// Security keys (FIDO2).
    #[command(subcommand)]
    Fido2(Fido2),
    /// Why a user reaches a host, or does not.
    #[command(
        after_help = "Examples:\n  ringctl explain alice 10.20.0.10:443\n  ringctl explain CN=bob,OU=ldap 10.20.0.10:53 --protocol udp"
    )]
    Explain(Explain),
    /// Show who would gain or lose access if a file were applied; changes nothing.
    #[command(after_help = "Example:\n  ringctl simulate -f change.yaml")]
    Simulate(Simulate),
    /// Report objects that are valid and cannot work, as they are now or with a file applied.
    #[command(after_help = "Invalid objects are reported first, and nothing is judged then (exit code 7).\n\n\
                      Examples:\n  ringctl lint\n  ringctl lint -f change.yaml")]
    Lint(Lint),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `sign-in`.
#[derive(Debug, Args)]
pub struct SignIn {
    /// Admin APIs, `host:port`, tried in order; default: those of the last session.
    pub(crate) controllers: Vec<String>,
    /// SHA-256 of the Collective's root certificate; default: that of the last session.
    #[arg(long)]
    pub(crate) ca_fingerprint: Option<String>,
    /// User name.
    #[arg(long, short)]
    pub(crate) username: Option<String>,
    /// Identity provider.
    #[arg(long, default_value = "local")]
    pub(crate) provider: String,
    /// Sign in with the break-glass code that `ringwall-controller init` printed, as the password: when no administrator can
    /// sign in otherwise. The use is audited and shown to every administrator.
    #[arg(long, conflicts_with_all = ["username", "provider"])]
    pub(crate) break_glass: bool,
    /// Read the password from this file instead of the terminal (`-`: standard input).
    #[arg(long)]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the key for knocking on the admin port from this file; required once on a machine from which the port does not respond otherwise.
    /// `ringwall-controller init` prints the first administrator's; a sign-in on a Controller's own machine needs none, and
    /// every sign-in leaves a key in the session file.
    #[arg(long)]
    pub(crate) knock_key_file: Option<PathBuf>,
    /// Read the one-time password, if one is required, from this file instead of the terminal.
    #[arg(long)]
    pub(crate) otp_file: Option<PathBuf>,
    /// Read the enrolment code of a first one-time password seed, if one is required, from this file instead of the terminal.
    #[arg(long)]
    pub(crate) enrolment_code_file: Option<PathBuf>,
}
