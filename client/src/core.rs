//! Decisions of the Client as functions of their arguments: no clock, no randomness, no I/O. The shells around them
//! read the time, draw the random numbers and do what they are told.

pub mod back_off;
pub mod blocked;
pub mod link_end;
pub mod pinning;
pub mod prompts;
pub mod renewal;
pub mod sign_in;
pub mod site_choice;
