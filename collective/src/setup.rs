//! What a Controller starts with: configuration, the data directory, the founding of a Collective, profile links.
//!
//! Owns the data directory. Promises that nothing begins with a configuration that is not usable, and that an unfinished
//! founding leaves nothing that looks finished. What runs is left to `process`.

pub(crate) mod bootstrap;
pub(crate) mod config;
pub(crate) mod data_dir;
pub(crate) mod founding;
pub(crate) mod profile_link;
