//! `docs/troubleshooting.md` is true: every message in it is one that a program says, and everything that keeps a program from
//! starting has a row in it.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use ringwall_startup::Obstacle;

use crate::documents::{checkout, files};

const DOCUMENT: &str = "docs/troubleshooting.md";
/// What stands for the part of a message that differs.
const GAP: char = '…';
/// Shorter pieces of a message prove nothing.
const SHORTEST: usize = 6;
/// Errors that keep a program from starting: each of their messages has a row.
const START_UP: [&str; 14] = [
    "startup/src/directory.rs",
    "startup/src/listening.rs",
    "startup/src/requirements.rs",
    "trust/src/secret/file.rs",
    "trust/src/spa/journal_file.rs",
    "kernel/src/guard.rs",
    "kernel/src/descriptors.rs",
    "raft/src/data_dir.rs",
    "collective/src/setup/data_dir/error.rs",
    "collective/src/process.rs",
    "gateway/src/config.rs",
    "gateway/src/data_dir.rs",
    "gateway/src/process/preflight.rs",
    "client/src/store.rs",
];

/// Text as it is compared: on one line, in lower case, without backticks.
fn plain(text: &str) -> String {
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Source text with its string literals as they are said: continued lines joined, quotes unescaped.
fn said(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("\\\n") {
        text.push_str(before);
        rest = after.trim_start();
    }
    text.push_str(rest);
    plain(&text.replace("\\\"", "\"").replace("\\n", " "))
}

/// Literal pieces of a text whose gaps are at `is_gap`, without the punctuation around gaps.
fn pieces(text: &str, is_gap: impl Fn(char) -> bool) -> Vec<String> {
    let pieces = text.split(is_gap).map(|piece| piece.trim_matches([' ', ':', ';', ',', '"', '(', ')']).to_owned());
    pieces.filter(|piece| piece.len() >= SHORTEST).collect()
}

/// First cells of the document's tables of messages.
fn messages(document: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut of_messages = false;
    for line in document.lines() {
        let Some(row) = line.strip_prefix("| ") else {
            of_messages = false;
            continue;
        };
        let first = row.split(" | ").next().unwrap_or_default();
        match first {
            "message" => of_messages = true,
            "---" => {}
            first if of_messages => found.push(first),
            _ => {}
        }
    }
    found
}

/// The message of every `#[error("…")]` of a file, formats and all.
fn errors(source: &str) -> Vec<String> {
    let literals = source.split("#[error(").skip(1).filter_map(|rest| {
        let literal = rest.trim_start().strip_prefix('"')?;
        let end = literal.char_indices().find(|(at, sign)| *sign == '"' && !literal[..*at].ends_with('\\'))?.0;
        Some(literal[..end].to_owned())
    });
    literals.map(|literal| said(&literal)).collect()
}

/// Literal pieces of a format string.
fn format_pieces(format: &str) -> Vec<String> {
    let mut open = 0_usize;
    let gapped: String = format
        .chars()
        .map(|sign| {
            open += usize::from(sign == '{');
            let inside = open > 0;
            open -= usize::from(sign == '}' && open > 0);
            if inside { GAP } else { sign }
        })
        .collect();
    pieces(&gapped, |sign| sign == GAP)
}

fn document() -> Result<String> {
    fs::read_to_string(checkout().join(DOCUMENT)).context("read the document")
}

#[test]
fn every_message_of_the_document_is_one_that_a_program_says() -> Result<()> {
    let document = document()?;
    let sources: Vec<String> = files(&["rs", "txt"])?
        .into_iter()
        .filter(|(path, _)| path.contains("/src/") || path.contains("tests/golden/"))
        .map(|(_, text)| said(&text))
        .collect();
    let messages = messages(&document);
    ensure!(messages.len() > 80, "{} messages were found", messages.len());
    let mut unsaid = BTreeSet::new();
    for message in messages {
        let message = plain(message);
        let pieces = pieces(&message, |sign| sign == GAP);
        ensure!(!pieces.is_empty() || message.contains(GAP), "{message:?} says nothing");
        unsaid.extend(pieces.into_iter().filter(|piece| !sources.iter().any(|source| source.contains(piece.as_str()))));
    }
    assert_eq!(unsaid, BTreeSet::new());
    Ok(())
}

#[test]
fn everything_that_keeps_a_program_from_starting_has_a_row() -> Result<()> {
    let document = plain(&document()?);
    let mut missing = Vec::new();
    for obstacle in Obstacle::ALL {
        if !document.contains(&plain(obstacle.advice())) {
            missing.push(format!("{obstacle:?}: {}", obstacle.advice()));
        }
    }
    for path in START_UP {
        let source = fs::read_to_string(checkout().join(path)).with_context(|| path.to_owned())?;
        let errors = errors(&source);
        ensure!(!errors.is_empty(), "{path} has no errors");
        for piece in errors.iter().flat_map(|error| format_pieces(error)) {
            if !document.contains(&piece) {
                missing.push(format!("{path}: {piece}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

#[test]
fn messages_are_taken_apart_where_they_differ() {
    let code = "#[error(\n    \"cannot use \\\"{path}\\\": {why}; find \\\n     out\"\n)]";
    assert_eq!(errors(code), ["cannot use \"{path}\": {why}; find out"]);
    assert_eq!(format_pieces("cannot use \"{path}\": {why}; find out"), ["cannot use", "find out"]);
    assert_eq!(messages("| message | x |\n| --- | --- |\n| `a …` | b |\n\n| other | x |\n| c | d |"), ["`a …`"]);
}
