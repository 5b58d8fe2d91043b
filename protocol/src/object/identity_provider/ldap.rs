//! Settings of LDAP and Active Directory.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PORT, SERVER, SERVERS};
use crate::form::{self, Count, Each, Form, Is, Within};
use crate::interaction::MAX_MESSAGE;

/// Longest DN or filter, in characters.
pub const MAX_DN: usize = 1_024;
/// A distinguished name in a directory, as its server writes it.
pub const DN: Form = Form::matching(
    "^[^\\u0000-\\u001f\\u007f-\\u009f]*=[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    1,
    MAX_DN,
    "is a distinguished name, like cn=reader,dc=corp,dc=example",
);
/// The same, or nothing.
pub const DN_OR_NOTHING: Form = Form::matching(
    "^([^\\u0000-\\u001f\\u007f-\\u009f]*=[^\\u0000-\\u001f\\u007f-\\u009f]*)?$",
    0,
    MAX_DN,
    "is a distinguished name, or empty",
);
/// An attribute's name or number (RFC 4512 §1.4), without options.
pub const ATTRIBUTE: Form =
    Form::matching("^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\\.[0-9]+)*)$", 1, 128, "is the name of an attribute");
/// Days before a password expires.
pub const WARNING_DAYS: RangeInclusive<u32> = 1..=365;
/// What users read whose password expires.
pub const WARNING: Form = Form::line(MAX_MESSAGE, "has at most 2048 characters and no control characters");

/// What an entry must match to be a group where nothing is configured: Active Directory's groups. POSIX groups count too.
pub const ANY_GROUP: &str = "(objectCategory=group)";
/// Most domains that a provider lists.
pub const MAX_DOMAINS: usize = 16;
/// A domain that users write with their name: a DNS name, or the short (NetBIOS) name of an Active Directory domain.
pub const SIGN_IN_DOMAIN: Form =
    Form::matching("^[A-Za-z0-9][A-Za-z0-9._-]*$", 1, 253, "is a domain, like corp.example or CORP");

/// Settings of an LDAP provider. The secret `adminPassword` is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapSettings {
    /// Servers, tried in this order.
    #[schemars(transform = Count(SERVERS), transform = Each(SERVER))]
    pub hostnames: Vec<String>,
    /// Port of all of them.
    #[schemars(transform = Within(PORT))]
    pub port: u16,
    /// TLS from the first byte (LDAPS).
    #[serde(default)]
    pub ssl_enabled: bool,
    /// TLS after StartTLS (RFC 4511 §4.14).
    #[serde(default)]
    pub start_tls: bool,
    /// Neither: passwords go over the network as they are. Only if it is asked for.
    #[serde(default)]
    pub allow_plain: bool,
    /// Certificates, PEM, of which one must have issued the server's, or be it. Empty: the system's authorities.
    #[serde(default)]
    #[schemars(transform = Each(form::PEM))]
    pub trusted_certificates: Vec<String>,
    /// Who looks users up.
    #[schemars(transform = Is(DN))]
    pub admin_distinguished_name: String,
    /// Below which users are searched; empty: the whole directory.
    #[serde(default)]
    #[schemars(transform = Is(DN_OR_NOTHING))]
    pub base_dn: String,
    /// What else an entry must match to be a user.
    #[serde(default = "default_user_filter")]
    #[schemars(transform = Is(form::LDAP_FILTER))]
    pub user_filter: String,
    /// The attribute with the user's name.
    #[serde(default = "default_username_attribute")]
    #[schemars(transform = Is(ATTRIBUTE))]
    pub username_attribute: String,
    /// Domains that users may write with their name, as `CORP\alice` or `alice@corp.example`: the domain is removed before
    /// anybody is looked up, so that both are the user `alice`. Empty: a name is what `usernameAttribute` holds, nothing
    /// else. Not for `LdapCertificate`, whose users type no name.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_DOMAINS), transform = Each(SIGN_IN_DOMAIN))]
    pub sign_in_domains: Vec<String>,
    /// What an entry must match to be a group. Entries of the class `posixGroup` among them name their members by
    /// `memberUid` and by `gidNumber` (RFC 2307), whatever `memberAttribute` is; the default matches them too.
    #[serde(default = "default_membership_filter")]
    #[schemars(transform = Is(form::LDAP_FILTER))]
    pub membership_filter: String,
    /// Below which groups are searched; empty: `baseDn`.
    #[serde(default)]
    #[schemars(transform = Is(DN_OR_NOTHING))]
    pub membership_base_dn: String,
    /// The attribute of a group that names its members.
    #[serde(default = "default_member_attribute")]
    #[schemars(transform = Is(ATTRIBUTE))]
    pub member_attribute: String,
    /// How groups in groups are found.
    #[serde(default)]
    pub nested_groups: NestedGroups,
    /// Warning before a password expires.
    #[serde(default)]
    pub password_warning: PasswordWarning,
}

/// How groups in groups are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NestedGroups {
    /// Group by group, by the Controller.
    #[default]
    Recursive,
    /// By Active Directory's matching rule `1.2.840.113556.1.4.1941`; at a server that does not have it, group by group.
    MatchingRule,
    /// Not at all: only groups that name the user.
    Direct,
}

/// Warning before a password expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordWarning {
    /// Whether users are warned.
    pub enabled: bool,
    /// How many days before.
    #[schemars(transform = Within(WARNING_DAYS))]
    pub threshold_days: u32,
    /// What they read, before the time that is left.
    #[schemars(transform = Is(WARNING))]
    pub message: String,
}

impl Default for PasswordWarning {
    fn default() -> Self {
        Self { enabled: false, threshold_days: 5, message: String::new() }
    }
}

fn default_user_filter() -> String {
    "(objectClass=person)".to_owned()
}
fn default_username_attribute() -> String {
    "sAMAccountName".to_owned()
}
fn default_membership_filter() -> String {
    ANY_GROUP.to_owned()
}
fn default_member_attribute() -> String {
    "member".to_owned()
}
