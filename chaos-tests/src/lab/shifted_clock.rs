//! A wall clock that can be set for single programs: what happens on a machine whose clock is corrected.
//!
//! A small library in C (`shift.c`), which is compiled when it is needed, stands between the program and the C library.
//! Monotonic clocks are not touched, and no other program sees anything.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, command::Program};

const SOURCE: &str = include_str!("shifted_clock/shift.c");

/// The clock of the programs that were started with it.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    shift: PathBuf,
}

impl ShiftedClock {
    /// A clock that shows the time of the machine, until it is set.
    pub fn new(lab: &Lab, name: &str) -> Result<Self> {
        let path = |end: &str| lab.directory().join(format!("{name}.clock.{end}"));
        let (source, library, shift) = (path("c"), path("so"), path("shift"));
        fs::write(&source, SOURCE).context("write the source of the clock")?;
        fs::write(&shift, 0_i64.to_ne_bytes()).context("write the clock's shift")?;
        let output = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source)
            .output()
            .context("run the C compiler")?;
        ensure!(output.status.success(), "cc failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { library, shift })
    }

    /// Starts a program with this clock.
    #[must_use]
    pub fn wear(&self, program: Program) -> Program {
        program.env("LD_PRELOAD", &self.library).env("RINGWALL_LAB_CLOCK", &self.shift)
    }

    /// Sets the clock so many seconds ahead of the machine's.
    pub fn set_ahead(&self, seconds: i64) -> Result<()> {
        // In place: running programs have this file mapped.
        let file = OpenOptions::new().write(true).open(&self.shift).context("open the clock's shift")?;
        file.write_all_at(&seconds.to_ne_bytes(), 0).context("set the clock")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::topology::{Host, Topology};

    #[test]
    fn only_programs_that_wear_it_see_another_time() {
        let topology = Topology::new().network("wan", "10.99.1.0/24", "fd99:1::/64").host(Host::new("a").on("wan", 1));
        let lab = Lab::start(topology).expect("a lab");
        let clock = ShiftedClock::new(&lab, "a").expect("a clock");
        let seconds = |program: Program| -> i64 {
            let told = lab.run("a", &program.arg("+%s"), Duration::from_secs(10)).and_then(|ended| ended.success());
            told.expect("date runs").trim().parse().expect("a number")
        };
        let ahead = || seconds(clock.wear(Program::system("date", "date"))) - seconds(Program::system("date", "date"));
        assert!((-2..=2).contains(&ahead()));
        clock.set_ahead(900).expect("set");
        assert!((898..=902).contains(&ahead()));
    }
}
