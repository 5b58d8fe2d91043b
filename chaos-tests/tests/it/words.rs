//! Words that `docs/glossary.md` lists as not used appear nowhere else: names of code as whole words or parts of names, and
//! phrases of messages and comments.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::documents::files;

/// The files that have to list the words.
const LISTS: [&str; 2] = ["docs/glossary.md", "chaos-tests/tests/it/words.rs"];
/// Ends of the files that are read: all that people write here. Seeds of fuzz targets and encodings are bytes.
const EXTENSIONS: [&str; 12] = ["rs", "md", "toml", "sh", "txt", "yaml", "yml", "svg", "py", "html", "js", "patch"];
/// Names of types, as whole words.
const TYPES: [&str; 7] = ["Fruits", "Strangers", "Crowd", "Wishes", "Proved", "Stood", "Halfway"];
/// Parts of any name, in any case.
const PARTS: [&str; 8] = ["doorkeeper", "doorman", "newsroom", "harvest", "lose_patience", "pardon", "bury", "buried"];
/// Names that others read, and that therefore stay: an event of the audit.
const KEPT: [&str; 1] = ["user_pardoned"];
/// Names of source files, without their end.
const MODULES: [&str; 5] = ["strangers", "crowd", "fruits", "wishes", "halfway"];
/// Phrases, in any case; a line break in a comment does not hide one.
const PHRASES: [&str; 10] = [
    "another life",
    "former life",
    "older life",
    "new life",
    "life of the collective",
    "took a packet not",
    "that was not yet",
    "of no use",
    "no message of this version",
    "sign-in that was not",
];

/// Words of a text: letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

/// The text in lower case on one line, without the signs that begin comment lines.
fn flattened(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!', '#', '*']).trim());
    lines.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Every banned word of a file.
fn banned(path: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    found.extend(
        MODULES.iter().filter(|module| path.ends_with(".rs") && **module == stem).map(|name| format!("file {name}")),
    );
    for word in words(text) {
        let lower = word.to_lowercase();
        if KEPT.contains(&word) {
            continue;
        }
        if TYPES.contains(&word) || PARTS.iter().any(|part| lower.contains(part)) {
            found.insert(word.to_owned());
        }
    }
    let flat = flattened(text);
    found.extend(PHRASES.iter().filter(|phrase| flat.contains(**phrase)).map(|phrase| format!("{phrase:?}")));
    found
}

#[test]
fn banned_words_are_found_in_names_files_and_phrases() {
    let text = "/// The collective began another\n/// life.\nfn pardon_user(wishes: Wishes) {}";
    let found = banned("a/src/crowd.rs", text);
    let wanted = ["\"another life\"", "Wishes", "file crowd", "pardon_user"];
    assert_eq!(found, wanted.iter().map(|word| (*word).to_owned()).collect());
}

#[test]
fn words_that_the_glossary_replaces_are_not_used() -> Result<()> {
    let mut faults = Vec::new();
    for (path, text) in files(&EXTENSIONS)? {
        if !LISTS.contains(&path.as_str()) {
            faults.extend(banned(&path, &text).into_iter().map(|word| format!("{path}: {word}")));
        }
    }
    assert!(faults.is_empty(), "docs/glossary.md has the words to use instead of:\n{}", faults.join("\n"));
    Ok(())
}
