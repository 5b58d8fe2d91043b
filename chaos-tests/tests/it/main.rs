//! Tests of the lab itself, on the real kernel. They need root and the programs that `scripts/setup.sh` installs.

mod cleaning;
mod plan;
mod probes;
mod processes;
mod servers;
mod state;
mod steps;
