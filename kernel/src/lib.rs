//! What the kernel is told: the one room in which programs of Ringwall speak nf_tables.
//!
//! Two programs own a table: a Gateway its firewall, a Controller the guard of its own ports. Both say it in the words
//! of [`nft`]; what both have in common stands in [`guard`] and [`descriptors`]. Decisions (who may pass, for how long) come as values;
//! nothing here knows sessions, keys or policies.

pub mod descriptors;
pub mod guard;
pub mod nft;
