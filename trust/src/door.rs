//! The door: what opens sockets and files around a knock. The knock itself is [`crate::spa`], which is pure.
//!
//! On the side that is knocked on: [`listen`] reads the UDP port, [`Pinholes`] counts what a knock bought, [`JournalFile`]
//! remembers over a restart what a new process could not know, and
//! [`places`] says where it can have been dialled. On the side that knocks: [`Approach`], and with it
//! [`dial_peer`].

mod approach;
mod journal_file;
mod knock_port;
mod peer_port;
mod pinholes;
mod places;

pub use approach::Approach;
pub use journal_file::{JournalError, JournalFile, Kept};
pub use knock_port::{Heard, listen, open_port};
pub use peer_port::dial_peer;
pub use pinholes::{Hole, Pinholes};
pub use places::places;
