//! Objects of the Collective: apply, diff, export, get, delete.

use std::path::PathBuf;

use clap::Args;

/// `apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "A file is the whole of an object: a field that it leaves out gets its default. What differs, what was changed by
others since the last apply, and who gains or loses access is shown before anything is written. All files of one call are
written together or not at all. GlobalSettings are the exception: settings that a file leaves out stay.

Examples:
  ringctl apply -f state.yaml
  ringctl apply -f state.yaml --dry-run
  ringctl apply -f sites.yaml -f policies.yaml --prune managed"
)]
pub struct Apply {
    /// YAML documents with `kind` and the object's fields (`-`: standard input); may be repeated.
    #[arg(long = "file", short = 'f', value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete objects that carry this tag and are in none of the files; never what `init` made, nor an appliance that joined.
    #[arg(long, value_name = "TAG")]
    pub(crate) prune: Option<String>,
    /// Delete without asking.
    #[arg(long, requires = "prune")]
    pub(crate) yes: bool,
}

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: nothing differs; 10: something does.

Examples:
  ringctl diff -f state.yaml
  ringctl diff -f sites.yaml -f policies.yaml --prune managed")]
pub struct Diff {
    /// YAML documents as `apply` takes them (`-`: standard input); may be repeated.
    #[arg(long = "file", short = 'f', value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Also objects that `apply --prune` would delete.
    #[arg(long, value_name = "TAG")]
    pub(crate) prune: Option<String>,
}

/// `export`.
#[derive(Debug, Args)]
#[command(after_help = "Passwords and secrets are never shown: a file for another Collective needs them added.

Examples:
  ringctl export > state.yaml
  ringctl export --kind policy --kind entitlement
  ringctl export --tag managed")]
pub struct Export {
    /// Only objects of this kind, singular or plural, or global-settings; may be repeated.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Vec<String>,
    /// Only objects that carry this tag.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
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
