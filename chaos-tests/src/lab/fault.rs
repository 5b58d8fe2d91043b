//! Things that go wrong in networks, made on purpose and undone when dropped.
//!
//! A fault drops packets by nftables rules of its own, before (arriving) or after (leaving) everything else on a host, and
//! counts exactly what it dropped.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::lab::{namespace::Namespace, probe::counter::read_counter};

/// Packets that match are dropped as long as this value lives.
#[derive(Debug)]
pub struct Fault {
    namespace: Namespace,
    table: String,
}

impl Fault {
    /// Drops packets that arrive at a host and match an nftables expression, such as `udp dport 7`.
    pub fn drop_arriving(at: &Namespace, matching: &str) -> Result<Self> {
        Self::install(at, &[("arriving", "prerouting priority -450", matching)])
    }

    /// Drops packets that leave a host, its own and forwarded ones.
    pub fn drop_leaving(at: &Namespace, matching: &str) -> Result<Self> {
        Self::install(at, &[("leaving", "postrouting priority 450", matching)])
    }

    /// Cuts a host off from one of its networks, in both directions, without any sign to the other end.
    pub fn cut_off(host: &Namespace, network: &str) -> Result<Self> {
        let arriving = format!("iifname \"{network}\"");
        let leaving = format!("oifname \"{network}\"");
        Self::install(
            host,
            &[
                ("arriving", "prerouting priority -450", arriving.as_str()),
                ("leaving", "postrouting priority 450", leaving.as_str()),
            ],
        )
    }

    /// Packets dropped so far.
    pub fn dropped(&self) -> Result<u64> {
        read_counter(&self.namespace, &self.table, "dropped")
    }

    fn install(at: &Namespace, chains: &[(&str, &str, &str)]) -> Result<Self> {
        static FAULTS: AtomicU32 = AtomicU32::new(0);
        let table = format!("lab_fault_{}", FAULTS.fetch_add(1, Ordering::Relaxed));
        let chains: String = chains
            .iter()
            .map(|(name, hook, matching)| {
                format!(
                    "chain {name} {{ type filter hook {hook}; policy accept; {matching} counter name dropped drop; }}\n"
                )
            })
            .collect();
        at.nft(&format!("table inet {table} {{\ncounter dropped {{ }}\n{chains}}}"))?;
        Ok(Self { namespace: at.clone(), table })
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // The namespace may be gone already, and the table with it.
        let _ = self.namespace.nft(&format!("delete table inet {}", self.table));
    }
}
