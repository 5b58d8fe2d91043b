//! What is observed of Ringwall: the lab with its probes, the product's programs in it, and the demonstration.
//!
//! Holds nothing that production code needs, and may use everything. `lab` knows nothing of the product, `product` knows
//! its programs' flags, `demo` knows what must hold.

// Only their features matter here (Cargo.toml says why).
use {bit_vec as _, hashbrown as _};

pub mod bench;
pub mod demo;
pub mod golden;
pub mod lab;
pub mod pentest;
pub mod product;
pub mod report;
