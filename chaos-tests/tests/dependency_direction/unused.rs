//! Finds dependencies that a manifest declares and no source file of the package names.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};

use crate::graph::Package;

/// Names of declared crates that stand in no source file. A crate's name in a comment counts as a use: the check is for
/// the forgotten line, not for the clever one.
pub(crate) fn unused_dependencies(package: &Package) -> Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for folder in ["src", "tests", "benches", "examples"] {
        collect_words(&package.directory.join(folder), &mut words)?;
    }
    let build_script = package.directory.join("build.rs");
    if build_script.exists() {
        add_words(&build_script, &mut words)?;
    }
    let unused = package.libraries.iter().filter(|(_, library)| !words.contains(library));
    Ok(unused.map(|(name, _)| name.clone()).collect())
}

fn collect_words(folder: &Path, words: &mut BTreeSet<String>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect_words(&path, words)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            add_words(&path, words)?;
        }
    }
    Ok(())
}

fn add_words(file: &Path, words: &mut BTreeSet<String>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    words.extend(text.split(|character| !is_part(character)).map(str::to_owned));
    Ok(())
}
