//! Decisions of the Client as functions of their arguments: no clock, no randomness, no I/O. The shells around them
//! read the time, draw the random numbers and do what they are told.

pub(crate) mod back_off;
pub(crate) mod blocked;
pub(crate) mod link_end;
pub(crate) mod pinning;
pub(crate) mod prompts;
pub(crate) mod renewal;
pub(crate) mod repair;
pub(crate) mod sign_in;
pub(crate) mod site_choice;
