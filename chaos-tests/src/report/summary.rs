//! The table at the end, and the same as JSON.

use std::{fmt::Write, time::Duration};

use serde::Serialize;

use super::seconds;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// Something was not as promised.
    Failed,
    /// Everything was as promised.
    Held,
    /// An earlier step failed.
    Skipped,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The value with its unit.
    pub(crate) value: String,
}

/// All steps so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    steps: Vec<Line>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    title: String,
    outcome: Outcome,
    seconds: f64,
    figures: Vec<Figure>,
}

impl Summary {
    /// How many steps there were.
    #[must_use]
    pub(crate) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// True if any step failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.steps.iter().any(|line| line.outcome == Outcome::Failed)
    }

    /// The table, with a way to write an outcome.
    #[must_use]
    pub(crate) fn table(&self, outcome: impl Fn(Outcome) -> String) -> String {
        let width = self.steps.iter().map(|line| line.title.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for (index, line) in self.steps.iter().enumerate() {
            let ran = line.outcome != Outcome::Skipped;
            let took = if ran { seconds(Duration::from_secs_f64(line.seconds)) } else { "–".to_owned() };
            let _ = writeln!(text, "{:>2}  {:<width$}  {took:>8}  {}", index + 1, line.title, outcome(line.outcome));
        }
        let figures: Vec<&Figure> = self.steps.iter().flat_map(|line| &line.figures).collect();
        let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
        if !figures.is_empty() {
            text.push('\n');
        }
        for figure in figures {
            let _ = writeln!(text, "    {:<width$}  {}", figure.name, figure.value);
        }
        text
    }

    pub(super) fn add(&mut self, title: &str, outcome: Outcome, took: Duration, figures: Vec<Figure>) {
        self.steps.push(Line { title: title.to_owned(), outcome, seconds: took.as_secs_f64(), figures });
    }
}
