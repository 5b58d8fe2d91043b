//! Typed identifiers. One macro makes them, so that a user's id can never be passed where a device's is meant.
//!
//! All are UUIDs on the wire (RFC 9562); ids of new objects are version 7. [`NodeId`] and [`LogIndex`] are integers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An identifier was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID for a {kind}, got {got:?}")]
pub struct InvalidId {
    /// What the identifier names.
    pub kind: &'static str,
    /// The text that came, cut to 64 characters.
    pub got: String,
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident => $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(Uuid);

        impl $name {
            /// The id with this UUID.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }
            /// An id from 128 bits that the caller chose at random.
            #[must_use]
            pub const fn from_random(bits: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bits).into_uuid())
            }
            /// A version 7 UUID from a time (Unix milliseconds) and 10 random bytes.
            #[must_use]
            pub fn from_time(unix_millis: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
            }
            /// The UUID behind the id.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| InvalidId { kind: $kind, got: text.chars().take(64).collect() })
            }
        }
    )*};
}

uuid_ids! {
    /// A Collective: all Controllers and Gateways under one root CA.
    CollectiveId => "collective";
    /// One incarnation of a Collective; new for init, restore and forced recovery.
    IncarnationId => "incarnation";
    /// A user of one identity provider.
    UserId => "user";
    /// A Client installation, random per installation and profile.
    DeviceId => "device";
    /// An identity provider.
    ProviderId => "identity provider";
    /// A multi-factor provider.
    MfaProviderId => "MFA provider";
    /// A Site: protected networks and the Gateways in front of them.
    SiteId => "site";
    /// A Gateway or a Controller as an administered appliance.
    ApplianceId => "appliance";
    /// An entitlement.
    EntitlementId => "entitlement";
    /// A condition.
    ConditionId => "condition";
    /// A policy.
    PolicyId => "policy";
    /// A named criterion.
    CriteriaScriptId => "criteria script";
    /// A pool of tunnel addresses.
    IpPoolId => "IP pool";
    /// A client profile.
    ProfileId => "client profile";
    /// An administrative role.
    RoleId => "administrative role";
    /// A sign-in (`sid` of its tokens).
    SignInId => "sign-in";
    /// A single token (`jti`).
    TokenId => "token";
    /// A session on a Gateway; never reused.
    SessionId => "session";
    /// A sign-in or step-up that waits for another factor.
    TransactionId => "transaction";
    /// One open prompt of an interaction.
    PromptId => "prompt";
    /// A proposed command; retries carry the same one.
    CommandId => "command";
    /// A signed-in administrator.
    AdminSessionId => "administrator session";
}

impl DeviceId {
    /// The 32 lower-case hex digits that stand in a Distinguished Name.
    #[must_use]
    pub fn simple(self) -> String {
        self.0.simple().to_string()
    }
}

/// A Controller in the Raft group. Ids are log indexes of their admission and are never reused; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in the replicated log: the cut-off of revocations and the age of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The incarnation of the Collective that something belongs to (T19).
///
/// `epoch` grows with every new incarnation; `id` tells two apart that claim the same epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Incarnation {
    /// Grows with each incarnation: max(former + 1, Unix seconds).
    pub epoch: u64,
    /// 128 random bits.
    pub id: IncarnationId,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.id)
    }
}

/// SHA-256 of a key's SubjectPublicKeyInfo (DER): how tokens (`cnf.jkt`), member records and pins name a key.
///
/// Text form: 43 characters of base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        data_encoding::BASE64URL_NOPAD
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidId { kind: "key thumbprint", got: text.chars().take(64).collect() })
    }
}

impl JsonSchema for Thumbprint {
    fn schema_name() -> Cow<'static, str> {
        "Thumbprint".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$" })
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
