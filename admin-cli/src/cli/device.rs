//! Registered devices and their tokens.

use clap::{Args, Subcommand, ValueEnum};

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
    /// Revoke a device's own SPA key: it opens no port any more. Registration and sessions stay.
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
    pub(crate) dn: Option<String>,
    /// Everyone.
    #[arg(long, conflicts_with = "dn")]
    pub(crate) everyone: bool,
    /// Cut sessions now instead of renewing tokens.
    #[arg(long, conflicts_with_all = ["delay", "rate"])]
    pub(crate) cut: bool,
    /// Minutes from telling Clients to taking effect; default: renewed at once.
    #[arg(long)]
    pub(crate) delay: Option<u32>,
    /// Devices per second that are told.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Only this kind of token.
    #[arg(long)]
    pub(crate) token_type: Option<String>,
    /// Only entitlement tokens of this Site, by name or id.
    #[arg(long)]
    pub site: Option<String>,
    /// Kept with the revocation.
    #[arg(long)]
    pub reason: Option<String>,
    /// Answer once every reachable Gateway enforces it, and say how long each took.
    #[arg(long, value_enum)]
    pub(crate) wait: Option<Wait>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// Every reachable Gateway enforces it.
    Enforced,
}
