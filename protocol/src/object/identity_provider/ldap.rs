//! Settings of LDAP and Active Directory.

use serde::{Deserialize, Serialize};

/// Settings of an LDAP provider. The secret `adminPassword` is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LdapSettings {
    /// Servers, tried in this order.
    pub hostnames: Vec<String>,
    /// Port of all of them.
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
    pub trusted_certificates: Vec<String>,
    /// Who looks users up.
    pub admin_distinguished_name: String,
    /// Below which users are searched; empty: the whole directory.
    #[serde(default)]
    pub base_dn: String,
    /// What else an entry must match to be a user.
    #[serde(default = "default_user_filter")]
    pub user_filter: String,
    /// The attribute with the user's name.
    #[serde(default = "default_username_attribute")]
    pub username_attribute: String,
    /// What an entry must match to be a group.
    #[serde(default = "default_membership_filter")]
    pub membership_filter: String,
    /// Below which groups are searched; empty: `baseDn`.
    #[serde(default)]
    pub membership_base_dn: String,
    /// The attribute of a group that names its members.
    #[serde(default = "default_member_attribute")]
    pub member_attribute: String,
    /// How groups in groups are found.
    #[serde(default)]
    pub nested_groups: NestedGroups,
    /// Warning before a password expires.
    #[serde(default)]
    pub password_warning: PasswordWarning,
}

/// How groups in groups are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NestedGroups {
    /// Group by group, by the Controller.
    #[default]
    Recursive,
    /// By Active Directory's matching rule `1.2.840.113556.1.4.1941`.
    MatchingRule,
    /// Not at all: only groups that name the user.
    Direct,
}

/// Warning before a password expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordWarning {
    /// Whether users are warned.
    pub enabled: bool,
    /// How many days before.
    pub threshold_days: u32,
    /// What they read, before the time that is left.
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
    "(objectCategory=group)".to_owned()
}
fn default_member_attribute() -> String {
    "member".to_owned()
}
