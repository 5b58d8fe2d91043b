//! placeholder
pub mod tunnel;
