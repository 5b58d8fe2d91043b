//! What every actor here needs: points in time as arguments, randomness as an argument, budgets, a table of named
//! timers, and the packing of feed frames.

pub mod budget;
pub mod clock;
pub mod entropy;
pub mod packed;
pub mod timers;
