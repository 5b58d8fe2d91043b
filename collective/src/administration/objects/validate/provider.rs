//! Rules of what only one kind of provider has: servers, filters, certificates. Whether a server answers is asked by the
//! test calls; where servers may be is the Controller's configuration.

use ldap3::parse_filter;
use ringwall_protocol::interaction::MAX_MESSAGE;
use ringwall_protocol::object::identity_provider::factor::{RadiusFactorSettings, RadiusMode};
use ringwall_protocol::object::identity_provider::{FactorSettings, LdapSettings, ProviderSettings, RadiusSettings};
use ringwall_protocol::object::{IdentityProvider, MfaProvider};
use ringwall_protocol::wire::client::InputType;
use ringwall_trust::user_certificate::{AuthoritiesError, UserAuthorities};

use super::{Faults, oidc, text};
use crate::administration::objects::decode::NO_SAML;
use crate::identity::outbound::tls;

/// Most servers of a provider: each may take seconds to fail.
const MAX_SERVERS: usize = 8;
/// Longest DN or filter, in bytes.
const MAX_DN: usize = 1_024;
/// Longest wait for RADIUS servers, in seconds: Clients wait no longer than 20 for an answer.
const MAX_TIMEOUT: u32 = 15;

/// What is wrong with an identity provider's own settings.
pub(super) fn identity(provider: &IdentityProvider, faults: &mut Faults) {
    match &provider.settings {
        ProviderSettings::LocalDatabase => {}
        ProviderSettings::Ldap(settings) => ldap(settings, faults),
        ProviderSettings::Radius(settings) => radius(settings, faults),
        ProviderSettings::Certificate(settings) => {
            authorities(&settings.ca_certificates, &settings.revocation_lists, faults);
        }
        ProviderSettings::LdapCertificate(settings) => {
            authorities(&settings.ca_certificates, &settings.revocation_lists, faults);
            ldap(&settings.ldap, faults);
            let attribute = is_attribute(&settings.certificate_user_attribute);
            faults.unless(attribute, "certificateUserAttribute", "is the name of an attribute");
            let attribute = settings.certificate_attribute.as_deref().is_none_or(is_attribute);
            faults.unless(attribute, "certificateAttribute", "is the name of an attribute, or absent");
        }
        ProviderSettings::Oidc(_) => oidc::oidc(provider, faults),
        ProviderSettings::Saml => faults.add("type", NO_SAML),
    }
}

/// What is wrong with an MFA provider's own settings.
pub(super) fn factor(provider: &MfaProvider, faults: &mut Faults) {
    match &provider.settings {
        FactorSettings::DefaultTimeBased => {}
        FactorSettings::Radius(settings) => radius_factor(settings, faults),
        FactorSettings::Fido2 => {}
    }
}

fn authorities(certificates: &[String], lists: &[String], faults: &mut Faults) {
    match UserAuthorities::parse(certificates, lists) {
        Ok(_) => {}
        Err(error @ AuthoritiesError::Authorities(_)) => faults.add("caCertificates", error.to_string()),
        Err(error @ AuthoritiesError::Lists(_)) => faults.add("revocationLists", error.to_string()),
    }
}

