//! From a command line to what a Controller starts with: arguments, configuration, the data directory, founding a
//! Collective or joining one.
//!
//! Owns the data directory and the key-encryption key. Promises that nothing begins with a configuration that is not
//! usable, and that an unfinished founding or joining leaves nothing that looks finished. What runs is left to `process`.

pub(crate) mod bootstrap;
pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod data_dir;
pub(crate) mod founding;
pub(crate) mod joining;
pub(crate) mod logging;
pub(crate) mod profile_link;
pub(crate) mod vault;
