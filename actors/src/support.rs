//! What every actor here needs: points in time as arguments, randomness as an argument, budgets, a table of named
//! timers, and the packing of feed frames.

pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod entropy;
pub mod packed;
pub(crate) mod timers;

pub use budget::Budget;
pub use clock::{Clock, Moment, SecurityClock};
pub use entropy::ThreadEntropy;
