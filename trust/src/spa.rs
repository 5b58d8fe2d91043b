//! Single packet authorization: the knock that must be right before anything answers (T22, T42).
//!
//! Two forms of one proof. The UDP packet has 128 bytes and looks random:
//!
//! ```text
//! first(1, ≥ 0xC0) ‖ hint(8) ‖ handle(32) ‖ nonce(12) ‖ AES-256-GCM[
//!     version(1) service(1) flags(1) reserved(1) time(8, ms) destination(8) random(39)
//! ] ‖ tag(16)                                                              AAD: the first 41 bytes
//! ```
//!
//! The TCP proof is the first ALPN entry of a ClientHello, base64url of `version(1) service(1) hint(8) handle(32) time(8)
//! destination(8) nonce(13) HMAC-SHA256[..16]`; its fixed length makes it recognisable on the wire, its content does not.
//!
//! No two users share a key (T48): a registered device has its own at Controllers, an administrator another, and at a
//! Gateway the key is derived from the Gateway's and from the [`Handle`] in the entitlement token. The handle travels under
//! a mask that changes with the nonce; keys without a handle have random bytes in its place. Only who has no device yet
//! uses a key that others have too: the profile's.
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
mod budget;
mod connection_limiter;
mod destination;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handle;
mod hints;
mod journal_file;
mod key;
mod knock_error;
mod knock_port;
mod peer_port;
mod pinholes;
mod places;
mod receiver;
mod replay;
mod seats;
mod sender;
mod source;
#[cfg(test)]
mod tests;
mod udp;
mod window;
mod wire_tcp;

pub use approach::{Approach, Unanswered};
pub use connection_limiter::{ConnectionBounds, ConnectionHolder, ConnectionLimiter, ConnectionPermit};
pub use destination::Destination;
pub use handle::{Handle, HandleCutoffs, Realm, SessionTag};
pub use journal_file::{JournalError, JournalFile, Kept};
pub use key::{
    KeyOwner, KnockSecret, PeerRole, SpaKey, derive_administrators_root, derive_peer_key, derive_profile_key,
};
pub use knock_error::KnockError;
pub use knock_port::{Heard, listen, open_port};
pub use peer_port::dial_peer;
pub use pinholes::{Hole, Pinholes, Spent};
pub use places::places;
pub use receiver::{Journal, Knock, Receiver, Used};
pub use seats::{Seat, SeatBounds, SeatPlan, SeatTaken, Seats};
pub use sender::KnockRequest;
pub use source::Source;
pub use window::{SpaWindow, WindowError};

/// Seconds that a hint is valid.
const HINT_PERIOD: u64 = 300;
/// Version of both forms.
const VERSION: u8 = 1;
/// A process refuses knocks that are older than its start plus this: it cannot know whether they were used before.
pub(crate) const START_MARGIN: Duration = Duration::from_secs(2);

/// The period of hints that a time falls into.
const fn period_of(time: UnixMillis) -> u64 {
    time.seconds() / HINT_PERIOD
}
