//! What LDAP servers send.

use std::collections::BTreeMap;

use ringwall_protocol::object::identity_provider::ldap::PasswordWarning;
use ringwall_protocol::time::UnixMillis;

use super::connection::result_code;
use super::expiry::{ATTRIBUTES, notice, policy, why};
use super::guard::message;

/// Bytes of a connection: a message is the same whatever follows it, and none before it is complete.
#[must_use]
pub fn ldap_message(bytes: &[u8]) -> bool {
    let Ok(Some(end)) = message(bytes) else {
        assert!((0..bytes.len()).all(|end| !matches!(message(&bytes[..end]), Ok(Some(_)))), "a part of it is one");
        return false;
    };
    assert!((2..=bytes.len()).contains(&end));
    let one = &bytes[..end];
    assert_eq!(message(one), Ok(Some(end)));
    assert!((0..end).all(|end| message(&one[..end]) == Ok(None)), "known before it is complete");
    assert!(depth(one) <= 16);
    let _code = result_code(one);
    true
}

/// The deepest nesting, found by recursion.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut rest) = (0, bytes);
    while let [tag, first, more @ ..] = rest {
        let (size, length) = match *first {
            short @ 0..0x80 => (0, usize::from(short)),
            long => {
                let size = usize::from(long & 0x7f);
                (size, more[..size].iter().fold(0, |value, byte| (value << 8) | usize::from(*byte)))
            }
        };
        let content = &more[size..size + length];
        deepest = deepest.max(1 + if tag & 0x20 == 0 { 0 } else { depth(content) });
        rest = &more[size + length..];
    }
    assert!(rest.is_empty());
    deepest
}

/// The control of a bind, then lines of attributes: what a user is told of his password is short and of a time to come.
#[must_use]
pub fn password_policy(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first() else { return false };
    let (control, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    let policy = policy(control);
    assert!(policy.seconds_left.is_none_or(|left| left < 1 << 39));
    let text = String::from_utf8_lossy(rest);
    let attributes: BTreeMap<String, Vec<String>> =
        ATTRIBUTES.iter().zip(text.lines()).map(|(name, value)| ((*name).to_owned(), vec![value.to_owned()])).collect();
    assert!(why(policy, &text).len() < 64);
    let now = UnixMillis(1_780_300_800_000);
    let warning = PasswordWarning { enabled: true, threshold_days: u32::MAX, message: String::new() };
    let told = notice(&warning, policy, &attributes, now);
    assert!(told.as_ref().is_none_or(|told| told.len() < 128));
    let never = PasswordWarning { enabled: false, ..warning };
    assert_eq!(notice(&never, policy, &attributes, now), None);
    told.is_some()
}
