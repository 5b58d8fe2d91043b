//! What `make defences` takes out agrees with the tree: every patch still applies and names a test that exists, and every
//! promise of `docs/security.md` has one, or a reason why not. That the tests fail without the defences is seen by
//! `scripts/defences.sh`, which takes hours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// Folder of the patches.
const PATCHES: &str = "chaos-tests/defences";
/// The document whose table rows are the promises.
const PROMISES: &str = "docs/security.md";
/// The register of threats.
const REGISTER: &str = "docs/threats.md";
/// What was seen, and the promises without a patch.
const TABLE: &str = "docs/defences.md";
/// Title of the list of these.
const WITHOUT: &str = "## Promises without a patch";

/// A patch that takes a defence out.
struct Patch {
    /// Beginnings of promises, and numbers of threats.
    claims: Vec<String>,
    taken_out: String,
    test: String,
    /// Files that it changes, from the checkout.
    changes: Vec<String>,
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(checkout().join(path)).with_context(|| format!("read {path}"))
}

/// All patches by their names without `.patch`.
fn patches() -> Result<BTreeMap<String, Patch>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(checkout().join(PATCHES)).context("list the patches")? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let name = file.strip_suffix(".patch").with_context(|| format!("{PATCHES}/{file} is no patch"))?;
        let patch = parse(&read(&format!("{PATCHES}/{file}"))?).with_context(|| file.clone())?;
        found.insert(name.to_owned(), patch);
    }
    ensure!(!found.is_empty(), "{PATCHES} is empty");
    Ok(found)
}

fn parse(text: &str) -> Result<Patch> {
    let (head, _) = text.split_once("diff --git ").context("a patch is wanted in the form of `git diff`")?;
    let all = |key: &str| -> Vec<String> {
        head.lines().filter_map(|line| line.strip_prefix(key)).map(|rest| rest.trim().to_owned()).collect()
    };
    let one = |key: &str| match &all(key)[..] {
        [only] => Ok(only.clone()),
        other => bail!("one line {key:?} is wanted, there are {}", other.len()),
    };
    let changes = text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(str::to_owned).collect();
    Ok(Patch { claims: all("Claim: "), taken_out: one("Taken out: ")?, test: one("Test: ")?, changes })
}

/// First cells of the rows of the table of promises.
fn promises() -> Result<Vec<String>> {
    let text = read(PROMISES)?;
    let rows = text.lines().skip_while(|line| !line.starts_with("| promise |")).skip(2);
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line[1..].split(" | ").next());
    let promises: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
    ensure!(promises.len() > 40, "the table of {PROMISES} has another form than before");
    Ok(promises)
}

/// Beginnings of the promises that have no patch, and why.
fn without_patch() -> Result<BTreeMap<String, String>> {
    let text = read(TABLE)?;
    let (_, list) = text.split_once(WITHOUT).with_context(|| format!("{TABLE} has no {WITHOUT:?}"))?;
    let rows = list.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells = rows.map(|line| line.trim_matches('|').split_once(" | ").with_context(|| format!("cells of {line:?}")));
    cells.map(|row| row.map(|(promise, why)| (promise.trim().to_owned(), why.trim().to_owned()))).collect()
}

/// Numbers of threats that are built.
fn threats() -> Result<BTreeSet<String>> {
    let text = read(REGISTER)?;
    let rows = text.lines().take_while(|line| !line.starts_with("## Not built"));
    let numbers = rows.filter_map(|line| line.strip_prefix("| T")?.split(' ').next());
    Ok(numbers.map(|number| format!("T{number}")).collect())
}

/// The value of `key(=value)` in a filter expression.
fn part<'a>(expression: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = expression.split_once(&format!("{key}(="))?;
    rest.split(')').next()
}

