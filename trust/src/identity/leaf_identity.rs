//! The names that certificates carry in their one SAN URI.
//!
//! ```text
//! ringwall://<collective>/session/<provider>/<user>/<device>
//! ringwall://<collective>/controller/<node>
//! ringwall://<collective>/gateway/<appliance>
//! ringwall://<collective>/issuer/<node>/client | appliance
//! ```
//! Only the canonical spelling parses: lower-case hyphenated UUIDs, decimal node ids without leading zeros.

use std::fmt;
use std::str::FromStr;

use ringwall_protocol::id::{ApplianceId, CollectiveId, DeviceId, NodeId, ProviderId, UserId};

/// Longest URI that is looked at.
const MAX_URI: usize = 256;

/// Which certificates an intermediate may issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssuerKind {
    /// Clients' certificates (EKU clientAuth).
    Client,
    /// Controllers' and Gateways' certificates (EKU serverAuth and clientAuth).
    Appliance,
}

impl fmt::Display for IssuerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Appliance => "appliance",
        })
    }
}

/// Who a certificate says its holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeafIdentity {
    /// A user on a device.
    Session {
        /// Of which Collective.
        collective: CollectiveId,
        /// Where the user signs in.
        provider: ProviderId,
        /// The user.
        user: UserId,
        /// The device.
        device: DeviceId,
    },
    /// A Controller.
    Controller {
        /// Of which Collective.
        collective: CollectiveId,
        /// Its id in the Raft group.
        node: NodeId,
    },
    /// A Gateway.
    Gateway {
        /// Of which Collective.
        collective: CollectiveId,
        /// Its id as an appliance.
        appliance: ApplianceId,
    },
    /// An intermediate CA of a Controller; never a party to a connection.
    Issuer {
        /// Of which Collective.
        collective: CollectiveId,
        /// Whose CA.
        node: NodeId,
        /// What it issues.
        kind: IssuerKind,
    },
}

impl LeafIdentity {
    /// The Collective that the name belongs to.
    #[must_use]
    pub const fn collective(&self) -> CollectiveId {
        match self {
            Self::Session { collective, .. }
            | Self::Controller { collective, .. }
            | Self::Gateway { collective, .. }
            | Self::Issuer { collective, .. } => *collective,
        }
    }
}

impl fmt::Display for LeafIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ringwall://{}/", self.collective())?;
        match self {
            Self::Session { provider, user, device, .. } => write!(f, "session/{provider}/{user}/{device}"),
            Self::Controller { node, .. } => write!(f, "controller/{node}"),
            Self::Gateway { appliance, .. } => write!(f, "gateway/{appliance}"),
            Self::Issuer { node, kind, .. } => write!(f, "issuer/{node}/{kind}"),
        }
    }
}

/// A URI was no name of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a URI like ringwall://<collective>/<role>/<id>, got {0:?}")]
pub struct UriError(String);

impl FromStr for LeafIdentity {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let refused = || UriError(text.chars().take(64).collect());
        if text.len() > MAX_URI {
            return Err(refused());
        }
        let identity = parse(text).ok_or_else(refused)?;
        // Only the spelling that we write: two spellings of one name would be two names to somebody.
        if identity.to_string() == text { Ok(identity) } else { Err(refused()) }
    }
}

fn parse(text: &str) -> Option<LeafIdentity> {
    let mut parts = text.strip_prefix("ringwall://")?.split('/');
    let collective = parts.next()?.parse().ok()?;
    let rest: Vec<&str> = parts.collect();
    match rest.as_slice() {
        ["session", provider, user, device] => Some(LeafIdentity::Session {
            collective,
            provider: provider.parse().ok()?,
            user: user.parse().ok()?,
            device: device.parse().ok()?,
        }),
        ["controller", node] => Some(LeafIdentity::Controller { collective, node: NodeId(node.parse().ok()?) }),
        ["gateway", appliance] => Some(LeafIdentity::Gateway { collective, appliance: appliance.parse().ok()? }),
        ["issuer", node, kind] => {
            let kind = match *kind {
                "client" => IssuerKind::Client,
                "appliance" => IssuerKind::Appliance,
                _ => return None,
            };
            Some(LeafIdentity::Issuer { collective, node: NodeId(node.parse().ok()?), kind })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTIVE: &str = "0198c0de-0000-7000-8000-000000000001";

    #[test]
    fn every_identity_survives_its_uri() {
        let collective = COLLECTIVE.parse().expect("an id");
        for identity in [
            LeafIdentity::Session {
                collective,
                provider: ProviderId::from_random([1; 16]),
                user: UserId::from_random([2; 16]),
                device: DeviceId::from_random([3; 16]),
            },
            LeafIdentity::Controller { collective, node: NodeId(7) },
            LeafIdentity::Gateway { collective, appliance: ApplianceId::from_random([4; 16]) },
            LeafIdentity::Issuer { collective, node: NodeId(1), kind: IssuerKind::Client },
            LeafIdentity::Issuer { collective, node: NodeId(1), kind: IssuerKind::Appliance },
        ] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn only_the_canonical_spelling_of_a_name_parses() {
        for bad in [
            format!("https://{COLLECTIVE}/controller/1"),
            format!("ringwall://{COLLECTIVE}/controller/01"),
            format!("ringwall://{COLLECTIVE}/controller/+1"),
            format!("ringwall://{COLLECTIVE}/controller/1/"),
            format!("ringwall://{COLLECTIVE}/controller/1?x"),
            format!("ringwall://{}/controller/1", COLLECTIVE.to_uppercase()),
            format!("ringwall://{}/controller/1", COLLECTIVE.replace('-', "")),
            format!("ringwall://{COLLECTIVE}/admin/1"),
            format!("ringwall://{COLLECTIVE}/issuer/1/root"),
            "ringwall:///controller/1".to_owned(),
            "r".repeat(MAX_URI + 1),
        ] {
            assert!(bad.parse::<LeafIdentity>().is_err(), "{bad}");
        }
    }
}
