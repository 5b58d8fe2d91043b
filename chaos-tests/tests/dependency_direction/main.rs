//! The dependency graph as a test: who may use whom, which licences, nothing unused.
//!
//! Holds the table of ARCHITECTURE.md and the rules of `deny.toml` against what cargo says it would build, without any
//! further tool. Needs no root.

mod graph;
mod licence;
mod rules;
mod unused;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::{graph::Workspace, rules::Rules};

/// Uses flow only left to right: each package, and the packages of ours that it may use directly.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ringwall-protocol", &[]),
    ("ringwall-startup", &[]),
    ("ringwall-trust", &["ringwall-protocol", "ringwall-startup"]),
    ("ringwall-actors", &["ringwall-protocol", "ringwall-trust"]),
    ("ringwall-raft", &["ringwall-protocol", "ringwall-startup", "ringwall-trust"]),
    ("ringwall-kernel", &["ringwall-protocol"]),
    ("ringwall-tunnel", &[]),
    (
        "ringwall-collective",
        &[
            "ringwall-protocol",
            "ringwall-startup",
            "ringwall-trust",
            "ringwall-actors",
            "ringwall-raft",
            "ringwall-kernel",
        ],
    ),
    (
        "ringwall-gateway",
        &[
            "ringwall-protocol",
            "ringwall-startup",
            "ringwall-trust",
            "ringwall-actors",
            "ringwall-kernel",
            "ringwall-tunnel",
        ],
    ),
    (
        "ringwall-client",
        &["ringwall-protocol", "ringwall-startup", "ringwall-trust", "ringwall-kernel", "ringwall-tunnel"],
    ),
    ("ringwall-admin-cli", &["ringwall-protocol", "ringwall-startup", "ringwall-trust"]),
    (
        "ringwall-chaos-tests",
        &[
            "ringwall-protocol",
            "ringwall-startup",
            "ringwall-trust",
            "ringwall-actors",
            "ringwall-raft",
            "ringwall-kernel",
            "ringwall-tunnel",
            "ringwall-collective",
            "ringwall-gateway",
            "ringwall-client",
            "ringwall-admin-cli",
        ],
    ),
];

/// What must not be built into a package, however deep it stands.
const NEVER_HOLDS: &[(&str, &[&str])] = &[
    ("ringwall-protocol", &["tokio", "actix", "openraft", "rocksdb", "rustls", "aws-lc-rs"]),
    ("ringwall-trust", &["actix", "actix-web", "openraft", "rocksdb", "hyper"]),
    ("ringwall-actors", &["openraft", "rocksdb", "actix-web", "tun-rs", "netlink-packet-netfilter"]),
    ("ringwall-raft", &["actix", "actix-web", "hyper"]),
    ("ringwall-kernel", &["actix", "openraft", "rocksdb", "rustls", "tun-rs"]),
    ("ringwall-tunnel", &["actix", "openraft", "rocksdb", "hyper", "serde_json", "netlink-packet-netfilter"]),
    ("ringwall-gateway", &["openraft", "rocksdb"]),
    ("ringwall-client", &["actix", "actix-web", "openraft", "rocksdb"]),
    ("ringwall-admin-cli", &["actix", "actix-web", "openraft", "rocksdb"]),
];

#[test]
fn uses_flow_only_from_left_to_right() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut wrong = Vec::new();
    for package in workspace.members() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!("{} stands in no table", package.name));
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| dependency.starts_with("ringwall-"));
        wrong.extend(
            ours.filter(|used| !allowed.contains(&used.as_str())).map(|used| format!("{} uses {used}", package.name)),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(workspace.members().count(), MAY_USE.len(), "a package of the table is gone");
    Ok(())
}

#[test]
fn tests_build_no_package_with_other_features_than_the_programs() -> Result<()> {
    let workspace = Workspace::load()?;
    let programs = workspace.features("normal,build")?;
    let tests = workspace.features("normal,build,dev")?;
    // A package with other features is another build of it and of everything above it. Chaos-tests/Cargo.toml unifies them.
    let built_twice: Vec<_> = programs.difference(&tests).collect();
    assert_eq!(built_twice, Vec::<&String>::new(), "make test would compile these again after make demo");
    Ok(())
}

#[test]
fn no_package_holds_what_belongs_elsewhere() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut wrong = Vec::new();
    for (package, forbidden) in NEVER_HOLDS {
        let built: BTreeSet<String> = workspace.built_into(package)?;
        assert!(built.contains(*package), "cargo lists what is built into {package}");
        wrong.extend(forbidden.iter().filter(|name| built.contains(**name)).map(|name| format!("{name} in {package}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

#[test]
fn banned_crates_are_used_by_nobody_but_their_wrappers() -> Result<()> {
    let workspace = Workspace::load()?;
    let rules = Rules::load(&workspace)?;
    let mut wrong = Vec::new();
    for ban in &rules.bans.deny {
        let users = workspace.direct_users(&ban.name)?;
        wrong.extend(
            users
                .into_iter()
                .filter(|user| !ban.wrappers.contains(user))
                .map(|user| format!("{user} uses {}", ban.name)),
        );
    }
    assert!(!rules.bans.deny.is_empty(), "deny.toml bans something");
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_licence_is_allowed() -> Result<()> {
    let workspace = Workspace::load()?;
    let rules = Rules::load(&workspace)?;
    let licences = workspace.licences()?;
    assert!(licences.len() > 100, "cargo lists the whole tree: {}", licences.len());
    let wrong: Vec<_> =
        licences.iter().filter(|(_, licence)| !licence::is_allowed(licence, &rules.licenses.allow)).collect();
    assert_eq!(wrong, Vec::<&(String, String)>::new());
    Ok(())
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() -> Result<()> {
    let workspace = Workspace::load()?;
    let without: Vec<_> = workspace.members().filter(|package| !package.takes_workspace_lints()).collect();
    assert!(without.is_empty(), "no `[lints] workspace = true` in {without:?}");
    Ok(())
}

#[test]
fn no_declared_dependency_is_unused() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut unused = Vec::new();
    for package in workspace.members() {
        let names = unused::unused_dependencies(package)?;
        unused.extend(names.into_iter().map(|name| format!("{} declares {name}", package.name)));
    }
    assert_eq!(unused, Vec::<String>::new());
    Ok(())
}
