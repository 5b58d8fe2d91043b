//! Messages between programs: every one versioned, limited in size and depth, and strict about what it does not know.

pub mod admin;
pub mod apply;
pub mod client;
pub mod error;
pub mod join;
pub mod session;
pub mod what_if;
