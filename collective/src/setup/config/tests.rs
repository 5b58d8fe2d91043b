//! Everything that is wrong is told at once.

use super::*;

#[test]
fn the_defaults_are_valid_but_for_the_data_directory() {
    let faults = RawConfig::default().validate().expect_err("no directory").0;
    assert_eq!(faults, ["data_dir: expected a directory"]);
    let raw = RawConfig { data_dir: "/var/lib/ringwall".into(), ..RawConfig::default() };
    let config = raw.validate().expect("valid");
    assert_eq!(config.advertise.admin, ["127.0.0.1:8443"]);
    assert!(config.advertise.client.is_empty(), "an unspecified address cannot be dialled");
}

#[test]
fn all_faults_are_reported_at_once() {
    let raw = RawConfig::parse(
        r#"
        data_dir = "/x"
        listen = { client = "nowhere", peer = "1.2.3.4" }
        advertise = { client = ["host"] }
        admin = { allow_sources = ["10.0.0.0/33"] }
        raft = { heartbeat_ms = 500, election_min_ms = 400 }
        "#,
    )
    .expect("well formed");
    assert_eq!(raw.validate().expect_err("faulty").0.len(), 5);
}

#[test]
fn unknown_keys_wrong_types_and_wrong_values_are_told_together() {
    let text = r#"
        data_dri = "/x"
        listen = { client = "nowhere", pear = "0.0.0.0:444" }
        raft = { heartbeat_ms = "often" }
        workers = 4
        "#;
    let faults = RawConfig::parse(text).expect_err("faulty").0;
    assert_eq!(faults.len(), 5, "{faults:#?}");
    for part in
        ["data_dri: unknown", "listen.client: expected", "listen.pear: unknown", "raft.heartbeat_ms: ", "workers: "]
    {
        assert!(faults.iter().any(|fault| fault.starts_with(part)), "{part} in {faults:#?}");
    }
}

#[test]
fn what_init_writes_can_be_read() {
    let raw = RawConfig { data_dir: "/x".into(), ..RawConfig::default() };
    let text = toml::to_string(&raw).expect("serialises");
    assert_eq!(RawConfig::parse(&text), Ok(raw));
}

#[test]
fn hosts_need_a_port() {
    for (text, expected) in [
        ("a:1", true),
        ("[2001:db8::1]:443", true),
        ("2001:db8::1:443", false),
        ("a", false),
        (":443", false),
        ("a:0", false),
        ("a:65536", false),
    ] {
        assert_eq!(is_host_and_port(text), expected, "{text}");
    }
}
