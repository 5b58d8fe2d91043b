//! The whole command tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::Format;

/// Orders for a Ringwall Collective.
#[derive(Debug, Parser)]
#[command(name = "ringctl", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// How results are shown.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// The session file; default: ringctl/session.json below the user's configuration.
    #[arg(long, global = true, env = "RINGCTL_SESSION")]
    pub session: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  ringctl sign-in 10.0.0.11:8443 --ca-fingerprint 3f… --username admin
  ringctl apply -f state.yaml
  ringctl device revoke CN=alice,OU=local --cut --wait enforced
  ringctl explain alice 10.20.0.10:443

Exit codes: 0 done, 1 something here, 2 usage, 3 unreachable, 4 not signed in, 5 not permitted, 6 not found,
7 invalid, 8 conflict, 9 unavailable, 10 the answer is no.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in as an administrator and remember the session.
    SignIn(SignIn),
    /// End the session.
    SignOut,
    /// Create or change objects as a YAML file says; references may be names.
    Apply(Apply),
    /// Show objects of a kind, or one.
    Get(Get),
    /// Delete an object.
    Delete(Delete),
    /// Registered devices, and the tokens that they hold.
    #[command(subcommand)]
    Device(Device),
    /// Live sessions.
    #[command(subcommand)]
    Session(Session),
    /// Users who may not sign in.
    #[command(subcommand)]
    Blocklist(Blocklist),
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
    /// Who would gain or lose what if a file were applied; changes nothing.
    #[command(after_help = "Example:\n  ringctl simulate -f change.yaml")]
    Simulate(Simulate),
    /// What the API accepts and that cannot work, now or with a file applied.
    #[command(after_help = "Examples:\n  ringctl lint\n  ringctl lint -f change.yaml")]
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
    pub controllers: Vec<String>,
    /// SHA-256 of the Collective's root certificate; default: that of the last session.
    #[arg(long)]
    pub ca_fingerprint: Option<String>,
    /// User name.
    #[arg(long, short)]
    pub username: Option<String>,
    /// Identity provider.
    #[arg(long, default_value = "local")]
    pub provider: String,
    /// Read the password from this file instead of the terminal (`-`: standard input).
    #[arg(long)]
    pub password_file: Option<PathBuf>,
    /// Read the one-time password, if one is wanted, from this file instead of the terminal.
    #[arg(long)]
    pub otp_file: Option<PathBuf>,
}

/// `apply`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ringctl apply -f state.yaml\n  ringctl apply -f state.yaml --dry-run")]
pub struct Apply {
    /// YAML documents with `kind` and the object's fields (`-`: standard input).
    #[arg(long, short)]
    pub file: PathBuf,
    /// Show what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// `get`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringctl get sites\n  ringctl get policy everybody -o yaml\n  ringctl get entitlements --query web"
)]
pub struct Get {
    /// Kind, singular or plural: site, policy, entitlement, condition, local-user …; or global-settings.
    pub kind: String,
    /// Name or id.
    pub name: Option<String>,
    /// Only objects whose name contains this.
    #[arg(long)]
    pub query: Option<String>,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Kind, singular or plural.
    pub kind: String,
    /// Name or id.
    pub name: String,
}

/// `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// Show registered devices.
    List {
        /// Only those whose DN, user or host name contains this.
        #[arg(long)]
        query: Option<String>,
    },
    /// Revoke tokens: have them renewed unnoticed, or cut sessions.
    #[command(after_help = "Examples:
  ringctl device revoke CN=alice,OU=local                    # renewed now, unnoticed
  ringctl device revoke --everyone --delay 5 --rate 20       # renewed within a window
  ringctl device revoke CN=alice,OU=local --cut --wait enforced")]
    Revoke(Revoke),
    /// Evaluate live sessions anew, without renewing anything.
    Reevaluate {
        /// DN suffix: a provider, a user or a device.
        dn: String,
    },
    /// Take a device's own SPA key away: whoever knows it opens no port any more. Registration and sessions stay.
    RevokeSpaKey {
        /// `CN=<device>,CN=<user>,OU=<provider>`.
        dn: String,
    },
    /// Remove a registration; its tokens are revoked.
    Remove {
        /// `CN=<device>,CN=<user>,OU=<provider>`.
        dn: String,
    },
}

/// `device revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// DN suffix: `OU=<provider>`, `CN=<user>,OU=<provider>` or a whole device's.
    #[arg(required_unless_present = "everyone")]
    pub dn: Option<String>,
    /// Everyone.
    #[arg(long, conflicts_with = "dn")]
    pub everyone: bool,
    /// Cut sessions now instead of renewing tokens.
    #[arg(long, conflicts_with_all = ["delay", "rate"])]
    pub cut: bool,
    /// Minutes from telling Clients to taking effect; default: renewed at once.
    #[arg(long)]
    pub delay: Option<u32>,
    /// Devices per second that are told.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Only this kind of token.
    #[arg(long)]
    pub token_type: Option<String>,
    /// Only entitlement tokens of this Site, by name or id.
    #[arg(long)]
    pub site: Option<String>,
    /// Kept with the revocation.
    #[arg(long)]
    pub reason: Option<String>,
    /// Answer once every reachable Gateway enforces it, and say how long each took.
    #[arg(long, value_enum)]
    pub wait: Option<Wait>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Every reachable Gateway enforces it.
    Enforced,
}

