//! What a Controller must know again when a browser comes back: sealed, and carried by the Client (or kept in a
//! transaction), so that any Controller can go on and unauthenticated peers write nothing.
//!
//! The Client never sees the PKCE verifier or the nonce, and a request is worth nothing to another device, key or
//! provider, or after its end.

use std::time::Duration;

use ringwall_protocol::id::{DeviceId, ProviderId, Thumbprint};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Time for a person to prove himself in the browser.
pub(super) const LIFE: Duration = Duration::from_secs(600);
/// Where browsers come back to on the user's machine (RFC 8252 §7.3); the port is the Client's.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1:", "http://[::1]:"];
/// What follows the port.
const PATH: &str = "/signed-in";

/// A request of a browser, as it was made.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrowserRequest {
    /// At which provider.
    pub(super) provider: ProviderId,
    /// From which device.
    pub(super) device: DeviceId,
    /// Whose key.
    pub(super) key: Thumbprint,
    /// Where the browser comes back to.
    pub(super) redirect_uri: String,
    /// What it must bring back (RFC 6749 §10.12).
    pub(super) state: String,
    /// What the ID token must hold.
    pub(super) nonce: String,
    /// PKCE (RFC 7636).
    pub(super) verifier: String,
    /// The user must have proved himself since then, where that was asked.
    pub(super) fresh_since: Option<UnixMillis>,
    /// Its end.
    pub(super) expires: UnixMillis,
}

impl BrowserRequest {
    /// As bytes to be sealed.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("texts and numbers serialise"))
    }

    /// From bytes that were sealed.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether it was made for this provider, device and key, and is not over.
    pub(super) fn is_for(&self, provider: ProviderId, device: DeviceId, key: Thumbprint, now: UnixMillis) -> bool {
        self.provider == provider && self.device == device && self.key == key && now < self.expires
    }
}

/// Whether a Client may have a browser come back there: to itself, on this machine, nowhere else.
pub(super) fn is_loopback_redirect(uri: &str) -> bool {
    let rest = LOOPBACK.iter().find_map(|start| uri.strip_prefix(start));
    let port = rest.and_then(|rest| rest.strip_suffix(PATH));
    port.is_some_and(|port| {
        !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_come_back_to_the_own_machine_only() {
        for good in ["http://127.0.0.1:49152/signed-in", "http://[::1]:1/signed-in"] {
            assert!(is_loopback_redirect(good), "{good}");
        }
        for bad in [
            "https://evil.example/signed-in",
            "http://127.0.0.1:80@evil.example/signed-in",
            "http://127.0.0.1/signed-in",
            "http://127.0.0.1:/signed-in",
            "http://127.0.0.1:070/signed-in",
            "http://127.0.0.1:70000/signed-in",
            "http://127.0.0.1:1/signed-in?x",
            "http://127.0.0.1.evil.example:1/signed-in",
            "http://localhost:1/signed-in",
        ] {
            assert!(!is_loopback_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_is_worth_nothing_to_others_or_later() {
        let (provider, device, key) =
            (ProviderId::from_random([1; 16]), DeviceId::from_random([2; 16]), Thumbprint([3; 32]));
        let request = BrowserRequest {
            provider,
            device,
            key,
            redirect_uri: String::new(),
            state: String::new(),
            nonce: String::new(),
            verifier: String::new(),
            fresh_since: None,
            expires: UnixMillis(1_000),
        };
        let request = BrowserRequest::from_bytes(&request.to_bytes()).expect("readable");
        assert!(request.is_for(provider, device, key, UnixMillis(999)));
        assert!(!request.is_for(provider, device, key, UnixMillis(1_000)));
        assert!(!request.is_for(ProviderId::from_random([9; 16]), device, key, UnixMillis(0)));
        assert!(!request.is_for(provider, DeviceId::from_random([9; 16]), key, UnixMillis(0)));
        assert!(!request.is_for(provider, device, Thumbprint([9; 32]), UnixMillis(0)));
    }
}
