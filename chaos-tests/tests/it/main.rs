//! Tests of the lab itself, on the real kernel: they need root and the programs that `scripts/setup.sh` installs. And of
//! the documents, which needs nothing.

mod cleaning;
mod defences;
mod documents;
mod features;
mod help;
mod plan;
mod probes;
mod processes;
mod servers;
mod setup;
mod state;
mod steps;
mod troubleshooting;
mod words;
