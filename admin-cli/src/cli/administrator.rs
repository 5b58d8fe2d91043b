//! Sessions of administrators, and the break-glass code.

use clap::Subcommand;

/// `admin-session`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  ringctl admin-session list
  ringctl admin-session end 4c07bc67-57ea-42dd-b702-c2d6c45419fc
  ringctl admin-session end --user CN=alice,OU=local")]
pub enum AdminSession {
    /// Show live sessions of administrators: what opened them, when they were used, and which roles they have now.
    List,
    /// End a session, or all of a user's, at once.
    End {
        /// Id of the session.
        #[arg(required_unless_present = "user")]
        id: Option<String>,
        /// All sessions of this user, `CN=<user>,OU=<provider>`.
        #[arg(long, conflicts_with = "id")]
        user: Option<String>,
    },
}

/// `break-glass`.
#[derive(Debug, Subcommand)]
pub enum BreakGlass {
    /// Make a new break-glass code and show it once; the former one is invalidated, and a session that it opened ends.
    Renew,
}
