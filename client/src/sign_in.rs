//! A sign-in from credentials to entitlement tokens: drives [`SignInFlow`] against the Controllers and keeps what
//! comes of it.

use std::sync::Arc;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::TransactionId;
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::{
    BeginSignIn, BrowserAnswer, CertificateAnswer, CertificateRequest, Challenge, Credential, EntitlementsRequest,
    MfaAnswer, SignInAnswer, SignInRequest, SignInWay, SignedIn,
};
use ringwall_protocol::wire::error::ErrorBody;
use ringwall_trust::identity::PrivateKey;
use ringwall_trust::tls::{Presented, PresentedError};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::controller::{CallError, Controllers, Plane};
use crate::core::sign_in::{Finished, SignInFlow, Step};
use crate::failure::{Exit, Failure};
use crate::held_token::{HeldToken, Holder};
use crate::secret_text::SecretText;
use crate::store::{Device, ProfileStore, StoredSession, StoredSite};
use crate::user_key::UserKey;

mod retry;

use retry::{post_with_retry, retry};

/// Most notices of a sign-in that are shown, and most characters of one.
const MAX_NOTICES: usize = 8;
const MAX_NOTICE: usize = 2_048;

/// What proves the user, as entered. No `Debug`.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// Name and password.
    Password {
        /// Name at the identity provider.
        username: String,
        /// Password.
        password: Zeroizing<String>,
    },
    /// What a browser came back with; counts once.
    Browser {
        /// The request that it was sent out with.
        request: String,
        /// What it brought.
        answer: BrowserAnswer,
    },
    /// The user's own certificate and its key.
    Certificate(Arc<UserKey>),
}

/// Who can ask the user for a further factor.
pub(crate) trait AskFactor: Sync {
    /// Asks and waits for the answer.
    fn ask_factor(
        &self,
        transaction: TransactionId,
        kind: InteractionKind,
        message: &str,
        challenge: &Challenge,
        again: bool,
    ) -> impl Future<Output = Result<Zeroizing<String>, Failure>> + Send;
}

/// What a sign-in needs besides credentials.
pub(crate) struct SignIn<'a> {
    /// Whom to ask.
    pub(crate) controllers: &'a Controllers,
    /// Where to keep what comes of it.
    pub(crate) store: &'a ProfileStore,
    /// The device's key.
    pub(crate) key: &'a PrivateKey,
    /// The provider's name.
    pub(crate) provider: &'a str,
    /// What the device says of itself.
    pub(crate) claims: UntrustedClaims,
}

impl SignIn<'_> {
    /// Signs in and keeps the session on disk.
    ///
    /// # Errors
    /// What was refused, or that nobody answered for 30 s.
    pub(crate) async fn run(
        &self,
        mut device: Device,
        credentials: &Credentials,
        factors: &impl AskFactor,
    ) -> Result<StoredSession, Failure> {
        let (mut flow, mut step) = SignInFlow::begin();
        let mut factor = Zeroizing::new(String::new());
        loop {
            step = match step {
                Step::PostCredentials => flow.answered(self.post_credentials(&device, credentials).await?),
                Step::AskFactor { kind, message, transaction, challenge, again } => {
                    factor = factors.ask_factor(transaction, kind, &message, &challenge, again).await?;
                    flow.factor()
                }
                Step::PostFactor(transaction) => {
                    let key_thumbprint = self.key.thumbprint();
                    let answer = MfaAnswer {
                        transaction,
                        answer: factor.to_string(),
                        key_thumbprint,
                        claims_token: None,
                        device_claims: None,
                    };
                    flow.answered(self.post(Plane::SignIn, "/client/v1/sign-in/mfa", &answer).await?)
                }
                Step::PostCertificate => {
                    let signed_in = flow.signed_in().expect("the flow is past the sign-in");
                    self.keep_device(&mut device, signed_in)?;
                    let request = self.certificate_request(signed_in)?;
                    let answer = self.post(Plane::SignIn, "/client/v1/certificate", &request).await?;
                    flow.certified(answer.map(|answer: CertificateAnswer| answer.chain))
                }
                Step::PostEntitlements => self.post_entitlements(&mut flow).await?,
                Step::Finished(finished) => return self.keep(finished),
                Step::Refused(error) => return Err(CallError::Refused(error).into()),
            };
        }
    }

    async fn post_entitlements(&self, flow: &mut SignInFlow) -> Result<Step, Failure> {
        let (signed_in, chain) = flow.certificate().expect("the flow is past the certificate");
        let own = presented(chain, self.key)?;
        let controllers = self.controllers.clone().known(signed_in.controllers.clone()).with_certificate(own);
        let request = EntitlementsRequest {
            claims_token: signed_in.claims_token.clone(),
            device_claims: self.claims.clone(),
            sites: vec![],
        };
        let answer = post_with_retry(&controllers, Plane::Client, "/client/v1/entitlements", &request).await?;
        Ok(flow.entitled(answer))
    }

    /// What the key of a certificate signs holds for one connection, so that each gets a body of its own.
    async fn post_credentials(
        &self,
        device: &Device,
        credentials: &Credentials,
    ) -> Result<Result<SignInAnswer, ErrorBody>, Failure> {
        let path = "/client/v1/sign-in";
        let credential = match credentials {
            Credentials::Password { username, password } => {
                Credential::Password { username: username.clone(), password: password.to_string() }
            }
            Credentials::Browser { request, answer } => {
                Credential::Oidc { request: request.clone(), answer: answer.clone() }
            }
            Credentials::Certificate(user_key) => {
                let key = self.key.thumbprint();
                let make = |exporter: &[u8; 32]| {
                    Ok(self.request(device, user_key.prove(self.provider, device.device_id, key, exporter)?))
                };
                let make = &make;
                return retry(|| self.controllers.post_bound(Plane::SignIn, path, make)).await;
            }
        };
        self.post(Plane::SignIn, path, &self.request(device, credential)).await
    }

    fn request(&self, device: &Device, credential: Credential) -> SignInRequest {
        SignInRequest {
            device_id: device.device_id,
            identity_provider: self.provider.to_owned(),
            credential,
            device_cookie: device.cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            key_thumbprint: self.key.thumbprint(),
            device_claims: self.claims.clone(),
        }
    }

    /// The new cookie is kept at once: the Controller has forgotten the old one, whatever becomes of the rest.
    fn keep_device(&self, device: &mut Device, signed_in: &SignedIn) -> Result<(), Failure> {
        device.cookie = Some(SecretText::from(signed_in.device_cookie.clone()));
        if let Some(key) = &signed_in.device_spa_key {
            device.spa_key = Some(SecretText::from(key.clone()));
        }
        let holder = Holder { device: device.device_id, key: self.key.thumbprint() };
        let token = HeldToken::<ClaimsToken>::take(&signed_in.claims_token, holder)
            .map_err(|error| Failure::new(Exit::Refused, error, "ask an administrator: this Controller misbehaves"))?;
        device.username = Some(token.head.sub.user.user.as_str().to_owned());
        Ok(self.store.keep_device(device)?)
    }

    fn certificate_request(&self, signed_in: &SignedIn) -> Result<CertificateRequest, Failure> {
        certificate_request(&signed_in.claims_token, self.key)
    }

    fn keep(&self, finished: Finished) -> Result<StoredSession, Failure> {
        let session = StoredSession {
            claims_token: finished.signed_in.claims_token.into(),
            chain: finished.chain,
            no_entitlements: why_none(&finished.entitlements),
            sites: stored_sites(finished.entitlements),
            controllers: finished.signed_in.controllers,
            on_demand_claims: finished.signed_in.on_demand_claims,
            notices: readable(finished.signed_in.notices),
        };
        self.store.keep_session(&session)?;
        Ok(session)
    }

    async fn post<Q, A>(&self, plane: Plane, path: &str, question: &Q) -> Result<Result<A, ErrorBody>, Failure>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        post_with_retry(self.controllers, plane, path, question).await
    }
}

