//! The captured output of a lab's process: searchable, and with its errors found.
//!
//! Output of restarts of the same process is appended. Reads never disturb the writer. Understands the two forms that the
//! product's programs write, tracing's JSON and tracing's text.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::lab::wait;

/// Lines of a log that are printed when something failed: enough to see the last few events.
const TAIL: usize = 20;

/// One process's captured output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log at a path; it need not exist yet.
    #[must_use]
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text so far, without terminal colours.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        without_colours(&String::from_utf8_lossy(&bytes))
    }

    /// Length so far in bytes of the file; a position for [`Self::wait_for_after`].
    #[must_use]
    pub fn position(&self) -> usize {
        self.text().len()
    }

    /// The lines that contain a text.
    #[must_use]
    pub fn lines_with(&self, needle: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(needle)).map(str::to_owned).collect()
    }

    /// Waits for a line that contains a text and returns the first one.
    pub fn wait_for(&self, needle: &str, timeout: Duration) -> Result<String> {
        self.wait_for_after(0, needle, timeout)
    }

    /// Waits for a line that contains a text and was written after a [`Self::position`].
    pub fn wait_for_after(&self, position: usize, needle: &str, timeout: Duration) -> Result<String> {
        let what = format!("'{needle}' in {}", self.path.display());
        wait::for_value(&what, timeout, || {
            let text = self.text();
            let new = text.get(position..).unwrap_or_default();
            new.lines().find(|line| line.contains(needle)).map(str::to_owned)
        })
        .map_err(|error| anyhow!("{error}; it ends with:\n{}", self.tail()))
    }

    /// The last lines.
    #[must_use]
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Every line in which the process reported a broken promise: level ERROR, or a panic.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.text().lines().filter(|line| is_error(line)).map(str::to_owned).collect()
    }

    pub(super) fn open_for_writing(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("open {}", self.path.display()))
    }
}

/// True for a line that says ERROR as tracing prints it, or for a Rust panic.
fn is_error(line: &str) -> bool {
    if line.contains("panicked at ") {
        return true;
    }
    if line.starts_with('{') {
        let level = serde_json::from_str::<Value>(line).ok().and_then(|event| event.get("level").cloned());
        return level.is_some_and(|level| level == "ERROR");
    }
    // `2026-01-01T00:00:00Z ERROR target: …`, or without the time.
    line.split_whitespace().take(2).any(|word| word == "ERROR")
}

/// Drops `ESC [ … letter` sequences.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
        } else if characters.next() == Some('[') {
            characters.find(char::is_ascii_alphabetic);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_in_both_forms_and_nowhere_else() {
        assert!(is_error(r#"{"timestamp":"2026-01-01T00:00:00Z","level":"ERROR","fields":{"message":"broken"}}"#));
        assert!(is_error("2026-01-01T00:00:00Z ERROR ringwall_gateway: broken"));
        assert!(is_error("thread 'main' panicked at src/main.rs:3:5:"));
        assert!(!is_error(r#"{"level":"INFO","fields":{"message":"no ERROR here"}}"#));
        assert!(!is_error("2026-01-01T00:00:00Z  INFO ringwall_gateway: peer said ERROR"));
    }

    #[test]
    fn colours_are_dropped() {
        assert_eq!(without_colours("\u{1b}[2mtime\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m x"), "time ERROR x");
    }
}
