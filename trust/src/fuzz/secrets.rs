//! What lies on a disk or in the replicated state: sealed values, a sealed root key, hashes of passwords; and codes that a
//! user types.

use ringwall_protocol::time::UnixMillis;
use serde_json::Value;

use crate::ca::SealedRoot;
use crate::password;
use crate::secret::{SecretKey, open, seal};
use crate::totp::{Seed, Step};

use super::Fixed;

/// Most memory, in KiB, and passes with which a sealed root key is opened here: more is allowed, and takes long.
const BEARABLE: (u64, u64) = (1_024, 2);

/// Bytes as each of them.
#[must_use]
pub fn secrets(bytes: &[u8]) -> bool {
    let key = SecretKey::new([1; 32]);
    let opened = open(&key, "label", bytes);
    if let Ok(value) = &opened {
        let again = seal(&key, "label", value, &Fixed(9));
        assert_eq!(again.len(), bytes.len());
        assert!(open(&key, "another", bytes).is_err(), "a value opens under another label");
    }
    let root = SealedRoot::from_json(bytes);
    if let Ok(root) = &root {
        assert!(SealedRoot::from_json(root.to_json().as_bytes()).is_ok_and(|again| again == *root));
        let _damaged = root.certificate();
        let cost: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let at_most = |name: &str, most| cost["kdf"][name].as_u64().is_some_and(|value| value <= most);
        if at_most("memoryKib", BEARABLE.0) && at_most("iterations", BEARABLE.1) {
            assert!(root.open("wrong").is_err(), "a wrong passphrase opens a root key");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        typed(text);
    }
    if let Ok(seed) = Seed::from_bytes(bytes) {
        assert_eq!(seed.expose(), bytes);
    }
    opened.is_ok() || root.is_ok()
}

fn typed(text: &str) {
    // A hash that asks for more than a sign-in may take is refused, so this ends.
    assert!(!password::verify("no password of anybody", text));
    let seed = Seed::from_bytes(b"12345678901234567890").expect("a seed");
    // RFC 6238, appendix B: 1970-01-01T00:00:59Z.
    let step = seed.verify(text, UnixMillis::from_seconds(59));
    assert!(step.is_none() || text.len() == 6, "{text:?} is no code");
    assert!(step.is_none_or(|Step(step)| step <= 2));
}
