//! Documents and citations agree with the tree: `docs/threats.md` names code and tests that exist, code cites only what the
//! register has, and no file cites or links to a document that is not in the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Deepest folder that sources stand in.
const MAX_DEPTH: usize = 10;
/// The file that lists threats.
const REGISTER: &str = "docs/threats.md";
/// This file: it contains the forms that it looks for.
const THIS_FILE: &str = "chaos-tests/tests/it/documents.rs";
/// Citations of documents that the repository does not contain. A document of these names is cited with its folder.
const FOREIGN: [&str; 5] = ["../shared", "review F", "findings-2", "house-rules.md", "second-house.md"];
/// What no test of its own means in the register.
const WITHOUT_TEST: &str = "no test of its own";

/// A row of the table of what is built.
struct Built {
    defence: String,
    test: String,
}

/// The register: rows that are built, and the numbers of those that are not.
struct Register {
    built: BTreeMap<u32, Built>,
    unbuilt: BTreeSet<u32>,
}

pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Text of every file with one of `extensions`, by its path from the checkout.
pub(crate) fn files(extensions: &[&str]) -> Result<BTreeMap<String, String>> {
    let root = checkout();
    let mut found = BTreeMap::new();
    let mut folders = vec![(root.clone(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                let ours = name != "target" && name != "node_modules" && !name.starts_with('.');
                if ours && depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if name.rsplit_once('.').is_some_and(|(_, end)| extensions.contains(&end)) {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                found.insert(path.strip_prefix(&root)?.to_string_lossy().into_owned(), text);
            }
        }
    }
    Ok(found)
}

/// Names in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The number of a word like `T12`; `None` for any other word.
fn threat(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('T')?;
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Numbers of all threats that a text cites.
fn cited(text: &str) -> BTreeSet<u32> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').filter_map(threat).collect()
}

fn register() -> Result<Register> {
    let text = fs::read_to_string(checkout().join(REGISTER)).context("read the register")?;
    let mut register = Register { built: BTreeMap::new(), unbuilt: BTreeSet::new() };
    for line in text.lines().filter(|line| line.starts_with("| T")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let number = threat(cells[0]).with_context(|| format!("{:?} is not a threat's number", cells[0]))?;
        match cells[..] {
            [_, _, defence, test] => {
                let row = Built { defence: defence.to_owned(), test: test.to_owned() };
                ensure!(register.built.insert(number, row).is_none(), "T{number} is listed twice");
            }
            [_, _, _] => ensure!(register.unbuilt.insert(number), "T{number} is listed twice"),
            _ => anyhow::bail!("expected three or four cells in {line:?}"),
        }
    }
    Ok(register)
}

#[test]
fn every_threat_of_the_register_has_a_row() -> Result<()> {
    let register = register()?;
    let listed: BTreeSet<u32> = register.built.keys().chain(&register.unbuilt).copied().collect();
    let missing: Vec<u32> = (1..=46).filter(|number| !listed.contains(number)).collect();
    assert_eq!(missing, Vec::<u32>::new());
    Ok(())
}

#[test]
fn every_cited_threat_is_in_the_register() -> Result<()> {
    let register = register()?;
    let mut unknown = Vec::new();
    for (path, text) in files(&["rs", "md", "toml", "sh"])? {
        let missing = cited(&text).into_iter().filter(|number| {
            !register.built.contains_key(number) && !register.unbuilt.contains(number) && path != THIS_FILE
        });
        unknown.extend(missing.map(|number| format!("{path}: T{number}")));
    }
    assert_eq!(unknown, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_defence_and_test_of_the_register_exists() -> Result<()> {
    let sources = files(&["rs"])?;
    let mut functions = BTreeSet::new();
    for text in sources.values() {
        functions.extend(text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next()));
    }
    let mut faults = Vec::new();
    for (number, row) in register()?.built {
        let paths: Vec<&str> = quoted(&row.defence).filter(|name| name.contains('/')).collect();
        if paths.is_empty() {
            faults.push(format!("T{number} names no path"));
        }
        let absent = paths.into_iter().filter(|path| !checkout().join(path).exists());
        faults.extend(absent.map(|path| format!("T{number}: no file or folder {path}")));
        let tests: Vec<&str> = quoted(&row.test).collect();
        if tests.is_empty() && !row.test.starts_with(WITHOUT_TEST) {
            faults.push(format!("T{number} names no test"));
        }
        let absent = tests.into_iter().filter(|test| !functions.contains(test));
        faults.extend(absent.map(|test| format!("T{number}: no test {test}")));
    }
    assert_eq!(faults, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_built_threat_is_cited_by_code() -> Result<()> {
    let mut in_code = BTreeSet::new();
    for (path, text) in files(&["rs"])? {
        if path != THIS_FILE {
            in_code.extend(cited(&text));
        }
    }
    let silent: Vec<u32> = register()?.built.into_keys().filter(|number| !in_code.contains(number)).collect();
    assert_eq!(silent, Vec::<u32>::new());
    Ok(())
}

#[test]
fn no_file_cites_a_document_that_is_not_here() -> Result<()> {
    let mut faults = Vec::new();
    for (path, text) in files(&["rs", "md", "toml", "sh"])? {
        if path == THIS_FILE {
            continue;
        }
        faults.extend(FOREIGN.iter().filter(|form| text.contains(**form)).map(|form| format!("{path}: {form}")));
        // Documents named in backticks are paths from the checkout, or from the file that names them.
        for name in quoted(&text).filter(|name| name.ends_with(".md") && !name.contains(char::is_whitespace)) {
            let beside = checkout().join(&path).with_file_name(name);
            if !beside.exists() && !checkout().join(name).exists() {
                faults.push(format!("{path}: no document {name}"));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_link_leads_to_a_file() -> Result<()> {
    let mut broken = Vec::new();
    for (path, text) in files(&["md"])? {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !elsewhere && !checkout().join(&path).with_file_name(file).exists() {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    Ok(())
}
