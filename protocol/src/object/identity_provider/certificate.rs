//! Settings of providers at which a certificate proves a user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ldap::{ATTRIBUTE, LdapSettings};
use crate::form::{self, Count, Each, Is};

/// Most authorities of a provider.
const MAX_CERTIFICATES: usize = 64;

/// Settings of a provider at which a certificate alone proves a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSettings {
    /// Authorities that issue users' certificates, PEM.
    #[schemars(transform = Count(1..=MAX_CERTIFICATES), transform = Each(form::PEM))]
    pub ca_certificates: Vec<String>,
    /// Where the user's name stands in the certificate.
    #[serde(default)]
    pub username_from: UsernameFrom,
    /// Certificates that were revoked: lists (CRLs) in PEM, signed by one of the authorities.
    #[serde(default)]
    #[schemars(transform = Each(form::PEM))]
    pub revocation_lists: Vec<String>,
}

/// Settings of a provider at which a certificate names a user who is then found in LDAP. The secret `adminPassword` is
/// kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapCertificateSettings {
    /// Authorities that issue users' certificates, PEM.
    #[schemars(transform = Count(1..=MAX_CERTIFICATES), transform = Each(form::PEM))]
    pub ca_certificates: Vec<String>,
    /// Where the user's name stands in the certificate.
    #[serde(default)]
    pub username_from: UsernameFrom,
    /// Certificates that were revoked: lists (CRLs) in PEM, signed by one of the authorities.
    #[serde(default)]
    #[schemars(transform = Each(form::PEM))]
    pub revocation_lists: Vec<String>,
    /// The attribute that holds the name of the certificate.
    #[serde(default = "default_user_attribute")]
    #[schemars(transform = Is(ATTRIBUTE))]
    pub certificate_user_attribute: String,
    /// The attribute that holds the certificate itself, if it is compared too.
    #[serde(default)]
    #[schemars(transform = Is(ATTRIBUTE))]
    pub certificate_attribute: Option<String>,
    /// The directory.
    #[serde(flatten)]
    pub ldap: LdapSettings,
}

/// Where a user's name stands in a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UsernameFrom {
    /// The one user principal name among the alternative names.
    #[default]
    UserPrincipalName,
    /// The one e-mail address among the alternative names.
    Email,
    /// The one common name of the subject.
    CommonName,
}

fn default_user_attribute() -> String {
    "userPrincipalName".to_owned()
}
