//! The browser step: the user proves himself on a web page, and the browser comes back to this machine.
//!
//! For OpenID Connect a browser goes to the provider and comes back to a listener of the Client (RFC 8252 §7.3); for a
//! security key it opens a page of the Client itself, because WebAuthn is only there for pages. Promises: the listener
//! is on the loopback alone, lives as long as the step, answers only what carries the step's own secret, and nothing that
//! a server sends is executed: only `https` pages, and our own, are opened, as one argument of one program.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key_page;
mod listener;
mod open;
mod page;
mod query;

pub(crate) use listener::{BrowserError, Loopback};
pub(crate) use open::open;
pub(crate) use page::{Page, pasted};

use key_page::KeyCeremony;
use open::is_web_page;
use query::{Returned, returned_with, state_of};
