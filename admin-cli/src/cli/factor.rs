//! What users prove themselves with besides a password.

use clap::Subcommand;

/// `otp`.
#[derive(Debug, Subcommand)]
pub enum Otp {
    /// Make a new seed for a user and show it once.
    Seed {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
    /// Make a code with which a user enrols a seed at the next sign-in, and show it once.
    Permit {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
        /// Hours until the code expires.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
        hours: u32,
    },
    /// Forget a user's seed, and a code to enrol one.
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
        /// Hours until the code expires.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
        hours: u32,
    },
    /// Take all security keys of a user away.
    Remove {
        /// `CN=<user>,OU=<provider>`.
        dn: String,
    },
}
