//! Bodies of the client API of a Controller (`docs/token-flow.md` "Sign-in", "Step-up", "Renewal").
//!
//! `POST` with JSON. On ALPN `ringwall/sign-in/1` (no client certificate): `/client/v1/sign-in`,
//! `/client/v1/sign-in/mfa`, `/client/v1/certificate`. On `ringwall/client/1` (client certificate required):
//! `/client/v1/entitlements`, `/client/v1/renew`, `/client/v1/step-up`, `/client/v1/step-up/mfa`,
//! `/client/v1/certificate/renew`, `/client/v1/sign-out`. Refusals are an [`ErrorBody`](super::error::ErrorBody).

mod browser;

use serde::{Deserialize, Serialize};

use crate::claims::UntrustedClaims;
use crate::id::{ConditionId, DeviceId, PromptId, SiteId, Thumbprint, TransactionId};
use crate::interaction::InteractionKind;
use crate::object::identity_provider::OnDemandClaim;

pub use browser::{BeginSignIn, BrowserAnswer, SignInWay};

/// Longest body before authentication, in bytes.
pub const MAX_SIGN_IN_BODY: usize = 64 * 1024;
/// Longest body after it.
pub const MAX_CLIENT_BODY: usize = 1024 * 1024;
/// Longest answer to a factor's challenge, in bytes: a WebAuthn attestation with a certificate chain fits.
pub const MAX_FACTOR_ANSWER: usize = 16 * 1024;
/// Most certificates of a user's chain: leaf and three intermediates.
pub const MAX_USER_CHAIN: usize = 4;

/// Label of the exporter (RFC 8446 §7.5) to which a certificate's proof is bound.
pub const SIGN_IN_EXPORTER: &[u8] = b"EXPORTER-ringwall-sign-in";

/// What a user's certificate key signs: that this sign-in, on this connection, at this provider, with this device's key
/// is meant. `exporter` is the connection's [`SIGN_IN_EXPORTER`], so that a signature
/// is worth nothing on another connection.
#[must_use]
pub fn certificate_statement(provider: &str, device: DeviceId, key: &Thumbprint, exporter: &[u8; 32]) -> Vec<u8> {
    let mut statement = b"ringwall user certificate sign-in v1\0".to_vec();
    // Everything but the provider's name, which is last, has a fixed length: nothing can be shifted.
    statement.extend_from_slice(exporter);
    statement.extend_from_slice(&key.0);
    statement.extend_from_slice(device.uuid().as_bytes());
    statement.extend_from_slice(provider.as_bytes());
    statement
}

/// `POST /client/v1/sign-in`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInRequest {
    /// Random per installation and profile.
    pub device_id: DeviceId,
    /// Name of the identity provider.
    pub identity_provider: String,
    /// What proves the user.
    pub credential: Credential,
    /// From the last sign-in, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_cookie: Option<String>,
    /// The key that everything will be bound to.
    pub key_thumbprint: Thumbprint,
    /// What the device says of itself.
    pub device_claims: UntrustedClaims,
}

/// What proves a user. No `Debug`: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum Credential {
    /// Name and password.
    Password {
        /// Name.
        username: String,
        /// Password, 1–1,024 bytes.
        password: String,
    },
    /// OpenID Connect, code flow with PKCE.
    Oidc {
        /// As [`SignInWay::Browser`] gave it.
        request: String,
        /// What the browser came back with.
        answer: BrowserAnswer,
    },
    /// SAML 2.0 response.
    Saml {
        /// Base64.
        response: String,
    },
    /// A user's certificate, and proof of its key (see [`certificate_statement`]).
    Certificate {
        /// Leaf first, then intermediates; DER, base64url. At most [`MAX_USER_CHAIN`].
        chain: Vec<String>,
        /// TLS 1.3 name of the signature's algorithm, as RFC 8446 §4.2.3 numbers it.
        scheme: u16,
        /// Signature over the statement, base64url.
        signature: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Credential::Password",
            Self::Oidc { .. } => "Credential::Oidc",
            Self::Saml { .. } => "Credential::Saml",
            Self::Certificate { .. } => "Credential::Certificate",
        })
    }
}

/// Answer to a sign-in: done (200), or another factor first (202).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum SignInAnswer {
    /// 200.
    SignedIn(SignedIn),
    /// 202: answer at `…/sign-in/mfa`.
    MfaWanted(MfaWanted),
}

/// A sign-in that succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// JWT.
    pub claims_token: String,
    /// The new device cookie, base64url; replaces the one that was sent.
    pub device_cookie: String,
    /// The device's own SPA key, base64url; absent while SPA is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_spa_key: Option<String>,
    /// Controllers, to try in turn.
    pub controllers: Vec<ControllerAddress>,
    /// Claims that the Client is to find out.
    #[serde(default)]
    pub on_demand_claims: Vec<OnDemandClaim>,
    /// What the user should read: a password that is about to expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// Where a Controller answers Clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerAddress {
    /// `host:port`, tried in order.
    pub addresses: Vec<String>,
    /// Keys of its certificate.
    pub spki_sha256: Vec<Thumbprint>,
}

