//! Real servers that tests start themselves, on loopback, each with a directory of its own that vanishes with it.

pub(crate) mod authority;
pub(crate) mod freeradius;
pub(crate) mod slapd;

use std::process::Child;

/// A process that is ended with its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