fn ldap(settings: &LdapSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    match (settings.ssl_enabled, settings.start_tls, settings.allow_plain) {
        (true, true, _) => faults.add("startTls", "excludes sslEnabled: TLS begins at once or after StartTLS"),
        (false, false, false) => {
            let message = "or startTls is wanted; allowPlain sends passwords over the network as they are";
            faults.add("sslEnabled", message);
        }
        (true, false, true) | (false, true, true) => faults.add("allowPlain", "excludes sslEnabled and startTls"),
        _ => {}
    }
    let encrypted = settings.ssl_enabled || settings.start_tls;
    let unread =
        "are not read without sslEnabled or startTls: a server without TLS shows no certificate; leave them empty";
    faults.unless(encrypted || settings.trusted_certificates.is_empty(), "trustedCertificates", unread);
    if encrypted && let Err(message) = tls::config(&settings.trusted_certificates) {
        faults.add("trustedCertificates", message);
    }
    let is_dn = |text: &str| text.contains('=') && text::is_line(text, MAX_DN);
    let admin = is_dn(&settings.admin_distinguished_name);
    faults.unless(admin, "adminDistinguishedName", "is a distinguished name, like cn=reader,dc=corp,dc=example");
    for (field, dn) in [("baseDn", &settings.base_dn), ("membershipBaseDn", &settings.membership_base_dn)] {
        faults.unless(dn.is_empty() || is_dn(dn), field, "is a distinguished name, or empty");
    }
    for (field, filter) in [("userFilter", &settings.user_filter), ("membershipFilter", &settings.membership_filter)] {
        faults.unless(is_filter(filter), field, "is a filter in parentheses, as RFC 4515 has it");
    }
    for (field, attribute) in
        [("usernameAttribute", &settings.username_attribute), ("memberAttribute", &settings.member_attribute)]
    {
        faults.unless(is_attribute(attribute), field, "is the name of an attribute");
    }
    let warning = &settings.password_warning;
    let days = (1..=365).contains(&warning.threshold_days);
    faults.unless(days, "passwordWarning.thresholdDays", "lies between 1 and 365");
    let readable = text::is_line(&warning.message, MAX_MESSAGE);
    faults.unless(readable, "passwordWarning.message", "has at most 2048 bytes and no control characters");
}

fn radius(settings: &RadiusSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    let bounded = (1..=MAX_TIMEOUT).contains(&settings.timeout);
    faults.unless(bounded, "timeout", "lies between 1 and 15 seconds");
}

fn radius_factor(settings: &RadiusFactorSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    let typed = settings.mode != RadiusMode::Push || settings.input_type == InputType::default();
    faults.unless(
        typed,
        "inputType",
        "is not read in mode Push: the user confirms elsewhere and types nothing; leave it out",
    );
    let bounded = (1..=MAX_TIMEOUT).contains(&settings.timeout);
    faults.unless(bounded, "timeout", "lies between 1 and 15 seconds");
}

fn servers(hosts: &[String], port: u16, faults: &mut Faults) {
    faults.unless((1..=MAX_SERVERS).contains(&hosts.len()), "hostnames", "are 1 to 8 servers");
    for (at, host) in hosts.iter().enumerate() {
        let plain = !host.is_empty() && text::is_line(host, 253) && !host.contains(['/', '@', ' ']);
        faults.unless(plain, &format!("hostnames[{at}]"), "is a host name or an address, without port");
    }
    faults.unless(port != 0, "port", "lies between 1 and 65535");
}

/// One filter and nothing behind it.
fn is_filter(filter: &str) -> bool {
    filter.len() <= MAX_DN && filter.starts_with('(') && filter.ends_with(')') && parse_filter(filter).is_ok()
}

/// An attribute's name or number (RFC 4512 §1.4), without options.
fn is_attribute(name: &str) -> bool {
    let letters = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let numbers = name.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (1..=128).contains(&name.len()) && (letters || numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_one_whole_and_in_parentheses() {
        for good in ["(objectClass=person)", "(&(objectClass=user)(!(cn=x*)))", r"(cn=a\28b)"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "objectClass=user", "(a=b)(c=d)", "(a=b", "(&(a=b)", "()", "(a=b))"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }

    #[test]
    fn attributes_are_names_and_nothing_else() {
        for good in ["uid", "sAMAccountName", "msDS-PrincipalName", "2.5.4.3"] {
            assert!(is_attribute(good), "{good}");
        }
        for bad in ["", "a=b", "a)(b", "2..5", "cn;binary", "-a"] {
            assert!(!is_attribute(bad), "{bad}");
        }
    }
}
