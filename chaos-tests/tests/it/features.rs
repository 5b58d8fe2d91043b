//! `docs/features.md` cannot rot: every row is there once, has a state that means something, and every test that it names
//! exists in the source.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Rows of the table: S1 to S62.
const ROWS: u32 = 62;
/// Deepest folder that sources stand in.
const MAX_DEPTH: usize = 8;

/// One row.
struct Row {
    state: String,
    proof: String,
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rows() -> Result<BTreeMap<u32, Row>> {
    let text = fs::read_to_string(checkout().join("docs/features.md")).context("read docs/features.md")?;
    let mut rows = BTreeMap::new();
    let numbered =
        |line: &&str| line.strip_prefix("| S").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    for line in text.lines().filter(numbered) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, state, _, proof] = cells[..] else { anyhow::bail!("five cells are expected in {line:?}") };
        let number = name.strip_prefix('S').and_then(|number| number.parse().ok());
        let number = number.with_context(|| format!("{name:?} is no row's name"))?;
        let row = Row { state: state.to_owned(), proof: proof.to_owned() };
        ensure!(rows.insert(number, row).is_none(), "{name} stands there twice");
    }
    Ok(rows)
}

/// Names in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Names of all functions in the sources of our packages.
fn functions() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut folders = vec![(checkout(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() && depth < MAX_DEPTH && name != "target" && !name.starts_with('.') {
                folders.push((path, depth + 1));
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                let declared = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
                names.extend(declared.map(str::to_owned));
            }
        }
    }
    Ok(names)
}

#[test]
fn every_row_of_the_features_is_there_once_with_its_state() -> Result<()> {
    let rows = rows()?;
    let numbers: Vec<u32> = rows.keys().copied().collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    for (number, row) in &rows {
        let (state, rest) = row.state.split_once(':').unwrap_or((&row.state, ""));
        match state {
            "holds" => assert!(quoted(&row.proof).next().is_some(), "S{number} holds, and no test proves it"),
            "partly" | "left" => assert!(!rest.trim().is_empty(), "S{number} is {state}, without a reason"),
            other => panic!("S{number} is {other:?}; expected holds, partly or left"),
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_features_name_exists() -> Result<()> {
    let known = functions()?;
    assert!(known.contains("every_test_that_the_features_name_exists"), "sources are found");
    let mut missing = Vec::new();
    for (number, row) in rows()? {
        missing
            .extend(quoted(&row.proof).filter(|test| !known.contains(*test)).map(|test| format!("S{number}: {test}")));
    }
    let text = fs::read_to_string(checkout().join("docs/features.md"))?;
    for heading in ["## Attacks on whoever is already inside", "## What one caller can use up"] {
        let (_, section) = text.split_once(heading).with_context(|| format!("the table under {heading:?}"))?;
        let section = section.split("\n## ").next().unwrap_or_default();
        // The proof stands in the last column.
        let proofs = section.lines().filter_map(|line| line.strip_suffix('|')?.rsplit('|').next());
        let tests: Vec<_> = proofs.flat_map(quoted).collect();
        assert!(!tests.is_empty(), "the table under {heading:?} names tests");
        missing
            .extend(tests.into_iter().filter(|test| !known.contains(*test)).map(|test| format!("{heading}: {test}")));
    }
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}
