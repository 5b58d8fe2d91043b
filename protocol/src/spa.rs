//! Single packet authorization: what a knock says. Keys, seals and proofs are in `trust/`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of a UDP knock.
pub const KNOCK_LEN: usize = 128;
/// First byte of a UDP knock is at least this; a DTLS record's never is.
pub const KNOCK_FIRST_BYTE: u8 = 0xC0;

/// A key for knocks as text: 32 bytes base64url, or sealed where it stands in the state. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KnockKey(String);

impl KnockKey {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for KnockKey {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for KnockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnockKey(…)")
    }
}

/// What a knock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Service {
    /// A Controller's client API.
    Client = 1,
    /// A Gateway's session and tunnel.
    Tunnel = 2,
    /// A Gateway's DTLS.
    Datagram = 3,
    /// A Controller's peer port.
    Peer = 4,
    /// A Controller's admin API.
    Admin = 5,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_knocks_is_told_as_text_and_never_shown() {
        let key = KnockKey::from("sekrit-knock".to_owned());
        assert!(!format!("{key:?}").contains("sekrit"));
        assert_eq!(serde_json::to_string(&key).expect("JSON"), "\"sekrit-knock\"");
    }
}
