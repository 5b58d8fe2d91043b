//! How long the machine was suspended: the clock that the lease's arithmetic cannot see.
//!
//! `CLOCK_MONOTONIC` and the kernel's timers stand still in a suspended or paused machine; `CLOCK_BOOTTIME` does not.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Time spent suspended since boot.
pub(super) fn suspended() -> Duration {
    let boot = since(clock_gettime(ClockId::Boottime));
    let running = since(clock_gettime(ClockId::Monotonic));
    boot.saturating_sub(running)
}

fn since(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}
