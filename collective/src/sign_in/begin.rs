//! How users of a provider prove themselves: asked before a sign-in by a Client that does not know (S16, S17).
//!
//! Nothing is written, and a provider that is not there, or not for the profile that knocked, answers as the most common
//! kind does.

use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{BeginSignIn, SignInWay};

use super::SignIn;
use super::proof::{by_knock, permitted_provider};
use crate::identity::directory::oidc::Going;
use crate::refusal::Refusal;
use crate::sign_in::UnauthenticatedClient;

impl SignIn {
    /// How users of a provider prove themselves; for browsers also where.
    ///
    /// # Errors
    /// `providerUnavailable`, `invalid` for a place to come back to that is not the Client's own; `busy`, `noQuorum`.
    pub(crate) async fn begin_sign_in(
        &self,
        caller: &UnauthenticatedClient,
        request: &BeginSignIn,
        now: UnixMillis,
    ) -> Result<SignInWay, Refusal> {
        let attempter = by_knock(&self.replica.state(), caller);
        let _place = self.places.take(attempter)?;
        self.lockout.failures.may_try(attempter, now)?;
        let state = self.replica.current().await?;
        let Some(provider) = permitted_provider(&state, caller, &request.identity_provider, request.device_id) else {
            self.lockout.failures.count(attempter, now);
            return Ok(SignInWay::Password {});
        };
        match provider.kind() {
            IdentityProviderKind::Oidc => {}
            IdentityProviderKind::Certificate | IdentityProviderKind::LdapCertificate => {
                return Ok(SignInWay::Certificate {});
            }
            IdentityProviderKind::LocalDatabase
            | IdentityProviderKind::Ldap
            | IdentityProviderKind::Radius
            | IdentityProviderKind::Saml => return Ok(SignInWay::Password {}),
        }
        let Some(redirect_uri) = request.redirect_uri.as_deref() else {
            return Err(Refusal::invalid("redirectUri is wanted: users of this provider sign in with a browser"));
        };
        let going = Going { device: request.device_id, key: request.key_thumbprint, redirect_uri, fresh: false };
        let gone = self.providers.directories.oidc.go(&state, provider, going).await?;
        Ok(SignInWay::Browser { request: self.providers.directories.oidc.seal(&gone.kept), url: gone.url })
    }
}
