//! Controllers and Gateways.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Admit a Controller that asks to join: it gets the Collective's keys and votes. Compare the fingerprint with what
    /// `ringwall-controller join` printed on its machine.
    #[command(after_help = "Examples:
  ringctl collective admit c2
  ringctl collective admit c2 --fingerprint 3f2a…")]
    Admit(Admit),
    /// Reject a Controller that asks to join; its seed is invalidated.
    TurnAway {
        /// Name or id of its appliance.
        name: String,
    },
    /// Remove an appliance for ever: its certificates, tokens and sessions are invalidated at once.
    Remove {
        /// Name or id.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take a Controller out as planned: it signs nothing new and hands over; it is removed when what it signed has ended.
    Retire {
        /// Name or id.
        name: String,
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
    /// Replace the keys that all Controllers share: the one that encrypts stored secrets, and those for knocking. The removal
    /// of a Controller does it by itself. Nobody is cut off: `collective status` shows how far it is.
    RotateKeys,
    /// End keys for knocking from before the last rotation now, instead of a week after it. A device that has not signed in
    /// since then needs a new profile link, an administrator a new knock key; sessions that were not renewed cannot connect
    /// again (`ringctl device revoke --mode renewNow` renews them first).
    EndFormerKeys {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
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
    pub(crate) name: String,
    /// A Controller.
    #[arg(long, conflicts_with = "gateway", required_unless_present = "gateway")]
    pub(crate) controller: bool,
    /// A Gateway.
    #[arg(long)]
    pub(crate) gateway: bool,
    /// The Site of a Gateway, by name or id; a Controller has none.
    #[arg(long, required_if_eq("gateway", "true"), conflicts_with = "controller")]
    pub(crate) site: Option<String>,
    /// Where Clients (Gateway) or peers (Controller) reach it, `host:port`; several allowed.
    #[arg(long)]
    pub(crate) address: Vec<String>,
    /// A Gateway's share of its Site's sessions, 0–10000 [default: 100]; a Controller has none.
    #[arg(long, conflicts_with = "controller")]
    pub(crate) weight: Option<u32>,
    /// Where to write the seed file, mode 0600.
    #[arg(long)]
    pub(crate) seed: PathBuf,
    /// Days until its join token ends, 1–30.
    #[arg(long)]
    pub(crate) valid_days: Option<u32>,
}

/// `collective admit`.
#[derive(Debug, Args)]
pub struct Admit {
    /// Name or id of its appliance.
    pub(crate) name: String,
    /// The fingerprint that the joining Controller printed, instead of a question: admitted only if it is the same.
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
}
