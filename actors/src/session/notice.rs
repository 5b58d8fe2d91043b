//! When a Client is asked to renew a token. Pure arithmetic; the jitter comes from the DN's hash, so that
//! neither restarts nor Gateways bring devices into step.

use std::time::Duration;

use ringwall_protocol::name::SessionDn;
use ringwall_protocol::revocation::dn_slice;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::TokenHead;

/// The earliest notice is at least this long before the end, if the token is valid for long enough.
const LEAD: Duration = Duration::from_secs(5 * 60);
/// A second notice.
const LAST_CALL: Duration = Duration::from_secs(60);
/// Steps of the jitter.
const STEPS: u16 = 1_024;

/// The two notices about one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notices {
    /// First.
    pub first: UnixMillis,
    /// Again, if it was not renewed.
    pub last: UnixMillis,
}

impl Notices {
    /// `end − max(5 min, life ÷ 6) − jitter(0 … life ÷ 12)`, where `life` is the lifetime; never before half of it is
    /// over, and a last call 60 s before the end (a quarter of the lifetime for tokens of less than 4 minutes).
    #[must_use]
    pub(crate) fn of(head: &TokenHead) -> Self {
        let life = Duration::from_secs(head.exp.saturating_sub(head.iat));
        let end = UnixMillis::from_seconds(head.exp);
        let lead = (life / 6).max(LEAD) + jitter(&head.sub, life / 12);
        Self { first: end.minus(lead.min(life / 2)), last: end.minus(LAST_CALL.min(life / 4)) }
    }
}

/// 0 to `span`, the same for the same DN.
#[must_use]
pub(crate) fn jitter(dn: &SessionDn, span: Duration) -> Duration {
    span * u32::from(dn_slice(dn, STEPS)) / u32::from(STEPS)
}
