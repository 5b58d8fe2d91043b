//! How many descriptors this process may have open: every connection is one.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process of ours needs at its bounds: connections, seats, logs, rules.
const WANTED: u64 = 65_536;

/// Why the limit is lower than a process of ours wants. It serves all the same, and connections wait when descriptors run
/// out.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// The hard limit is lower.
    #[error("only {0} descriptors may be open, {WANTED} are wanted; raise LimitNOFILE of the unit (RLIMIT_NOFILE)")]
    Few(u64),
    /// The kernel refused.
    #[error("the limit of open descriptors cannot be raised; raise LimitNOFILE of the unit (RLIMIT_NOFILE)")]
    Refused(#[from] io::Error),
}

/// Raises the limit as far as this process may: `RLIMIT_NOFILE` up to its hard limit, beyond it with `CAP_SYS_RESOURCE`.
///
/// # Errors
/// [`DescriptorError`], for the log.
pub fn raise_limit() -> Result<(), DescriptorError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= WANTED) {
        return Ok(());
    }
    let hard = limit.maximum.unwrap_or(WANTED);
    let beyond = Rlimit { current: Some(WANTED), maximum: Some(hard.max(WANTED)) };
    if setrlimit(Resource::Nofile, beyond).is_ok() {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: Some(hard) }).map_err(io::Error::from)?;
    Err(DescriptorError::Few(hard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_this_process_may() {
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let low = Rlimit { current: Some(256.min(hard)), maximum: Some(hard) };
        setrlimit(Resource::Nofile, low).expect("a limit may be lowered");
        let raised = raise_limit();
        let soft = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        match raised {
            Ok(()) => assert!(soft >= WANTED, "{soft}"),
            Err(DescriptorError::Few(few)) => assert_eq!((few, soft), (hard, hard)),
            Err(other) => panic!("{other}"),
        }
    }
}
