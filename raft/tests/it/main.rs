//! What the package promises, tried from outside: the pure state, and groups of real nodes over loopback sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]
#![expect(clippy::print_stdout, reason = "measured figures and the progress of long runs are for whoever watches")]

mod crash;
mod faults;
mod fixture;
mod group;
mod measure;
mod membership;
mod replicas;
mod replication;
mod restart;
mod state;
