//! Who is there, and who may not be.

use clap::Subcommand;

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
