//! Names of users at foreign providers, and scripts that make claims.

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::object::identity_provider::ClaimScript;
use ringwall_protocol::time::UnixMillis;
use serde_json::json;

use super::scripts::{MAX_SOURCE, apply, compile};
use super::user_name::canonical;

/// A name as somebody types it: it has one form, and whatever case rules make of that is the same name or none.
#[must_use]
pub fn user_name(bytes: &[u8]) -> bool {
    let Ok(claimed) = std::str::from_utf8(bytes) else { return false };
    let Some(name) = canonical(claimed) else { return false };
    assert_eq!(canonical(name.as_str()).as_ref(), Some(&name));
    let upper = name.as_str().to_uppercase();
    assert_eq!(upper.to_lowercase(), name.as_str(), "case rules make another name of it");
    assert!(canonical(&upper).is_none_or(|other| other == name));
    assert!(!name.as_str().chars().any(char::is_control));
    true
}

/// A script: what it makes are claims within their bounds, in a time that is bounded, and nothing that was told goes.
#[must_use]
pub fn claim_script(bytes: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(bytes) else { return false };
    let groups: Vec<String> = (0..300).map(|number| format!("group {number}")).collect();
    let told = json!({"groups": groups, "username": "alice", "level": 7, "mail": "alice@corp.example"});
    let told: ClaimMap = serde_json::from_value(told).expect("claims");
    let script = ClaimScript { claim_name: "made".to_owned(), expression: source.to_owned() };
    let (claims, left_out) = apply(&[script], told.clone(), UnixMillis(1_780_300_800_000));
    assert_eq!(left_out.is_empty(), claims.0.contains_key("made"));
    assert!(told.0.iter().all(|(name, value)| claims.0.get(name) == Some(value)));
    assert!(claims.0.len() <= told.0.len() + 1);
    assert!(left_out.is_empty() || source.len() <= MAX_SOURCE || compile(source).is_err());
    left_out.is_empty()
}
