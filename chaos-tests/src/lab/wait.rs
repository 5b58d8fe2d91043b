//! Waiting for conditions: poll until something holds or a deadline passes.
//!
//! Promises that a wait always ends and that the error names what was waited for. Readiness of another process has no
//! event to subscribe to, so conditions are polled; nothing in the lab sleeps for a guessed time and hopes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

/// Pause between two looks at a condition: short beside anything measured in milliseconds, cheap on a busy machine.
const PAUSE: Duration = Duration::from_millis(5);

/// Polls `probe` until it returns a value or `timeout` passes; `what` is named in the error.
pub fn for_value<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(anyhow!("{what}: not within {timeout:?}"));
        }
        thread::sleep(PAUSE);
    }
}

/// Polls until `condition` holds; returns how long that took.
pub fn until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) -> Result<Duration> {
    let start = Instant::now();
    for_value(what, timeout, || condition().then_some(()))?;
    Ok(start.elapsed())
}

/// Repeats an attempt that may fail until it succeeds; the last failure is part of the error.
pub fn until_ok<T>(what: &str, timeout: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = None;
    for_value(what, timeout, || match attempt() {
        Ok(value) => Some(value),
        Err(error) => {
            last = Some(error);
            None
        }
    })
    .map_err(|late| match last {
        Some(error) => error.context(late),
        None => late,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_ends_with_its_name() {
        let error = until("the moon", Duration::from_millis(20), || false).unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }

    #[test]
    fn the_last_failure_is_reported() {
        let error = until_ok::<()>("a door", Duration::from_millis(20), || Err(anyhow!("locked"))).unwrap_err();
        assert!(format!("{error:#}").contains("locked"), "{error:#}");
    }
}
