//! Why a directory could not be asked: told to operators, never to whoever signs in.

use ldap3::LdapError;

use super::guard::NoMessage;
use crate::identity::outbound::OutboundError;
use crate::refusal::Refusal;

/// Why a directory gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// No connection.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// No TLS, or with somebody else.
    #[error("TLS with {host} failed: {cause}")]
    Tls {
        /// Which server.
        host: String,
        /// What the library says.
        cause: String,
    },
    /// A certificate of the configuration is none.
    #[error("trustedCertificates: {0}")]
    Trust(String),
    /// The server refuses StartTLS.
    #[error("the server refuses StartTLS (result code {0})")]
    StartTls(u32),
    /// The connection ended, or what came is no LDAP.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// Something else than an LDAP message came.
    #[error(transparent)]
    NoMessage(#[from] NoMessage),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// The account of the Controller was not accepted.
    #[error("adminDistinguishedName or adminPassword is not accepted (result code {code}: {text})")]
    Service {
        /// RFC 4511 §4.1.9.
        code: u32,
        /// What the server says.
        text: String,
    },
    /// No secret was saved with the provider.
    #[error("adminPassword is not set")]
    NoPassword,
    /// The server refuses a search or a bind for another reason than the credential.
    #[error("the server refuses {what} (result code {code}: {text})")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// RFC 4511 §4.1.9.
        code: u32,
        /// What the server says.
        text: String,
    },
    /// More than one entry has the name.
    #[error("several entries have the name; narrow baseDn or userFilter")]
    Ambiguous,
    /// `baseDn` is empty, and the server does not say where its entries are.
    #[error("baseDn is empty, and the server does not name exactly one naming context")]
    NoBase,
    /// More groups than are read.
    #[error("the user is in more than {0} groups; narrow membershipFilter or membershipBaseDn")]
    TooManyGroups(usize),
    /// No entry is a group: a mistake of the configuration, or nobody will ever be in one.
    #[error("membershipFilter matches no entry below membershipBaseDn: users would have no groups")]
    NoGroups,
    /// A part is missing of what a user is judged by: fewer groups than he has are as wrong as more.
    #[error("{what} cannot be read completely: {cause}")]
    Incomplete {
        /// The groups of a user, or an attribute.
        what: String,
        /// Why not, and what to do.
        cause: String,
    },
    /// An answer is malformed beyond what the library bears.
    #[error("the server's answer cannot be read")]
    Unreadable,
}

impl Trouble {
    /// Whether another server of the provider may do better.
    #[must_use]
    pub(crate) const fn is_of_this_server(&self) -> bool {
        matches!(
            self,
            Self::Outbound(_)
                | Self::Tls { .. }
                | Self::StartTls(_)
                | Self::Connection(_)
                | Self::NoMessage(_)
                | Self::Timeout
                | Self::Unreadable
        )
    }

    /// The refusal for whoever signs in; the cause goes into the log.
    #[must_use]
    pub(crate) fn refuse(&self, provider: &str) -> Refusal {
        tracing::warn!(provider, cause = %self, "the directory cannot be asked");
        metrics::counter!("ringwall_provider_failures_total").increment(1);
        Refusal::provider_unavailable()
    }
}

impl From<LdapError> for Trouble {
    fn from(error: LdapError) -> Self {
        match error {
            LdapError::Timeout { .. } => Self::Timeout,
            LdapError::LdapResult { result } => {
                Self::Refused { what: "this", code: result.rc, text: short(&result.text) }
            }
            other => Self::Connection(other.to_string()),
        }
    }
}

/// A server's text as a log may have it.
#[must_use]
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
