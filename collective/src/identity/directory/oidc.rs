//! OpenID Connect: the user proves himself in a browser at his provider; the Client carries requests and codes, the
//! Controller alone redeems and verifies.
//!
//! Authorization code flow (OpenID Connect Core §3.1) with PKCE (RFC 7636), `state` and `nonce`; browsers come back to the
//! Client on the user's own machine (RFC 8252 §7.3), and say which issuer sent them (RFC 9207), so that no provider passes
//! for another. ID tokens are signed with public keys, are for us, now, and for this request. A provider that does not
//! answer lets nobody in. What a provider says of a user is read at sign-in and stays until its end: it cannot be asked
//! again without him.

mod answer;
mod claims;
mod discovery;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http;
mod id_token;
mod jws;
mod left_out;
mod redeem;
mod request;
#[cfg(test)]
mod tests;
mod trouble;
mod user_info;

use std::sync::Arc;

use claims::NoUser;
use discovery::{Discovered, Published};
use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow};
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, RedirectUrl, Scope};
use redeem::Redeemed;
use request::{BrowserRequest, is_loopback_redirect};
use ringwall_protocol::id::{DeviceId, Thumbprint};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{OidcSettings, ProviderSettings};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{BrowserAnswer, Credential};
use ringwall_raft::State;
use zeroize::Zeroizing;

use super::{Attempt, Claimed, Directory, LookUp, Proof, secrets};
use crate::identity::hashing::Lane;
use crate::identity::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::{Purpose, Vault};

pub(crate) use trouble::Trouble;

/// What we ask for that we would not use: we keep no refresh tokens.
const UNUSED_SCOPE: &str = "offline_access";

/// Who wants to go to a browser, and where it comes back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Going<'a> {
    /// The device.
    pub(crate) device: DeviceId,
    /// Its key.
    pub(crate) key: Thumbprint,
    /// On the user's machine.
    pub(crate) redirect_uri: &'a str,
    /// The user must prove himself anew: a sign-in that the browser remembers does not do.
    pub(crate) fresh: bool,
}

/// What a browser is to open, and what must come back with its answer.
pub(crate) struct Gone {
    /// For the browser.
    pub(crate) url: String,
    /// The request. To be sealed.
    pub(crate) kept: Zeroizing<Vec<u8>>,
}

/// OpenID Connect providers.
pub(crate) struct OidcDirectory {
    vault: Arc<Vault>,
    discovered: Discovered,
    clock: fn() -> UnixMillis,
}

impl OidcDirectory {
    /// Providers whose client secrets `vault` opens, and that are where `outbound` permits.
    #[must_use]
    pub(crate) fn new(vault: Arc<Vault>, outbound: Outbound, clock: fn() -> UnixMillis) -> Self {
        Self { vault, discovered: Discovered::new(outbound), clock }
    }

    /// Where a user proves himself.
    ///
    /// # Errors
    /// `invalid` for a place to come back to that is not the Client's own; `providerUnavailable`.
    pub(crate) async fn go(
        &self,
        state: &State,
        provider: &IdentityProvider,
        going: Going<'_>,
    ) -> Result<Gone, Refusal> {
        let settings = settings(provider)?;
        if !is_loopback_redirect(going.redirect_uri) {
            return Err(Refusal::invalid("redirectUri: expected http://127.0.0.1:<port>/signed-in"));
        }
        let secret = self.secret(state, provider)?;
        let published = self.discovered.of(provider.base.id, settings).await?;
        let redirect = RedirectUrl::new(going.redirect_uri.to_owned()).map_err(|_| Refusal::invalid("redirectUri"))?;
        let library = redeem::library(settings, &published.metadata, secret.as_ref().map(|text| text.as_str()))
            .set_redirect_uri(redirect);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let wanted =
            library.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
        let scopes = settings.scope.split_whitespace().filter(|scope| !["openid", UNUSED_SCOPE].contains(scope));
        let mut wanted =
            wanted.add_scopes(scopes.map(|scope| Scope::new(scope.to_owned()))).set_pkce_challenge(challenge);
        if going.fresh {
            wanted = wanted.add_prompt(CoreAuthPrompt::Login).set_max_age(std::time::Duration::ZERO);
        }
        let (url, csrf, nonce) = wanted.url();
        if url.scheme() != "https" {
            return Err(unavailable("its authorization endpoint", &http_only()));
        }
        let now = (self.clock)();
        let request = BrowserRequest {
            provider: provider.base.id,
            device: going.device,
            key: going.key,
            redirect_uri: going.redirect_uri.to_owned(),
            state: csrf.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            fresh_since: going.fresh.then_some(now),
            expires: now.plus(request::LIFE),
        };
        Ok(Gone { url: url.into(), kept: request.to_bytes() })
    }

    /// Whether a provider as it is described can be asked: its metadata and its keys are read, and what a sign-in needs of
    /// them is looked at. The client's secret is not: only a user's code would tell. Nothing is kept.
    ///
    /// # Errors
    /// Why not, for operators.
    pub(crate) async fn test(&self, settings: &OidcSettings) -> Result<(), Trouble> {
        let published = self.discovered.read(settings).await?;
        published.check(settings)
    }

    /// Seals a request for the Client to carry.
    #[must_use]
    pub(crate) fn seal(&self, kept: &[u8]) -> String {
        self.vault.seal(Purpose::BrowserRequest, kept).as_str().to_owned()
    }

