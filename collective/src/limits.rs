//! The bounds of a Controller's listeners and services, in one place.

use std::time::Duration;

use crate::listener::pre_auth_limiter::PreAuthBounds;

/// Sign-ins in progress at once; beyond it `busy`.
pub const MAX_SIGN_INS: usize = 256;
/// Callers that may wait for a password hash; a queue longer than this takes longer than callers wait.
pub const MAX_WAITING_HASHES: usize = 256;
/// Refused sign-ins leave no earlier than this after they came (T39): what was wrong does not show in time.
pub const REFUSAL_FLOOR: Duration = Duration::from_millis(250);
/// Failed sign-ins of one source (/32, /64) in a minute.
pub const FAILURES_PER_SOURCE: u32 = 10;
/// Proposals a second that strangers can cause (lock-outs).
pub const STRANGER_PROPOSALS_PER_SECOND: u32 = 20;
/// Wrong answers of a user to another factor in [`FACTOR_SPAN`]: of a million codes, with three valid at a time, a thief
/// of the password guesses one in years.
pub const WRONG_FACTORS_PER_SPAN: u32 = 10;
/// Questions that reach a user on another device in [`FACTOR_SPAN`]: enough for a bad connection, too few to wear
/// somebody down.
pub const DISTURBANCES_PER_SPAN: u32 = 5;
/// Over which wrong factors and disturbances are counted.
pub const FACTOR_SPAN: Duration = Duration::from_secs(10 * 60);
/// Requests of one kind that a device may make in a minute, on average; twice as many in a burst.
pub const DEVICE_REQUESTS_PER_MINUTE: u32 = 6;
/// How long a read at a current index may take before the Controller says that it has no quorum.
pub const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a proposal may take until its outcome counts as unknown.
pub const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head must be complete within this.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection to an API is closed after this.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Open connections of one source at the client API.
pub const CONNECTIONS_PER_SOURCE: usize = 32;
/// Room at the client and admin ports for connections that have not proved anything yet. Many users may share a source,
/// and a source is bounded by [`CONNECTIONS_PER_SOURCE`] already.
pub const CLIENT_ROOM: PreAuthBounds =
    PreAuthBounds { unknown: 1_024, reserved: 1_024, burst: 1_024, period: Duration::from_secs(1) };
/// The same at the peer port: five a second of a strange source, more at once for a Site that begins (T17).
pub const PEER_ROOM: PreAuthBounds =
    PreAuthBounds { unknown: 256, reserved: 512, burst: 125, period: Duration::from_secs(25) };
/// Open connections of one source at the peer port: a NAT may hide a whole Site of Gateways.
pub const PEER_CONNECTIONS_PER_SOURCE: usize = 256;
