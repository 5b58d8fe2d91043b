//! What a Controller does for its callers. Each service decides from one state of the Collective that is at least as new
//! as the request (ReadIndex), proposes what must be recorded, and mints from the state in which it checked.

mod audited;
mod begin;
mod certificate;
pub(crate) mod check;
mod devices;
mod entitle;
mod factors;
mod lockout;
mod mfa;
mod mint;
pub(crate) mod on_boarding;
mod renew;
mod sign_in;
mod sign_out;
mod step_up;

pub mod administer;
pub mod duties;
pub mod enforcement;
pub mod everywhere;
pub mod keys;
pub mod revoke;
