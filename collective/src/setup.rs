//! From a command line to what a Controller starts with: arguments, configuration, the data directory, founding a
//! Collective or joining one.
//!
//! Owns the data directory and the key-encryption key. Promises that nothing begins with a configuration that is not
//! usable, and that an unfinished founding or joining leaves nothing that looks finished. What runs is left to `process`.

pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod founding;
pub mod joining;
pub mod logging;
pub mod profile_link;
pub mod vault;
