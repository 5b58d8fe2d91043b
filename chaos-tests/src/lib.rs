//! What is observed of Ringwall: the lab, its probes, and the demonstration that runs the product in it.
//!
//! Holds nothing that production code needs, and may use everything.

pub mod lab;