/// `session`.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Show live sessions.
    List,
    /// Show one: entitlements, conditions, claims.
    Show {
        /// `CN=<device>,CN=<user>,OU=<provider>`.
        dn: String,
    },
}

/// `blocklist`.
#[derive(Debug, Subcommand)]
pub enum Blocklist {
    /// Show who is blocked.
    List,
    /// Block a user: sessions end, sign-in is refused.
    Add {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let a user sign in again.
    Remove {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
}

/// `collective`.
#[derive(Debug, Subcommand)]
pub enum Collective {
    /// Controllers, Gateways, leader, lag.
    Status,
    /// Make an appliance and write the seed file with which it joins.
    #[command(after_help = "Examples:
  ringctl collective add c2 --controller --address 10.0.0.12:444 --seed c2.seed
  ringctl collective add gw1 --gateway --site office --address 10.0.0.21:443 --seed gw1.seed")]
    Add(Add),
    /// Remove an appliance for ever: its certificates, tokens and sessions are void at once.
    Remove {
        /// Name or id.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Let a Gateway keep its sessions but take no new ones.
    Suspend {
        /// Name or id.
        name: String,
    },
    /// End a suspension.
    Resume {
        /// Name or id.
        name: String,
    },
    /// Make another Controller the leader.
    Transfer {
        /// Node id.
        node: u64,
    },
}

/// `collective add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Its name.
    pub name: String,
    /// A Controller.
    #[arg(long, conflicts_with = "gateway", required_unless_present = "gateway")]
    pub controller: bool,
    /// A Gateway.
    #[arg(long)]
    pub gateway: bool,
    /// The Site of a Gateway, by name or id.
    #[arg(long, required_if_eq("gateway", "true"))]
    pub site: Option<String>,
    /// Where Clients (Gateway) or peers (Controller) reach it, `host:port`; several allowed.
    #[arg(long)]
    pub address: Vec<String>,
    /// Share of the Site's sessions.
    #[arg(long)]
    pub weight: Option<u32>,
    /// Where to write the seed file, mode 0600.
    #[arg(long)]
    pub seed: PathBuf,
    /// Days until its join token ends, 1–30.
    #[arg(long)]
    pub valid_days: Option<u32>,
}

/// `profile`. Every form holds the link, which can be a secret: it wants the privilege `Export`, and is audited.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  ringctl profile link staff                                  # the link alone
  ringctl profile qr staff                                    # drawn here, to be scanned from the screen
  ringctl profile qr staff --svg staff.svg
  ringctl profile email staff --to alice@example.com | sendmail -t
  ringctl profile on-boarding staff --hours 24                # a page at the admin port, for who may reach it
  ringctl profile page staff staff.html                       # the same page as a file, for a web server of yours")]
pub enum Profile {
    /// Print the link.
    Link {
        /// Name or id.
        name: String,
    },
    /// Draw the link as a QR code on the terminal, or write it as a picture.
    Qr {
        /// Name or id.
        name: String,
        /// Write an SVG file instead, mode 0600.
        #[arg(long, value_name = "FILE", conflicts_with = "png")]
        svg: Option<PathBuf>,
        /// Write a PNG file instead, mode 0600.
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// What the terminal's background is; only needed where colours are off.
        #[arg(long, value_enum, default_value_t)]
        background: Background,
    },
    /// Write the message that brings the link to its users.
    Email {
        /// Name or id.
        name: String,
        /// To whom: prints a whole message for a mail program, text and HTML.
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        /// From whom; else the mail program says it.
        #[arg(long, value_name = "ADDRESS", requires = "to")]
        from: Option<String>,
        /// Print the HTML form alone.
        #[arg(long, conflicts_with = "to")]
        html: bool,
    },
    /// Have Controllers serve the on-boarding page for some time, under a name that nobody can guess.
    OnBoarding {
        /// Name or id.
        name: String,
        /// For how long.
        #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Write the on-boarding page to a file, mode 0600, to be served elsewhere.
    Page {
        /// Name or id.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// A terminal's background.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Background {
    /// Light text on it.
    #[default]
    Dark,
    /// Dark text on it.
    Light,
}

/// `otp`.
#[derive(Debug, Subcommand)]
pub enum Otp {
    /// Make a new seed for a user and show it once.
    Seed {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
    /// Forget a user's seed.
    Remove {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
}

/// `fido2`.
#[derive(Debug, Subcommand)]
pub enum Fido2 {
    /// Show security keys, and users who may register one.
    List {
        /// Only those whose DN contains this.
        #[arg(long)]
        query: Option<String>,
    },
    /// Make a code with which a user registers a security key at the next sign-in, and show it once.
    Permit {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
        /// Hours until the code is void.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
        hours: u32,
    },
    /// Take all security keys of a user away.
    Remove {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// User name of the local provider, or a DN.
    pub user: String,
    /// `address:port`, `[v6]:port`, or an address with `--protocol icmp`.
    pub destination: String,
    /// tcp, udp or icmp.
    #[arg(long, default_value = "tcp")]
    pub protocol: String,
}

/// `simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// YAML documents as `apply` takes them (`-`: standard input).
    #[arg(long, short)]
    pub file: PathBuf,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// YAML documents as `apply` takes them (`-`: standard input); default: what the Collective has.
    #[arg(long, short)]
    pub file: Option<PathBuf>,
}
