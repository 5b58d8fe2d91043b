//! Files of objects: what `ringctl apply` reads and `ringctl export` writes. Pure; the Controller decides what a field means,
//! and what differs.

mod document;
mod export;
mod known;
mod plan;
mod prune;
mod reference;

pub use document::{Document, Place, Target, gather, read_documents};
pub use reference::resolve;

pub(crate) use export::export;
pub(crate) use known::Known;
pub(crate) use plan::{Prepared, overlay, relocated};
pub(crate) use prune::{Pruned, prune};