/// How users of the profile's provider prove themselves; `redirect_uri` is where a browser would come back to.
///
/// # Errors
/// What was refused, or that nobody answered for 30 s.
pub(crate) async fn way_of(
    controllers: &Controllers,
    device: &Device,
    key: &PrivateKey,
    provider: &str,
    redirect_uri: String,
) -> Result<SignInWay, Failure> {
    let question = BeginSignIn {
        device_id: device.device_id,
        identity_provider: provider.to_owned(),
        key_thumbprint: key.thumbprint(),
        redirect_uri: Some(redirect_uri),
    };
    let answer = post_with_retry(controllers, Plane::SignIn, "/client/v1/sign-in/begin", &question).await?;
    answer.map_err(|body| CallError::Refused(body).into())
}

/// A request for a certificate on this device's key.
pub(crate) fn certificate_request(claims_token: &str, key: &PrivateKey) -> Result<CertificateRequest, Failure> {
    let csr = key.request().map_err(|error| Failure::new(Exit::Unexpected, error, "try again"))?;
    Ok(CertificateRequest { claims_token: claims_token.to_owned(), csr: data_encoding::BASE64URL_NOPAD.encode(&csr) })
}

/// The chain as it is shown in handshakes.
pub(crate) fn presented(chain: &[String], key: &PrivateKey) -> Result<Arc<Presented>, Failure> {
    let damaged = |cause: anyhow::Error| {
        Failure::new(Exit::NotSignedIn, cause.context("cannot use the certificate"), "ringwall sign-in")
    };
    let decoded: Result<Vec<_>, _> = chain
        .iter()
        .map(|text| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map(CertificateDer::from))
        .collect();
    let decoded = decoded.map_err(|error| damaged(error.into()))?;
    Presented::new(decoded, key).map_err(|error: PresentedError| damaged(error.into()))
}

/// Entitlement tokens as they are kept.
pub(crate) fn stored_sites(answer: ringwall_protocol::wire::client::EntitlementsAnswer) -> Vec<StoredSite> {
    let keep = |site: ringwall_protocol::wire::client::SiteToken| StoredSite {
        site_id: site.site_id,
        site_name: site.site_name,
        token: site.token.into(),
    };
    answer.sites.into_iter().map(keep).collect()
}

/// What a Controller has for the user to read, as a terminal may show it.
fn readable(notices: Vec<String>) -> Vec<String> {
    let plain = |notice: String| notice.chars().filter(|c| !c.is_control()).take(MAX_NOTICE).collect();
    notices.into_iter().take(MAX_NOTICES).map(plain).collect()
}

/// Why there are no entitlement tokens, for people.
pub(crate) fn why_none(answer: &ringwall_protocol::wire::client::EntitlementsAnswer) -> Option<String> {
    use ringwall_protocol::wire::client::NoEntitlements;
    if !answer.sites.is_empty() {
        return None;
    }
    let reason = match answer.reason {
        Some(NoEntitlements::Stopped) => "a policy stops access",
        Some(NoEntitlements::NothingGranted) => "the policies that concern you grant nothing",
        Some(NoEntitlements::NoPolicyMatched) | None => "no policy concerns you on this device",
    };
    Some(answer.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}")))
}
