//! Rules of OpenID Connect providers.

use openidconnect::url::Url;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::ProviderSettings;

use super::{Faults, text};
use crate::identity::outbound::tls;

/// Longest issuer, client id and scope, in bytes.
const MAX_TEXT: usize = 1_024;

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
    let line = |text: &str| !text.trim().is_empty() && text::is_line(text, MAX_TEXT);
    faults.unless(line(&settings.audience), "audience", "is the client id at the provider, 1 to 1024 bytes");
    faults.unless(text::is_line(&settings.scope, MAX_TEXT), "scope", "has at most 1024 bytes, separated by spaces");
    let claim = line(&settings.username_claim) && settings.username_claim.len() <= 256;
    faults.unless(claim, "usernameClaim", "is a claim of the ID token, such as sub; 1 to 256 bytes");
    if let Err(message) = tls::config(&settings.trusted_certificates) {
        faults.add("trustedCertificates", message);
    }
}
