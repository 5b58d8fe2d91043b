//! What the demonstration tells its audience: numbered steps, what each proved, how long it took, and a table at the end.
//!
//! Once a step fails the later ones are skipped, and the exit code says so. Colours only on a terminal, and not if `NO_COLOR`
//! is set. Output that cannot be written is not worth failing for.

mod summary;

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;

pub(crate) use self::summary::{Figure, Outcome, Summary};

/// Tells the steps as they happen.
#[derive(Debug)]
pub struct Report {
    style: Style,
    summary: Summary,
}

/// A step that runs.
#[derive(Debug)]
pub struct Step {
    style: Style,
    last: Instant,
    figures: Vec<Figure>,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
struct Style {
    coloured: bool,
}

impl Report {
    /// Tells on standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let coloured = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { style: Style { coloured }, summary: Summary::default() }
    }

    /// Runs a step, unless an earlier one failed.
    pub fn step(&mut self, title: &str, work: impl FnOnce(&mut Step) -> Result<()>) {
        let number = self.summary.steps() + 1;
        if self.summary.failed() {
            self.summary.add(title, Outcome::Skipped, Duration::ZERO, Vec::new());
            return;
        }
        tell(&format!("\n{} {}", self.style.bold(&format!("{number}.")), self.style.bold(title)));
        let start = Instant::now();
        let mut step = Step { style: self.style, last: start, figures: Vec::new() };
        let outcome = match work(&mut step) {
            Ok(()) => Outcome::Held,
            Err(error) => {
                tell(&format!("   {} {error:#}", self.style.red("✗")));
                Outcome::Failed
            }
        };
        self.summary.add(title, outcome, start.elapsed(), step.figures);
    }

    /// A line between steps.
    pub(crate) fn say(&self, text: &str) {
        tell(text);
    }

    /// Prints the table.
    pub fn print_summary(&self) {
        tell(&format!("\n{}", self.summary.table(|outcome| self.style.outcome(outcome))));
    }

    /// What happened.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Success only if every step held.
    #[must_use]
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.summary.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

impl Step {
    /// Says what was just proved; the time since the last proof or figure stands behind it.
    pub(crate) fn proved(&mut self, what: &str) {
        let took = self.last.elapsed();
        self.last = Instant::now();
        tell(&format!("   {} {what} {}", self.style.green("✓"), self.style.dim(&format!("({})", seconds(took)))));
    }

    /// Says what happens next.
    pub(crate) fn doing(&self, what: &str) {
        tell(&format!("   {} {what}", self.style.dim("·")));
    }

    /// Notes a figure for the table.
    pub(crate) fn figure(&mut self, name: &str, value: impl Into<String>) {
        self.last = Instant::now();
        let figure = Figure { name: name.to_owned(), value: value.into() };
        tell(&format!("   {} {}: {}", self.style.dim("="), figure.name, self.style.bold(&figure.value)));
        self.figures.push(figure);
    }

    /// Notes a duration for the table.
    pub(crate) fn took(&mut self, name: &str, duration: Duration) {
        self.figure(name, seconds(duration));
    }
}

impl Style {
    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn outcome(self, outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed => self.red("failed"),
            Outcome::Held => self.green("held"),
            Outcome::Skipped => self.dim("skipped"),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A duration for people: milliseconds below a second.
#[must_use]
pub(crate) fn seconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    match milliseconds {
        below if below < 10.0 => format!("{below:.1} ms"),
        below if below < 1000.0 => format!("{below:.0} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

fn tell(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn after_a_failed_step_the_others_are_skipped() {
        let mut report = Report::stdout();
        report.step("first", |step| {
            step.took("sign-in", Duration::from_millis(12));
            Ok(())
        });
        report.step("second", |_| bail!("the wall is open"));
        report.step("third", |_| panic!("must not run"));
        let table = report.summary().table(|outcome| format!("{outcome:?}"));
        assert!(report.summary().failed());
        for word in ["Held", "Failed", "Skipped", "sign-in", "12 ms"] {
            assert!(table.contains(word), "{word} in\n{table}");
        }
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(seconds(Duration::from_micros(1_230)), "1.2 ms");
        assert_eq!(seconds(Duration::from_millis(345)), "345 ms");
        assert_eq!(seconds(Duration::from_millis(2_345)), "2.3 s");
    }
}
