//! Every program that code of this repository starts is one that `scripts/setup.sh` asks for: what happens to be installed
//! on one machine is missing on the next.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::documents::files;

/// Programs of packages that every Debian system has (Debian Policy, section 3.8), and of the Rust toolchain.
const ALWAYS_THERE: [&str; 7] = ["sh", "env", "sleep", "true", "date", "mkfifo", "cargo"];
/// A program's way to start itself: `/proc/self/exe`.
const ITSELF: &str = "exe";
/// What starts a program, and which of its arguments, counted from zero, names it.
const STARTS: [(&str, usize); 2] = [("Command::new(", 0), ("Program::system(", 1)];

/// The argument with this number if it is a string literal; `text` begins after the opening parenthesis.
fn literal(text: &str, number: usize) -> Option<&str> {
    let (mut depth, mut argument, mut begin) = (0_usize, 0, 0);
    for (at, character) in text.char_indices().take(400) {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                if argument == number {
                    return text[begin..at].trim().strip_prefix('"')?.strip_suffix('"');
                }
                if character == ')' {
                    return None;
                }
                (argument, begin) = (argument + 1, at + 1);
            }
            _ => {}
        }
    }
    None
}

/// Names of programs in a source file.
fn started(source: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (start, number) in STARTS {
        for (at, _) in source.match_indices(start) {
            let name = literal(&source[at + start.len()..], number);
            let name = name.and_then(|path| path.rsplit('/').next());
            let plain = |name: &&str| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            };
            found.extend(name.filter(plain));
        }
    }
    found
}

#[test]
fn setup_asks_for_every_program_that_is_started() -> Result<()> {
    let files = files(&["rs", "sh"])?;
    let setup = files.get("scripts/setup.sh").context("scripts/setup.sh is missing")?;
    let words = |line: &str| -> Vec<String> {
        line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').map(str::to_owned).collect()
    };
    let lines = setup.lines().filter(|line| !line.trim_start().starts_with('#'));
    let asked: BTreeSet<String> = lines.flat_map(words).collect();
    let sources = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let all: BTreeSet<&str> = sources.flat_map(|(_, text)| started(text)).collect();
    for known in ["slapd", "iperf3", "ip", "curl"] {
        ensure!(all.contains(known), "{known} is not found in the sources any more: {all:?}");
    }
    let missing: Vec<_> =
        all.iter().filter(|name| **name != ITSELF && !ALWAYS_THERE.contains(name) && !asked.contains(**name)).collect();
    ensure!(missing.is_empty(), "scripts/setup.sh does not ask for {missing:?}");
    Ok(())
}
