//! The part of `deny.toml` that is held here too.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::graph::Workspace;

/// `deny.toml`.
#[derive(Deserialize)]
pub(crate) struct Rules {
    pub(crate) licenses: Licences,
    pub(crate) bans: Bans,
}

/// Its licences.
#[derive(Deserialize)]
pub(crate) struct Licences {
    pub(crate) allow: Vec<String>,
}

/// Its bans.
#[derive(Deserialize)]
pub(crate) struct Bans {
    pub(crate) deny: Vec<Ban>,
}

/// A crate that nobody, or nobody but its wrappers, may use.
#[derive(Deserialize)]
pub(crate) struct Ban {
    #[serde(rename = "crate")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) wrappers: BTreeSet<String>,
}

impl Rules {
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let text = fs::read_to_string(workspace.root().join("deny.toml")).context("read deny.toml")?;
        toml::from_str(&text).context("deny.toml has the parts that are held here")
    }
}
