//! An exact count of matching packets, kept by the kernel of the host that they arrive at.
//!
//! The rule stands before connection tracking and before any other filter and only counts. Nothing is sampled and nothing
//! can be missed: zero means that not one packet arrived.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::namespace::Namespace;

/// Counts packets that arrive in a namespace until dropped.
#[derive(Debug)]
pub struct PacketCounter {
    namespace: Namespace,
    table: String,
}

impl PacketCounter {
    /// Begins to count packets that match an nftables expression, such as `udp dport 7`; the empty text matches all IP
    /// packets.
    pub fn install(at: &Namespace, matching: &str) -> Result<Self> {
        static COUNTERS: AtomicU32 = AtomicU32::new(0);
        let table = format!("lab_count_{}", COUNTERS.fetch_add(1, Ordering::Relaxed));
        at.nft(&format!(
            "table inet {table} {{
                counter seen {{ }}
                chain arriving {{
                    type filter hook prerouting priority -500; policy accept;
                    iif != lo {matching} counter name seen
                }}
            }}"
        ))?;
        Ok(Self { namespace: at.clone(), table })
    }

    /// Packets so far.
    pub fn packets(&self) -> Result<u64> {
        read_counter(&self.namespace, &self.table, "seen")
    }
}

impl Drop for PacketCounter {
    fn drop(&mut self) {
        // The namespace may be gone already, and the table with it.
        let _ = self.namespace.nft(&format!("delete table inet {}", self.table));
    }
}

/// Reads a named counter.
pub(in crate::lab) fn read_counter(namespace: &Namespace, table: &str, counter: &str) -> Result<u64> {
    let text = namespace.output("nft", &["-j", "list", "counter", "inet", table, counter])?;
    let listing: Value = serde_json::from_str(&text).context("nft prints JSON")?;
    let objects = listing["nftables"].as_array().into_iter().flatten();
    let packets = objects.filter_map(|object| object["counter"]["packets"].as_u64()).next();
    packets.with_context(|| format!("no counter {counter} in table {table}"))
}
