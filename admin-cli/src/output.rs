//! How results are shown: tables for people, JSON or YAML for programs; complaints on standard error.

use std::io::Write;

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs and files.
    Yaml,
}

/// A table: column titles and rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Titles.
    pub(crate) titles: Vec<&'static str>,
    /// Cells, as many as titles.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Format {
    /// Prints `value` as it is, or the table that `rows` makes of it.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn print<T: Serialize>(self, value: &T, rows: impl FnOnce(&T) -> Rows) -> Result<()> {
        match self {
            Self::Table => say(&rows(value).to_string()),
            Self::Json => say(&serde_json::to_string_pretty(value)?),
            Self::Yaml => say(serde_saphyr::to_string(value).context("cannot write YAML")?.trim_end()),
        }
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rows.is_empty() {
            return f.write_str("nothing");
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(self.titles.iter().map(|title| title.to_uppercase()));
        for row in &self.rows {
            table.add_row(row);
        }
        let text = table.to_string();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Prints a line to standard output. A reader that has gone away (`| head`) is no failure.
///
/// # Errors
/// If standard output fails otherwise.
pub(crate) fn say(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Prints a remark to standard error; if even that fails there is nobody to tell.
pub(crate) fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Prints a failure with its causes to standard error.
pub fn complain(error: &anyhow::Error) {
    if error.downcast_ref::<crate::exit_code::Negative>().is_none() {
        remark(&format!("ringctl: {error:#}"));
    }
}
