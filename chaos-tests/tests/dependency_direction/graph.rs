//! What cargo says about the workspace: its packages, what they declare, and what would really be built.
//!
//! `cargo metadata` also lists optional crates that a lock file merely mentions; `cargo tree` lists what is built. So
//! declarations come from the former and facts from the latter.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What `cargo tree` writes behind a package whose branches it has shown already.
const SEEN_BEFORE: &str = " (*)";

/// The workspace's members.
pub(crate) struct Workspace {
    root: PathBuf,
    members: Vec<Package>,
}

/// One package of ours.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// Names of what it declares, of all kinds.
    pub(crate) dependencies: BTreeSet<String>,
    /// The same as source code names them.
    pub(crate) libraries: BTreeSet<(String, String)>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform];
        let json = cargo(Path::new("."), &arguments)?;
        let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata prints JSON")?;
        let members = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
        Ok(Self {
            members: members.map(|package| Package::new(package, &metadata.packages)).collect(),
            root: metadata.workspace_root,
        })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// All packages of ours.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter()
    }

    /// Names of all crates that are built into a package (not those of its tests).
    pub(crate) fn built_into(&self, package: &str) -> Result<BTreeSet<String>> {
        let lines = self.tree(&["--package", package, "--edges", "normal,build", "--format", "{p}"])?;
        Ok(lines.lines().filter_map(first_word).collect())
    }

    /// Every crate of the tree that is not ours, tests included, with its licence.
    pub(crate) fn licences(&self) -> Result<BTreeSet<(String, String)>> {
        let lines = self.tree(&["--workspace", "--edges", "all", "--format", "{p}|{l}"])?;
        let pairs = lines.lines().filter_map(|line| line.split_once('|'));
        Ok(pairs
            .filter_map(|(package, licence)| {
                Some((first_word(package)?, licence.trim_end_matches(SEEN_BEFORE).trim().to_owned()))
            })
            .filter(|(name, _)| !name.starts_with("ringwall-"))
            .collect())
    }

    /// Every package that is built for the programs, or for the tests as well, each with its version and features.
    pub(crate) fn features(&self, edges: &str) -> Result<BTreeSet<String>> {
        let lines = self.tree(&["--workspace", "--edges", edges, "--format", "{p} {f}"])?;
        Ok(lines.lines().map(|line| line.trim_end_matches(SEEN_BEFORE).trim().to_owned()).collect())
    }

    /// Names of the packages that depend on a crate directly; none if it is not built at all.
    pub(crate) fn direct_users(&self, name: &str) -> Result<BTreeSet<String>> {
        let arguments = ["--workspace", "--edges", "all", "--depth", "1", "--format", "{p}", "--invert", name];
        // cargo has no crate of this name at all, or several versions of it: then each is asked for by itself.
        let Ok(lines) = self.tree(&arguments) else {
            return self.users_of_versions(name);
        };
        Ok(users(&lines, name))
    }

    fn users_of_versions(&self, name: &str) -> Result<BTreeSet<String>> {
        let everything = self.tree(&["--workspace", "--edges", "all", "--format", "{p}"])?;
        let versions: BTreeSet<String> = everything
            .lines()
            .filter(|line| first_word(line).as_deref() == Some(name))
            .filter_map(|line| line.split_whitespace().nth(1))
            .map(|version| format!("{name}@{}", version.trim_start_matches('v')))
            .collect();
        let mut found = BTreeSet::new();
        for version in versions {
            let arguments = ["--workspace", "--edges", "all", "--depth", "1", "--format", "{p}", "--invert", &version];
            found.extend(users(&self.tree(&arguments)?, name));
        }
        Ok(found)
    }

    fn tree(&self, arguments: &[&str]) -> Result<String> {
        cargo(&self.root, &[&["tree", "--locked", "--prefix", "none"], arguments].concat())
    }
}

impl Package {
    fn new(package: &MetadataPackage, all: &[MetadataPackage]) -> Self {
        let dependencies: BTreeSet<String> = package.dependencies.iter().map(|used| used.name.clone()).collect();
        let library = |name: &String| {
            let found = all.iter().find(|other| other.name == *name).and_then(MetadataPackage::library);
            (name.clone(), found.unwrap_or_else(|| name.clone()).replace('-', "_"))
        };
        Self {
            name: package.name.clone(),
            directory: package.manifest_path.parent().map(Path::to_owned).unwrap_or_default(),
            libraries: dependencies.iter().map(library).collect(),
            dependencies,
        }
    }

    /// True if the manifest says `[lints] workspace = true`.
    pub(crate) fn takes_workspace_lints(&self) -> bool {
        let manifest = fs::read_to_string(self.directory.join("Cargo.toml")).unwrap_or_default();
        let parsed: toml::Table = manifest.parse().unwrap_or_default();
        parsed.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    }
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    workspace_members: BTreeSet<String>,
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    id: String,
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
    targets: Vec<MetadataTarget>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    name: String,
    kind: Vec<String>,
}

impl MetadataPackage {
    /// The name of its library in source code.
    fn library(&self) -> Option<String> {
        let is_library = |kind: &String| kind.ends_with("lib") || kind == "proc-macro";
        self.targets.iter().find(|target| target.kind.iter().any(is_library)).map(|target| target.name.clone())
    }
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
}

/// Runs cargo, the one that runs this test if one does.
fn cargo(directory: &Path, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).current_dir(directory).args(arguments).output().context("run cargo")?;
    ensure!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The users of a crate among the lines of an inverted tree; the crate itself is the first line.
fn users(lines: &str, name: &str) -> BTreeSet<String> {
    lines.lines().filter_map(first_word).filter(|user| user != name).collect()
}

/// `name v1.2.3 (path)`: the name.
fn first_word(line: &str) -> Option<String> {
    let word = line.split_whitespace().next()?;
    (!word.starts_with('[')).then(|| word.to_owned())
}
