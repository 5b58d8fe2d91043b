//! The profile link: how a Client gets to know a Collective (`docs/wire.md`, S3).
//!
//! `ringwall://<host:port>/<base64url of JSON>`. With an SPA key it is a secret; it is then never logged. It names further
//! Controllers, so that a first-time Client gets in while the one at `host` is down.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::object::profile::MAX_FURTHER_HOSTNAMES;
use ringwall_protocol::object::settings::SpaMode;
use ringwall_trust::identity::Fingerprint;
use ringwall_trust::secret::SecretKey;
use serde::{Deserialize, Serialize};

/// A profile as Clients take it. `Display` is the link.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProfileLink {
    host: String,
    content: Content,
}

/// The JSON inside a link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    profile_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spa: Option<Spa>,
    ca_fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_ca_fingerprint: Option<String>,
    identity_provider_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    controllers: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spa {
    mode: SpaMode,
    name: String,
    key: String,
}

/// How a Client knocks.
pub(crate) struct ProfileSpa {
    /// Whether, and how.
    pub(crate) mode: SpaMode,
    /// Name of the key.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: SecretKey,
}

impl ProfileLink {
    /// A link to the Controllers at `host` (`host:port`).
    #[must_use]
    pub(crate) fn new(
        host: &str,
        profile: &str,
        identity_provider: &str,
        root: Fingerprint,
        spa: Option<&ProfileSpa>,
    ) -> Self {
        let spa = spa.map(|spa| Spa { mode: spa.mode, name: spa.name.clone(), key: spa.key.expose_text().to_string() });
        let content = Content {
            profile_name: profile.to_owned(),
            spa,
            ca_fingerprint: root.to_string(),
            next_ca_fingerprint: None,
            identity_provider_name: identity_provider.to_owned(),
            controllers: Vec::new(),
        };
        Self { host: host.to_owned(), content }
    }

    /// With further addresses of Controllers, each once, at most [`MAX_FURTHER_HOSTNAMES`].
    #[must_use]
    pub(crate) fn with_controllers<'a>(mut self, addresses: impl IntoIterator<Item = &'a String>) -> Self {
        for address in addresses {
            let listed = *address == self.host || self.content.controllers.contains(address);
            if !listed && self.content.controllers.len() < MAX_FURTHER_HOSTNAMES {
                self.content.controllers.push(address.clone());
            }
        }
        self
    }
}

impl fmt::Display for ProfileLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&self.content).map_err(|_| fmt::Error)?;
        write!(f, "ringwall://{}/{}", self.host, BASE64URL_NOPAD.encode(&json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_what_a_client_needs_and_a_key_only_where_knocks_are_wanted() {
        let root = Fingerprint([7; 32]);
        let open = ProfileLink::new("sdp.example:443", "default", "local", root, None).to_string();
        let (head, body) = open.rsplit_once('/').expect("a body");
        assert_eq!(head, "ringwall://sdp.example:443");
        let json: serde_json::Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url")).expect("JSON");
        assert_eq!(json["caFingerprint"], root.to_string());
        assert_eq!(json["identityProviderName"], "local");
        assert!(json.get("spa").is_none());
        let spa = ProfileSpa { mode: SpaMode::Tcp, name: "k".to_owned(), key: SecretKey::new([1; 32]) };
        assert_ne!(ProfileLink::new("sdp.example:443", "default", "local", root, Some(&spa)).to_string(), open);
    }

    #[test]
    fn further_controllers_stand_in_a_link_once_each_and_are_bounded() {
        let link = ProfileLink::new("c1:443", "default", "local", Fingerprint([7; 32]), None);
        let addresses: Vec<String> = (0..40).map(|number| format!("c{}:443", number % 20)).collect();
        let listed = link.with_controllers(&addresses).content.controllers;
        assert_eq!(listed.len(), MAX_FURTHER_HOSTNAMES);
        assert!(!listed.contains(&"c1:443".to_owned()) && listed[0] == "c0:443");
    }
}
