//! Rules of what only one kind of provider has: servers, filters, certificates. Whether a server answers is asked by the
//! test calls; where servers may be is the Controller's configuration.

use ldap3::parse_filter;
use ringwall_protocol::object::identity_provider::factor::{RadiusFactorSettings, RadiusMode};
use ringwall_protocol::object::identity_provider::ldap::{
    ATTRIBUTE, DN, DN_OR_NOTHING, MAX_DN, MAX_DOMAINS, NestedGroups, SIGN_IN_DOMAIN, WARNING, WARNING_DAYS,
};
use ringwall_protocol::object::identity_provider::{
    FactorSettings, LdapSettings, ProviderSettings, RadiusSettings, SERVER, SERVERS, TIMEOUT_SECONDS,
};
use ringwall_protocol::object::{IdentityProvider, MfaProvider};
use ringwall_protocol::wire::client::InputType;
use ringwall_trust::user_certificate::{AuthoritiesError, UserAuthorities};

use super::{Faults, oidc};
use crate::administration::objects::decode::NO_SAML;
use crate::identity::outbound::tls;

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
            let message = "are not read here: the certificate names the user; leave them out";
            faults.contradict_unless(settings.ldap.sign_in_domains.is_empty(), "signInDomains", message);
            faults.unless_fits(&settings.certificate_user_attribute, ATTRIBUTE, "certificateUserAttribute");
            if let Some(attribute) = &settings.certificate_attribute {
                faults.unless_fits(attribute, ATTRIBUTE, "certificateAttribute");
            }
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
        Err(error @ AuthoritiesError::Lists(_)) => faults.contradict("revocationLists", error.to_string()),
    }
}

fn ldap(settings: &LdapSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    match (settings.ssl_enabled, settings.start_tls, settings.allow_plain) {
        (true, true, _) => faults.contradict("startTls", "excludes sslEnabled: TLS begins at once or after StartTLS"),
        (false, false, false) => {
            let message = "or startTls is wanted; allowPlain sends passwords over the network as they are";
            faults.contradict("sslEnabled", message);
        }
        (true, false, true) | (false, true, true) => {
            faults.contradict("allowPlain", "excludes sslEnabled and startTls")
        }
        _ => {}
    }
    let encrypted = settings.ssl_enabled || settings.start_tls;
    let unread =
        "are not read without sslEnabled or startTls: a server without TLS shows no certificate; leave them empty";
    faults.contradict_unless(encrypted || settings.trusted_certificates.is_empty(), "trustedCertificates", unread);
    if encrypted && let Err(message) = tls::config(&settings.trusted_certificates) {
        trust_fault(&settings.trusted_certificates, message, faults);
    }
    faults.unless_fits(&settings.admin_distinguished_name, DN, "adminDistinguishedName");
    faults.unless_fits(&settings.base_dn, DN_OR_NOTHING, "baseDn");
    faults.unless_fits(&settings.membership_base_dn, DN_OR_NOTHING, "membershipBaseDn");
    for (field, filter) in [("userFilter", &settings.user_filter), ("membershipFilter", &settings.membership_filter)] {
        faults.unless(is_filter(filter), field, "is a filter in parentheses, as RFC 4515 has it");
    }
    faults.unless_fits(&settings.username_attribute, ATTRIBUTE, "usernameAttribute");
    faults.unless_fits(&settings.member_attribute, ATTRIBUTE, "memberAttribute");
    members(settings, faults);
    domains(settings, faults);
    let warning = &settings.password_warning;
    let days = WARNING_DAYS.contains(&warning.threshold_days);
    faults.unless(days, "passwordWarning.thresholdDays", "lies between 1 and 365");
    faults.unless_fits(&warning.message, WARNING, "passwordWarning.message");
}

/// Attributes by which no group names its members, and a rule that has nothing to follow.
fn members(settings: &LdapSettings, faults: &mut Faults) {
    let is = |name: &str| settings.member_attribute.eq_ignore_ascii_case(name);
    let of_users = is("memberOf") || is("primaryGroupID");
    faults.contradict_unless(
        !of_users,
        "memberAttribute",
        "is an attribute of groups, like member; users have this one",
    );
    let numbered = "is found without being named, where membershipFilter matches posixGroup; leave it out";
    faults.contradict_unless(!is("gidNumber"), "memberAttribute", numbered);
    let chained = settings.nested_groups == NestedGroups::MatchingRule;
    let message = "excludes memberAttribute memberUid: it names users, so that no group is in another one";
    faults.contradict_unless(!(chained && is("memberUid")), "nestedGroups", message);
}

fn domains(settings: &LdapSettings, faults: &mut Faults) {
    faults.unless(settings.sign_in_domains.len() <= MAX_DOMAINS, "signInDomains", "are at most 16");
    for (at, domain) in settings.sign_in_domains.iter().enumerate() {
        faults.unless_fits(domain, SIGN_IN_DOMAIN, &format!("signInDomains[{at}]"));
    }
    let named = ["userPrincipalName", "mail"].iter().any(|name| settings.username_attribute.eq_ignore_ascii_case(name));
    let message = "are removed from names, and values of this usernameAttribute have one; leave them out";
    faults.contradict_unless(!named || settings.sign_in_domains.is_empty(), "signInDomains", message);
}

/// Certificates that cannot be read; or there are none, and this machine has none of its own.
pub(super) fn trust_fault(named: &[String], message: String, faults: &mut Faults) {
    if named.is_empty() {
        faults.contradict("trustedCertificates", message);
    } else {
        faults.add("trustedCertificates", message);
    }
}

fn radius(settings: &RadiusSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    let bounded = TIMEOUT_SECONDS.contains(&settings.timeout);
    faults.unless(bounded, "timeout", "lies between 1 and 90 seconds");
}

fn radius_factor(settings: &RadiusFactorSettings, faults: &mut Faults) {
    servers(&settings.hostnames, settings.port, faults);
    let typed = settings.mode != RadiusMode::Push || settings.input_type == InputType::default();
    faults.contradict_unless(
        typed,
        "inputType",
        "is not read in mode Push: the user confirms elsewhere and types nothing; leave it out",
    );
    let bounded = TIMEOUT_SECONDS.contains(&settings.timeout);
    faults.unless(bounded, "timeout", "lies between 1 and 90 seconds");
}

fn servers(hosts: &[String], port: u16, faults: &mut Faults) {
    faults.unless(SERVERS.contains(&hosts.len()), "hostnames", "are 1 to 8 servers");
    for (at, host) in hosts.iter().enumerate() {
        faults.unless_fits(host, SERVER, &format!("hostnames[{at}]"));
    }
    faults.unless(port != 0, "port", "lies between 1 and 65535");
}

/// One filter and nothing behind it.
fn is_filter(filter: &str) -> bool {
    filter.len() <= MAX_DN && filter.starts_with('(') && filter.ends_with(')') && parse_filter(filter).is_ok()
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
            assert!(ATTRIBUTE.fits(good), "{good}");
        }
        for bad in ["", "a=b", "a)(b", "2..5", "cn;binary", "-a"] {
            assert!(!ATTRIBUTE.fits(bad), "{bad}");
        }
    }
}
