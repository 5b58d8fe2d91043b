//! The table as the kernel shows it, compared with golden listings.

use std::path::PathBuf;

use ringwall_gateway::firewall::{FirewallConfig, Guard, Snat};
use ringwall_protocol::rules::{Protocol, RuleSet, Verdict};

use crate::lab::{Lab, allow_port, config, element, in_namespace, run, run_of};

/// Compares with `tests/golden/<name>`; `UPDATE_GOLDEN=1` writes it instead.
fn golden(name: &str, found: &str) {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().expect("in a folder")).expect("writable");
        std::fs::write(&file, found).expect("writable");
        return;
    }
    assert!(!found.is_empty(), "nothing to compare");
    let wanted = std::fs::read_to_string(&file).expect("a golden file");
    let first = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(wanted == found, "{name} differs; first: {first:?}");
}

fn listing(config: FirewallConfig) -> String {
    let lab = Lab::with(FirewallConfig { slots_ahead: 0, ..config });
    // Dynamic elements and counters come and go.
    lab.tun.send(&[]).err();
    let text = run("nft", &["--stateless", "list", "table", "inet", "ringwall"]);
    drop(lab);
    text
}

fn translated(guard: Guard) -> FirewallConfig {
    let snat = Snat {
        out: "lan0".parse().expect("a name"),
        v4: Some([10, 20, 0, 2].into()),
        v6: Some("fd20::2".parse().expect("an address")),
        ports: Snat::ports_beside(&[443]),
    };
    FirewallConfig { guard, snat: Some(snat), ..config() }
}

#[test]
fn the_skeleton_is_the_reviewed_one() {
    in_namespace(|| golden("skeleton-udp-tcp.nft", &without_slots(&listing(translated(Guard::UdpTcp)))));
}

#[test]
fn the_skeleton_of_mode_tcp_leaves_the_tcp_port_untracked() {
    in_namespace(|| golden("skeleton-tcp.nft", &without_slots(&listing(translated(Guard::Tcp)))));
}

#[test]
fn the_skeleton_without_guard_and_translation() {
    in_namespace(|| {
        golden("skeleton-open.nft", &without_slots(&listing(FirewallConfig { guard: Guard::Open, ..config() })))
    });
}

#[test]
fn a_rule_set_looks_as_designed() {
    in_namespace(|| {
        let lab = Lab::with(FirewallConfig { slots_ahead: 0, ..config() });
        let rules = RuleSet {
            up4: vec![
                allow_port(80).up4.remove(0),
                run_of(Verdict::Block, vec![element("10.20.0.0", "10.20.0.255", Protocol::Udp, 0..=65_535)]),
                run_of(Verdict::Alert, vec![element("10.20.0.0", "10.20.255.255", Protocol::Icmp, 2_048..=2_303)]),
            ],
            up6: vec![run_of(Verdict::Allow, vec![element("fd20::5", "fd20::5", Protocol::Tcp, 443..=443)])],
            down4: vec![run_of(Verdict::Allow, vec![element("10.20.0.0", "10.20.255.255", Protocol::Tcp, 22..=22)])],
            ..RuleSet::default()
        };
        lab.admit(7, &rules).expect("new");
        let text = run("nft", &["--stateless", "list", "table", "inet", "ringwall"]);
        golden("rule-set.nft", &objects(&text, |name| name.starts_with("rs1")));
    });
}

/// The objects of a listing whose names are wanted.
fn objects(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut keep = false;
    let mut kept = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["set" | "map" | "chain", name, "{"] = words[..] {
            keep = wanted(name);
        }
        if keep {
            kept.push_str(line);
            kept.push('\n');
        }
        if line == "\t}" {
            keep = false;
        }
    }
    kept
}

fn without_slots(text: &str) -> String {
    objects(text, |name| !name.starts_with("rs") && name != "up" && name != "down")
}
