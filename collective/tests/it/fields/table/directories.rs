//! Providers that speak LDAP, on a real directory.

use serde_json::{Value, json};

use super::{Entry, refused, seen, tested};
use crate::fields::look::Look::Directory;

/// The provider of the real directory.
const AT: &str = "ldap";

pub(in crate::fields) fn entries() -> Vec<Entry> {
    let strange = "an_unreachable_or_strange_directory_is_a_clear_refusal_and_never_a_pass";
    let plain = json!({"sslEnabled": false, "allowPlain": true});
    let mut entries = vec![
        see("IdentityProvider:Ldap.hostnames[]", json!({"hostnames": ["127.0.0.3"]})),
        see("IdentityProvider:Ldap.port", json!({"port": 9})),
        tested("IdentityProvider:Ldap.sslEnabled", strange),
        tested("IdentityProvider:Ldap.startTls", strange),
        tested("IdentityProvider:Ldap.allowPlain", "the_password_of_a_blocked_user_never_reaches_the_directory"),
        tested("IdentityProvider:Ldap.trustedCertificates[]", strange),
        refused("IdentityProvider:Ldap.allowPlain", AT, "trustedCertificates", plain),
        see(
            "IdentityProvider:Ldap.adminDistinguishedName",
            json!({"adminDistinguishedName": "cn=nobody,dc=corp,dc=example"}),
        ),
        see("IdentityProvider:Ldap.adminPassword", json!({"adminPassword": "another password"})),
        see("IdentityProvider:Ldap.baseDn", json!({"baseDn": "ou=groups,dc=corp,dc=example"})),
        see("IdentityProvider:Ldap.userFilter", json!({"userFilter": "(objectClass=organizationalUnit)"})),
        see("IdentityProvider:Ldap.usernameAttribute", json!({"usernameAttribute": "mail"})),
        tested("IdentityProvider:Ldap.signInDomains[]", "names_with_a_domain_are_the_users_only_where_it_is_listed"),
        see("IdentityProvider:Ldap.membershipFilter", json!({"membershipFilter": "(cn=engineers)"})),
        see("IdentityProvider:Ldap.membershipBaseDn", json!({"membershipBaseDn": "ou=people,dc=corp,dc=example"})),
        see("IdentityProvider:Ldap.memberAttribute", json!({"memberAttribute": "owner"})),
        see("IdentityProvider:Ldap.nestedGroups", json!({"nestedGroups": "direct"})),
        see("IdentityProvider:Ldap.passwordWarning.enabled", json!({"passwordWarning": {"enabled": false}})),
        tested(
            "IdentityProvider:Ldap.passwordWarning.thresholdDays",
            "users_are_warned_within_the_threshold_and_not_before",
        ),
        see("IdentityProvider:Ldap.passwordWarning.message", json!({"passwordWarning": {"message": "Soon."}})),
    ];
    entries.extend(with_certificates());
    entries.push(refused(
        "IdentityProvider:LdapCertificate.signInDomains[]",
        "both",
        "signInDomains",
        json!({"signInDomains": ["corp.example"]}),
    ));
    entries
}

fn see(field: &'static str, change: Value) -> Entry {
    seen(field, AT, Directory, change)
}

/// The same directory for users who prove themselves by a certificate: the fields are read by the same code.
fn with_certificates() -> Vec<Entry> {
    let test = "a_certificate_may_name_a_user_of_a_directory";
    [
        "IdentityProvider:LdapCertificate.hostnames[]",
        "IdentityProvider:LdapCertificate.port",
        "IdentityProvider:LdapCertificate.sslEnabled",
        "IdentityProvider:LdapCertificate.startTls",
        "IdentityProvider:LdapCertificate.allowPlain",
        "IdentityProvider:LdapCertificate.trustedCertificates[]",
        "IdentityProvider:LdapCertificate.adminDistinguishedName",
        "IdentityProvider:LdapCertificate.adminPassword",
        "IdentityProvider:LdapCertificate.baseDn",
        "IdentityProvider:LdapCertificate.userFilter",
        "IdentityProvider:LdapCertificate.usernameAttribute",
        "IdentityProvider:LdapCertificate.membershipFilter",
        "IdentityProvider:LdapCertificate.membershipBaseDn",
        "IdentityProvider:LdapCertificate.memberAttribute",
        "IdentityProvider:LdapCertificate.nestedGroups",
        "IdentityProvider:LdapCertificate.passwordWarning.enabled",
        "IdentityProvider:LdapCertificate.passwordWarning.thresholdDays",
        "IdentityProvider:LdapCertificate.passwordWarning.message",
        "IdentityProvider:LdapCertificate.caCertificates[]",
        "IdentityProvider:LdapCertificate.revocationLists[]",
        "IdentityProvider:LdapCertificate.usernameFrom",
        "IdentityProvider:LdapCertificate.certificateUserAttribute",
        "IdentityProvider:LdapCertificate.certificateAttribute",
    ]
    .map(|field| tested(field, test))
    .to_vec()
}
