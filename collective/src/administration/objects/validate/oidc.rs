//! Rules of OpenID Connect providers.

use openidconnect::url::Url;
use ringwall_protocol::form;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::ProviderSettings;
use ringwall_protocol::object::identity_provider::oidc::{AUDIENCE, MAX_TEXT, SCOPE};

use super::Faults;
use super::provider::trust_fault;
use crate::identity::outbound::tls;

pub(super) fn oidc(provider: &IdentityProvider, faults: &mut Faults) {
    let ProviderSettings::Oidc(settings) = &provider.settings else { return };
    let issuer = Url::parse(&settings.issuer).ok().filter(|_| settings.issuer.len() <= MAX_TEXT);
    let good = issuer.is_some_and(|url| {
        url.scheme() == "https"
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    faults.unless(
        good,
        "issuer",
        "expected an https URL without user, query and fragment, as the provider publishes it",
    );
    faults.unless_fits(&settings.audience, AUDIENCE, "audience");
    faults.unless_fits(&settings.scope, SCOPE, "scope");
    faults.unless_fits(&settings.username_claim, form::OBJECT_NAME, "usernameClaim");
    if let Err(message) = tls::config(&settings.trusted_certificates) {
        trust_fault(&settings.trusted_certificates, message, faults);
    }
}