    /// What a browser brought back.
    async fn come_back(
        &self,
        state: &State,
        provider: &IdentityProvider,
        request: &BrowserRequest,
        answer: &BrowserAnswer,
    ) -> Result<Proof, Refusal> {
        let settings = settings(provider)?;
        let published = self.discovered.of(provider.base.id, settings).await?;
        if let Err(why) = fits(request, &published, answer) {
            return Ok(nobody(provider, why));
        }
        let secret = self.secret(state, provider)?;
        let secret = secret.as_ref().map(|text| text.as_str());
        let now = (self.clock)();
        let mut redeemed = redeem::redeem(settings, &published, secret, request, &answer.code, now).await?;
        if let Redeemed::UnknownKey(token) = redeemed {
            // The code is spent; what it brought is looked at once more, with the keys of now.
            redeemed = match self.discovered.again(provider.base.id, settings).await? {
                Some(now_published) => redeem::verify(settings, &now_published, request, *token, now).await?,
                None => Redeemed::Refused("the ID token's key is not known".to_owned()),
            };
        }
        let proved = match redeemed {
            Redeemed::Claims(proved) => proved,
            Redeemed::Refused(why) => return Ok(nobody(provider, &why)),
            Redeemed::UnknownKey(_) => return Ok(nobody(provider, "the ID token's key is not among the provider's")),
        };
        Ok(match claims::user(provider, settings, &proved) {
            Ok(user) => Proof::User(Box::new(user)),
            Err(why @ NoUser::Name) => nobody(provider, &why.to_string()),
            Err(NoUser::Incomplete { name, why }) => {
                let cause = why.to_string();
                log_refusal(provider, &cause);
                Proof::Incomplete { name, cause }
            }
        })
    }

    fn secret(&self, state: &State, provider: &IdentityProvider) -> Result<Option<Zeroizing<String>>, Refusal> {
        secrets::read(&self.vault, state, provider.base.id.uuid(), "clientSecret")
    }
}

impl std::fmt::Debug for OidcDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OidcDirectory")
    }
}

impl Directory for OidcDirectory {
    fn claimed(&self, _: &IdentityProvider, credential: &Credential) -> Claimed {
        match credential {
            Credential::Oidc { .. } => Claimed::Later,
            _ => Claimed::Nobody,
        }
    }

    async fn prove(&self, state: &State, provider: &IdentityProvider, attempt: &Attempt<'_>) -> Result<Proof, Refusal> {
        let Credential::Oidc { request, answer } = attempt.credential else { return Ok(Proof::Nobody) };
        let opened = self.vault.open_foreign(Purpose::BrowserRequest, request);
        let request = opened.and_then(|bytes| BrowserRequest::from_bytes(&bytes));
        match request.filter(|one| one.is_for(provider.base.id, attempt.device, attempt.key, (self.clock)())) {
            Some(request) => self.come_back(state, provider, &request, answer).await,
            None => Ok(nobody(provider, "the browser's request was made for another device, key, provider or time")),
        }
    }

    async fn go_on(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
        kept: &[u8],
        answer: &str,
    ) -> Result<Proof, Refusal> {
        let request = BrowserRequest::from_bytes(kept).ok_or_else(Refusal::internal)?;
        if request.provider != provider.base.id || request.expires <= (self.clock)() {
            return Ok(nobody(provider, "the browser came back too late"));
        }
        let Ok(answer) = serde_json::from_str::<BrowserAnswer>(answer) else { return Ok(Proof::Nobody) };
        match self.come_back(state, provider, &request, &answer).await? {
            Proof::User(user) if user.name == *name => Ok(Proof::User(user)),
            Proof::User(_) => Ok(nobody(provider, "another user than the one of the session proved himself")),
            other => Ok(other),
        }
    }

    async fn prove_nobody(
        &self,
        _: &State,
        _: Option<&IdentityProvider>,
        _: &Credential,
        _: Lane,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    async fn look_up(&self, _: &State, _: &IdentityProvider, _: &UserName) -> Result<LookUp, Refusal> {
        Ok(LookUp::Unreadable)
    }
}

/// Whether the browser was sent back by the provider that it was sent to, with the request that it was sent with.
fn fits(request: &BrowserRequest, published: &Published, answer: &BrowserAnswer) -> Result<(), &'static str> {
    let same = request.state == answer.state;
    let metadata = &published.metadata;
    let told = metadata.additional_metadata().authorization_response_iss_parameter_supported;
    match &answer.iss {
        _ if !same => Err("the browser came back with the state of another request"),
        Some(iss) if iss != metadata.issuer().as_str() => Err("the browser came back from another issuer"),
        None if told => Err("the browser came back without the issuer that this provider always names"),
        _ => Ok(()),
    }
}

/// Nobody is proved; the operator's log says why.
fn nobody(provider: &IdentityProvider, why: &str) -> Proof {
    log_refusal(provider, why);
    Proof::Nobody
}

fn log_refusal(provider: &IdentityProvider, why: &str) {
    tracing::warn!(provider = provider.base.name, why, "sign-in at an OpenID provider is refused");
}

fn settings(provider: &IdentityProvider) -> Result<&OidcSettings, Refusal> {
    match &provider.settings {
        ProviderSettings::Oidc(settings) => Ok(settings),
        _ => Err(Refusal::internal()),
    }
}

fn http_only() -> std::io::Error {
    std::io::Error::other("expected https")
}

/// A provider that cannot be asked; its causes go to the log.
fn unavailable(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Refusal {
    Trouble::of(what, error).refuse()
}
