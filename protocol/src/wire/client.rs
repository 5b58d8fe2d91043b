//! Bodies of the client API of a Controller (`token-flow.md` "Sign-in", "Step-up", "Renewal").
//!
//! `POST` with JSON. On ALPN `ringwall/sign-in/1` (no client certificate): `/client/v1/sign-in`,
//! `/client/v1/sign-in/mfa`, `/client/v1/certificate`. On `ringwall/client/1` (client certificate required):
//! `/client/v1/entitlements`, `/client/v1/renew`, `/client/v1/step-up`, `/client/v1/step-up/mfa`,
//! `/client/v1/certificate/renew`, `/client/v1/sign-out`. Refusals are an [`ErrorBody`](super::error::ErrorBody).

use serde::{Deserialize, Serialize};

use crate::claims::UntrustedClaims;
use crate::id::{ConditionId, DeviceId, PromptId, SiteId, Thumbprint, TransactionId};
use crate::interaction::InteractionKind;
use crate::object::identity_provider::OnDemandClaim;

/// Longest body before authentication, in bytes.
pub const MAX_SIGN_IN_BODY: usize = 64 * 1024;
/// Longest body after it.
pub const MAX_CLIENT_BODY: usize = 1024 * 1024;

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
    #[serde(rename_all = "camelCase")]
    Oidc {
        /// Authorization code.
        code: String,
        /// PKCE verifier (RFC 7636).
        code_verifier: String,
        /// As used in the browser.
        redirect_uri: String,
        /// As used in the browser.
        nonce: String,
    },
    /// SAML 2.0 response.
    Saml {
        /// Base64.
        response: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Credential::Password",
            Self::Oidc { .. } => "Credential::Oidc",
            Self::Saml { .. } => "Credential::Saml",
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
    /// Names the transaction; any Controller can finish it; 120 s, 3 attempts.
    pub transaction: TransactionId,
    /// What is wanted.
    pub kind: InteractionKind,
    /// For people.
    pub message: String,
}

/// `POST …/sign-in/mfa` and `…/step-up/mfa`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MfaAnswer {
    /// Which transaction.
    pub transaction: TransactionId,
    /// The code.
    pub answer: String,
    /// Must be that of the sign-in.
    pub key_thumbprint: Thumbprint,
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
    /// One-time password or password.
    pub answer: String,
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
