//! Writing to standard output, where a reader that has gone is no error.

use std::io::{self, Write};

use clap::CommandFactory;

use super::Cli;
use crate::failure::{Exit, Failure};

/// Prints a line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    ended(writeln!(io::stdout(), "{text}"))
}

/// Prints a value as indented JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).expect("our own values serialise"))
}

/// Prints a value as one line of JSON, for streams.
pub(super) fn json_line<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    line(&serde_json::to_string(value).expect("our own values serialise"))
}

/// Says something to the person at the terminal.
pub(super) fn note(text: &str) {
    // Nobody reads it.
    let _gone = writeln!(io::stderr(), "{text}");
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ringwall", &mut text);
    ended(io::stdout().write_all(&text))
}

fn ended(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Unexpected, error, "check where standard output goes"))
        }
        _ => Ok(()),
    }
}
