//! What is signed: claims tokens, entitlement tokens, certificates, and their renewal.
//!
//! Owns the keys that sign, the compiled policies and what devices said of themselves last. Promises that a token is made
//! from one state, that its `idx` names that state, and that nothing is signed for a user, device or Client that the
//! state does not permit (`check`). Who a user is is left to `sign_in` and `step_up`.

pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod device_claims;
pub(crate) mod entitle;
pub(crate) mod intermediates;
pub mod keys;
pub(crate) mod mint;
pub mod policies;
pub(crate) mod renew;
pub mod signers;
