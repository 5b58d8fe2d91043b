//! The pure state, one file for each subject.

mod access;
mod addresses;
mod approvals;
mod batches;
mod commands;
mod devices;
mod feed;
mod golden;
mod members;
mod objects;
mod revocations;
mod security_keys;
mod shared_keys;
mod sign_in;
