//! Objects of the Collective: apply, get, delete.

use std::path::PathBuf;

use clap::Args;

/// `apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "A field that has no effect is refused by its name (exit code 7), and nothing of its object is changed.

Examples:
  ringctl apply -f state.yaml
  ringctl apply -f state.yaml --dry-run"
)]
pub struct Apply {
    /// YAML documents with `kind` and the object's fields (`-`: standard input).
    #[arg(long, short)]
    pub(crate) file: PathBuf,
    /// Show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `get`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringctl get sites\n  ringctl get policy everybody -o yaml\n  ringctl get entitlements --query web"
)]
pub struct Get {
    /// Kind, singular or plural: site, policy, entitlement, condition, local-user …; or global-settings.
    pub(crate) kind: String,
    /// Name or id.
    pub(crate) name: Option<String>,
    /// Only objects whose name contains this.
    #[arg(long)]
    pub(crate) query: Option<String>,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Kind, singular or plural.
    pub(crate) kind: String,
    /// Name or id.
    pub(crate) name: String,
}

/// `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Kind: identity-provider or mfa-provider.
    pub(crate) kind: String,
    /// Name or id.
    pub(crate) name: String,
}