/// Why a filter expression selects no test, as far as the sources tell.
fn missing(expression: &str) -> Option<String> {
    let selected = part(expression, "package").and_then(|name| name.strip_prefix("ringwall-"));
    let (Some(package), Some(test)) = (selected, part(expression, "test")) else {
        return Some("it names no package of ours, or no test".to_owned());
    };
    let folder = match part(expression, "binary") {
        Some(binary) => format!("{package}/tests/{binary}"),
        None if expression.contains("kind(lib)") => format!("{package}/src"),
        None => return Some("kind(lib) or binary(=…) is wanted".to_owned()),
    };
    let (modules, name) = test.rsplit_once("::").unwrap_or(("", test));
    // `mod tests` stands in a file of its own, or at the end of the file that it tests.
    let within = [Some(modules), modules.strip_suffix("::tests"), (modules == "tests").then_some("")];
    let mut files = within.into_iter().flatten().flat_map(|modules| match modules {
        "" => ["lib", "main"].map(|file| format!("{folder}/{file}.rs")),
        _ => [format!("{folder}/{}.rs", modules.replace("::", "/")), String::new()],
    });
    let declared = |text: String| text.contains(&format!("fn {name}("));
    let found = files.any(|file| read(&file).is_ok_and(declared));
    (!found).then(|| format!("no test {test} in {folder}"))
}

#[test]
fn every_patch_applies_and_changes_no_test() -> Result<()> {
    let mut faults = Vec::new();
    for (name, patch) in patches()? {
        let checked = Command::new("git")
            .args(["apply", "--check", &format!("{PATCHES}/{name}.patch")])
            .current_dir(checkout())
            .output()
            .context("git is wanted for checking patches")?;
        if !checked.status.success() {
            faults.push(format!("{name} does not apply any more: {}", String::from_utf8_lossy(&checked.stderr)));
        }
        let is_test = |file: &&String| file.contains("/tests/") || file.ends_with("tests.rs");
        faults.extend(patch.changes.iter().filter(is_test).map(|file| format!("{name} changes a test: {file}")));
    }
    assert!(
        faults.is_empty(),
        "make the patches anew, by scripts/defences.sh --renew if git can merge them:\n{}",
        faults.join("\n")
    );
    Ok(())
}

#[test]
fn every_patch_names_a_test_that_exists() -> Result<()> {
    let faults: Vec<String> = patches()?
        .into_iter()
        .filter_map(|(name, patch)| missing(&patch.test).map(|why| format!("{name}: {}: {why}", patch.test)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn every_promise_has_a_patch_or_a_reason_and_no_patch_another_claim() -> Result<()> {
    let (patches, promises, threats, without) = (patches()?, promises()?, threats()?, without_patch()?);
    let mut faults = Vec::new();
    let known = |claim: &str| promises.iter().filter(|promise| promise.starts_with(claim)).count() == 1;
    for (name, patch) in &patches {
        if !patch.claims.iter().any(|claim| known(claim)) {
            faults.push(format!("{name} has no line `Claim:` that begins one promise of {PROMISES}"));
        }
        let unknown = patch.claims.iter().filter(|claim| !threats.contains(*claim) && !known(claim));
        faults.extend(unknown.map(|claim| format!("{name}: {claim:?} begins no promise or several, and is no threat")));
    }
    for (claim, why) in &without {
        if !known(claim) || why.len() < 20 {
            faults.push(format!("{TABLE}: {claim:?} begins no promise, or no reason stands beside it"));
        }
    }
    for promise in &promises {
        let begins = |claim: &String| promise.starts_with(claim.as_str());
        let has_patch = patches.values().flat_map(|patch| &patch.claims).any(begins);
        match (has_patch, without.keys().any(begins)) {
            (true, false) | (false, true) => {}
            (true, true) => faults.push(format!("{TABLE} says that there is no patch for {promise:?}, but there is")),
            (false, false) => faults.push(format!("nobody takes out what keeps {promise:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn the_table_of_defences_has_every_patch_and_no_other() -> Result<()> {
    let (patches, table) = (patches()?, read(TABLE)?);
    let (listed, _) = table.split_once(WITHOUT).with_context(|| format!("{TABLE} has no {WITHOUT:?}"))?;
    let listed: BTreeSet<&str> = listed.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let cell = |text: &str| text.replace('|', "\\|");
    let rows: BTreeSet<String> = patches
        .iter()
        .map(|(name, patch)| {
            let (claims, taken_out, test) = (&patch.claims.join("; "), &patch.taken_out, &patch.test);
            format!("| {name} | {} | {} | `{}` | ", cell(claims), cell(taken_out), cell(test))
        })
        .collect();
    let absent: Vec<&String> = rows.iter().filter(|row| !listed.iter().any(|line| line.starts_with(*row))).collect();
    assert!(absent.is_empty(), "scripts/defences.sh --table writes these rows of {TABLE}:\n{absent:#?}");
    assert_eq!(listed.len(), rows.len(), "scripts/defences.sh --table takes out of {TABLE} what has no patch");
    Ok(())
}
