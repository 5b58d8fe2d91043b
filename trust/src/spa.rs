//! Single packet authorization: the knock that must be right before anything answers (T22, T42).
//!
//! Two forms of one proof. The UDP packet has 128 bytes and looks random:
//!
//! ```text
//! first(1, ≥ 0xC0) ‖ hint(8) ‖ nonce(12) ‖ AES-256-GCM[
//!     version(1) service(1) flags(1) reserved(1) time(8, ms) destination(8) random(16) padding(55)
//! ] ‖ tag(16)                                                              AAD: the first 9 bytes
//! ```
//!
//! The TCP proof is the first ALPN entry of a ClientHello, base64url of `version(1) service(1) hint(8) time(8)
//! destination(8) nonce(12) HMAC-SHA256[..16]`; its fixed length makes it recognisable on the wire, its content does not.
//!
//! `hint = HMAC(hint key, period)[..8]`: a receiver keeps the hints of all periods in its window for all its keys, so that
//! junk costs one look-up, and nobody can follow a sender by his hint for longer than a period. A period is five minutes
//! whatever the window is: a sender does not know the window, which an operator may change at any time. Both forms are bound to the
//! address that was dialled and to a time, and count once. Nothing is ever answered.
//!
//! Judging and making a knock is pure: time, random bytes and the sender's place are arguments. What opens sockets and
//! files is in files of its own. On the side that is knocked on, [`listen`] reads the UDP port, [`Pinholes`] counts the
//! connections that a knock permits, [`JournalFile`] keeps over a restart what a new process could not know, and
//! [`places`] lists the addresses at which it can be dialled. On the side that knocks: [`Approach`] and [`dial_peer`].

use std::time::Duration;

use ringwall_protocol::time::UnixMillis;

mod approach;
mod destination;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod journal_file;
mod key;
mod knock_port;
mod peer_port;
mod pinholes;
mod places;
mod receiver;
mod replay;
mod sender;
mod source;
mod source_limiter;
mod sources;
#[cfg(test)]
mod tests;
mod udp;
mod wire_tcp;

pub use approach::Approach;
pub use destination::Destination;
pub use journal_file::{JournalError, JournalFile, Kept};
pub use key::{KeyOwner, PeerRole, SpaKey, derive_peer_key, derive_profile_key};
pub use knock_port::{Heard, listen, open_port};
pub use peer_port::dial_peer;
pub use pinholes::{Hole, Pinholes};
pub use places::places;
pub use receiver::{Journal, Knock, KnockError, Receiver, SpaWindow, Used, WindowError};
pub use sender::KnockRequest;
pub use source::Source;
pub use source_limiter::{SourceLimiter, SourcePermit};
pub use sources::Form;

/// Seconds that a hint lives.
const HINT_PERIOD: u64 = 300;
/// Version of both forms.
const VERSION: u8 = 1;
/// Knocks accepted for one key within a second; beyond it they are refused (T22).
pub(crate) const MAX_KNOCKS_PER_KEY_AND_SECOND: u32 = 1_000;
/// Right knocks accepted from one source (/32, /64) within a second; members of the Collective, who may all
/// stand behind one address, are not counted.
pub(crate) const MAX_KNOCKS_PER_SOURCE_AND_SECOND: u32 = 20;
/// Knocks remembered at once: 2²⁰ × 24 bytes, some 1,000 a second over the default window. Beyond it all are refused.
pub(crate) const MAX_REMEMBERED: usize = 1 << 20;
/// A process refuses knocks that are older than its start plus this: it cannot know whether they were used before.
pub(crate) const START_MARGIN: Duration = Duration::from_secs(2);
/// Knocks dated ahead of our clock that are accepted for one key within a second: each costs a synced write.
pub(crate) const MAX_AHEAD_PER_KEY_AND_SECOND: u32 = 20;

/// The period of hints that a time falls into.
const fn period_of(time: UnixMillis) -> u64 {
    time.seconds() / HINT_PERIOD
}
