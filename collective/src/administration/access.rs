//! Who an administrator is and what he may do: his sign-in, his session, his privileges, and what he may grant.
//!
//! Promises that a session ends when it is idle or after twelve hours, that every order is checked against the privileges
//! of the present state, and that nobody grants what he does not hold (T40).

pub mod authority;
pub mod granting;
pub mod session;
pub mod sign_in;
