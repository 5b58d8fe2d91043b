//! nf_tables over netlink: typed objects and rules become messages, messages become one transaction.
//!
//! Promises: a transaction takes effect as a whole or not at all, and the kernel's refusal names the message; what goes
//! in are typed values, never text. Which tables there are and what they mean is others' business.

pub mod batch;
pub mod expression;
pub mod family;
pub mod kernel;
pub mod objects;
pub mod rule;
pub mod wire;
