//! Sign-in in a browser: where the user is sent, and what comes back (OpenID Connect Core §3.1; RFC 8252).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, Thumbprint};

/// `POST /client/v1/sign-in/begin`: how do users of this provider prove themselves?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BeginSignIn {
    /// As in the sign-in that will follow.
    pub device_id: DeviceId,
    /// Name of the identity provider.
    pub identity_provider: String,
    /// The key that everything will be bound to.
    pub key_thumbprint: Thumbprint,
    /// Where a browser would come back to: the Client itself, `http://127.0.0.1:<port>/signed-in`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}

/// How users of a provider prove themselves. For one that is not there, or not for this Client, `Password`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "way")]
pub enum SignInWay {
    /// Name and password.
    Password {},
    /// A certificate of the user's.
    Certificate {},
    /// In a browser.
    Browser {
        /// The page, `https`.
        url: String,
        /// To be sent with what comes back; nobody but Controllers can read it.
        request: String,
    },
}

impl fmt::Debug for SignInWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password {} => "SignInWay::Password",
            Self::Certificate {} => "SignInWay::Certificate",
            Self::Browser { .. } => "SignInWay::Browser",
        })
    }
}

/// What a browser came back with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserAnswer {
    /// Authorization code.
    pub code: String,
    /// As it was sent out (RFC 6749 §10.12).
    pub state: String,
    /// Who sent the browser back (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
}

impl fmt::Debug for BrowserAnswer {
    /// Without the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserAnswer")
    }
}