/// Another factor is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MfaWanted {
    /// Names the transaction; any Controller can finish it. 3 attempts; 120 s, from the moment at which the user is sent
    /// to a page 600 s.
    pub transaction: TransactionId,
    /// What is wanted.
    pub kind: InteractionKind,
    /// For people.
    pub message: String,
    /// What the answer is made of.
    #[serde(default)]
    pub challenge: Challenge,
}

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Challenge {
    /// Something that the user types.
    Text {
        /// How it is shown.
        #[serde(default)]
        input: InputType,
    },
    /// Nothing: the user is asked elsewhere. The answer is empty and takes as long as the user does.
    Push {},
    /// A page that the user's browser opens; the answer is what it comes back with.
    Browser {
        /// The page.
        url: String,
    },
    /// A WebAuthn ceremony; the answer is the credential's JSON.
    #[serde(rename_all = "camelCase")]
    WebAuthn {
        /// True: a new authenticator is registered (`navigator.credentials.create`); false: `get`.
        create: bool,
        /// The options, as JSON text (WebAuthn level 3, `parse…OptionsFromJSON`).
        options: String,
    },
    /// Nothing is typed: the user agrees to be asked, and the Controller then says how. Never from a Controller: the
    /// Client's own word for [`GrantedCondition::asked_first`](crate::token::GrantedCondition::asked_first).
    Agree {},
}

impl Challenge {
    /// Whether it is answered on a page, on which people take their time.
    #[must_use]
    pub const fn is_page(&self) -> bool {
        matches!(self, Self::Browser { .. } | Self::WebAuthn { .. })
    }
}

impl Default for Challenge {
    fn default() -> Self {
        Self::Text { input: InputType::Masked }
    }
}

/// How what the user types is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum InputType {
    /// As a password.
    #[default]
    Masked,
    /// As digits.
    Numeric,
    /// As text.
    Text,
}

/// `POST …/sign-in/mfa` and `…/step-up/mfa`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MfaAnswer {
    /// Which transaction.
    pub transaction: TransactionId,
    /// The code; at most [`MAX_FACTOR_ANSWER`] bytes.
    pub answer: String,
    /// Must be that of the sign-in.
    pub key_thumbprint: Thumbprint,
    /// JWT, for step-ups: what the proof is added to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_token: Option<String>,
    /// For step-ups, as in [`StepUpRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_claims: Option<UntrustedClaims>,
}

impl std::fmt::Debug for MfaAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MfaAnswer({})", self.transaction)
    }
}

/// `POST …/certificate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateRequest {
    /// JWT whose `cnf` is the CSR's key.
    pub claims_token: String,
    /// PKCS #10, DER, base64url. Nothing but its key is used.
    pub csr: String,
}

/// Answer to a certificate request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAnswer {
    /// Leaf first, then the issuer; DER, base64url. The root is not part of it.
    pub chain: Vec<String>,
}

/// `POST …/entitlements`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntitlementsRequest {
    /// JWT.
    pub claims_token: String,
    /// What the device says of itself.
    pub device_claims: UntrustedClaims,
    /// Only these Sites; empty: all.
    #[serde(default)]
    pub sites: Vec<SiteId>,
}

/// Answer with one token per Site. None is a success, with the reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementsAnswer {
    /// JWTs.
    pub sites: Vec<SiteToken>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NoEntitlements>,
    /// Text of a Stop policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One Site's token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteToken {
    /// The Site.
    pub site_id: SiteId,
    /// For people.
    pub site_name: String,
    /// JWT.
    pub token: String,
}

/// Why a user has no entitlements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoEntitlements {
    /// No policy's criteria match.
    NoPolicyMatched,
    /// A Stop policy matched.
    Stopped,
    /// Policies match, but give nothing.
    NothingGranted,
}

/// `POST …/renew`: a new claims token from one that is still valid.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewRequest {
    /// JWT.
    pub claims_token: String,
    /// What the device says of itself.
    pub device_claims: UntrustedClaims,
}

/// Answer to a step-up: done (200), or another answer first (202, at `…/step-up/mfa`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StepUpAnswer {
    /// 200.
    Claims(ClaimsAnswer),
    /// 202.
    Wanted(MfaWanted),
}

/// Answer with a new claims token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimsAnswer {
    /// JWT.
    pub claims_token: String,
}

/// `POST …/step-up`. The Client names the interaction; everything else of it comes from the Controller's state.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepUpRequest {
    /// JWT.
    pub claims_token: String,
    /// The condition.
    pub condition_id: ConditionId,
    /// Position of the interaction in it.
    pub interaction_index: u8,
    /// The Gateway's prompt, for the audit.
    pub prompt_id: PromptId,
    /// One-time password or password. Empty where the provider must be asked first for what the user is to answer.
    pub answer: String,
    /// Where a browser would come back to, as in [`BeginSignIn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// What the device says of itself: policies may ask for it, and this Controller may not have heard of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_claims: Option<UntrustedClaims>,
}

impl std::fmt::Debug for StepUpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StepUpRequest({}, {})", self.condition_id, self.interaction_index)
    }
}

/// `POST …/sign-out`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignOutRequest {
    /// JWT.
    pub claims_token: String,
}
