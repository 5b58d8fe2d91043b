//! How rights end before their time: revocation, sign-out, and when Gateways have enforced it.
//!
//! Promises that what was minted before a revocation is refused by everything that has applied its log entry. The
//! removal from kernels is left to Gateways; this waits for their acknowledgements.

pub mod enforcement;
pub mod revoke;
pub(crate) mod sign_out;
