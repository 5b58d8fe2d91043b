//! What a Gateway's kernel holds, read with `nft` and not told by the Gateway: whose knock opened the port, and the rules of
//! a session.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::namespace::Namespace;

/// The Gateway's table, in family `inet`.
const TABLE: &str = "ringwall";

/// The table of a Gateway at one moment.
#[derive(Debug)]
pub struct GatewayKernel(Vec<Value>);

impl GatewayKernel {
    /// Reads the table on a Gateway's host.
    pub fn read(host: &Namespace) -> Result<Self> {
        let text = host.output("nft", &["-j", "list", "table", "inet", TABLE])?;
        let mut listing: Value = serde_json::from_str(&text).context("nft prints JSON")?;
        match listing["nftables"].take() {
            Value::Array(objects) => Ok(Self(objects)),
            other => Err(anyhow::anyhow!("unexpected listing: {other}")),
        }
    }

    /// True while the TCP port is open for a source that knocked.
    #[must_use]
    pub fn is_open_for(&self, source: IpAddr) -> bool {
        let set = if source.is_ipv4() { "knock4" } else { "knock6" };
        self.elements("set", set).iter().any(|element| mentions(element, &source.to_string()))
    }

    /// The rules of the session with a tunnel address: each element of its sets, after the name of its set. None if the
    /// address has no session.
    #[must_use]
    pub fn rules_of(&self, tunnel: IpAddr) -> Option<BTreeSet<String>> {
        let map = if tunnel.is_ipv4() { "s4" } else { "s6" };
        let elements = self.elements("map", map);
        let entry = elements.iter().find(|entry| mentions(&entry[0], &tunnel.to_string()))?;
        let prefix = format!("rs{}_", mark(&entry[1])?);
        let sets = self.0.iter().filter_map(|object| object.get("set"));
        let own = sets.filter_map(|set| Some((set["name"].as_str()?.strip_prefix(&prefix)?, set)));
        let rules = own.flat_map(|(name, set)| {
            let elements = set["elem"].as_array().into_iter().flatten();
            elements.map(move |element| format!("{name} {element}"))
        });
        Some(rules.collect())
    }

    fn elements(&self, kind: &str, name: &str) -> Vec<Value> {
        let objects = self.0.iter().filter_map(|object| object.get(kind));
        let named = objects.filter(|object| object["name"] == name);
        named.filter_map(|object| object["elem"].as_array()).flatten().cloned().collect()
    }
}

/// Whether a value is this text or holds it somewhere.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(map) => map.values().any(|item| mentions(item, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The packet mark, which the number of the user follows, as nft prints it: a number, or a text in hexadecimal.
fn mark(value: &Value) -> Option<u64> {
    let value = &value["concat"][0];
    let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    value.as_u64().or_else(|| hexadecimal(value.as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_a_session_are_those_of_its_mark_and_no_others() {
        let kernel = GatewayKernel(vec![
            json!({"map": {"name": "s4", "elem": [[{"elem": {"val": "100.64.0.1", "timeout": 60}}, {"concat": [1, 77]}], ["100.64.0.2", {"concat": ["0x0000000b", "0x0000004d"]}]]}}),
            json!({"set": {"name": "rs1_u4_0e", "elem": [{"concat": ["10.20.0.10", "tcp", 80]}]}}),
            json!({"set": {"name": "rs11_u4_0e", "elem": [{"concat": ["10.20.0.11", "tcp", 81]}]}}),
            json!({"set": {"name": "knock4", "elem": [{"elem": {"val": {"concat": ["10.77.1.101", 443]}, "timeout": 10}}]}}),
        ]);
        let rules = |address: &str| kernel.rules_of(address.parse().expect("an address"));
        assert_eq!(rules("100.64.0.1"), Some([r#"u4_0e {"concat":["10.20.0.10","tcp",80]}"#.to_owned()].into()));
        assert_eq!(rules("100.64.0.2"), Some([r#"u4_0e {"concat":["10.20.0.11","tcp",81]}"#.to_owned()].into()));
        assert_eq!(rules("100.64.0.3"), None);
        assert!(kernel.is_open_for("10.77.1.101".parse().expect("an address")));
        assert!(!kernel.is_open_for("10.77.1.10".parse().expect("an address")));
    }
}
