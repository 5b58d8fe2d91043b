//! nf_tables over netlink: typed objects and rules become messages, messages become one transaction.
//!
//! Promises: a transaction takes effect as a whole or not at all, and the kernel's refusal names the message; what goes
//! in are typed values, never text. Which tables there are and what they mean is others' business.

pub(crate) mod batch;
pub(crate) mod expression;
pub(crate) mod family;
pub(crate) mod kernel;
pub(crate) mod objects;
pub(crate) mod rule;
pub(crate) mod wire;

pub use self::kernel::{CommitError, Kernel, Refused};
pub use batch::{Batch, append};
pub use expression::{Ending, Kept, nest};
pub use family::{Family, FlowDirection, LOGGED_BYTES, Side, TCP, UDP, log_prefix, state};
pub use objects::{BaseChain, ELEMENTS_PER_MESSAGE, Element, Field, Gives, Message, SetSpec, Table, mark_and_owner};
pub use rule::Rule;
pub use wire::{Answers, ErrorAnswer, HEADER, kind_of, sequence_of};
