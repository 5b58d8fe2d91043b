//! Administered objects, with the field names of the admin API.
//!
//! Each kind is a struct that holds an [`EntityBase`]. References between objects are ids. [`Object`] is any of them:
//! what a command puts into the replicated state and what `ringctl apply` sends.

pub mod appliance;
pub mod identity_provider;
pub mod ip_pool;
pub mod profile;
pub mod role;
pub mod settings;
pub mod site;
pub mod user;

use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entitlement::Entitlement;
use crate::form::{self, Count, Each, Is};
use crate::policy::{Condition, CriteriaScript, Policy};
use crate::time::{Rfc3339, UnixMillis, rfc3339};

pub use appliance::Appliance;
pub use identity_provider::{IdentityProvider, MfaProvider};
pub use ip_pool::IpPool;
pub use profile::ClientProfile;
pub use role::AdministrativeRole;
pub use settings::GlobalSettings;
pub use site::Site;
pub use user::LocalUser;

/// Most tags of one object.
pub const MAX_TAGS: usize = 64;

/// What all objects have (`BaseEntity` of the admin API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntityBase<I> {
    /// Chosen by the caller, or by the Controller that takes the request.
    pub id: I,
    /// Unique within its kind.
    #[schemars(transform = Is(form::OBJECT_NAME))]
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schemars(transform = Is(form::NOTES))]
    pub notes: String,
    /// Labels that policies and roles can refer to.
    #[serde(default)]
    #[schemars(transform = Count(0..=MAX_TAGS), transform = Each(form::TAG))]
    pub tags: BTreeSet<String>,
    /// Set by the system.
    #[serde(default, with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub created: UnixMillis,
    /// Set by the system.
    #[serde(default, with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    pub updated: UnixMillis,
}

impl<I> EntityBase<I> {
    /// A base with nothing but id and name.
    #[must_use]
    pub fn new(id: I, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            notes: String::new(),
            tags: BTreeSet::new(),
            created: UnixMillis::default(),
            updated: UnixMillis::default(),
        }
    }
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $collection:literal;)*) => {
        /// The kinds of administered objects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ObjectKind { $($(#[$doc])* $name,)* }

        impl ObjectKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The description of its objects.
            #[must_use]
            pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$name => generator.subschema_for::<$type>(),)* }
            }
            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            /// The collection's path segment in the admin API.
            #[must_use]
            pub const fn collection(self) -> &'static str {
                match self { $(Self::$name => $collection,)* }
            }
        }

        /// Any administered object.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Object { $($(#[$doc])* $name($type),)* }

        impl Object {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }
            /// Its id.
            #[must_use]
            pub const fn id(&self) -> Uuid {
                match self { $(Self::$name(object) => object.base.id.uuid(),)* }
            }
            /// Its name.
            #[must_use]
            pub fn name(&self) -> &str {
                match self { $(Self::$name(object) => &object.base.name,)* }
            }
            /// Its tags.
            #[must_use]
            pub const fn tags(&self) -> &BTreeSet<String> {
                match self { $(Self::$name(object) => &object.base.tags,)* }
            }
            /// Writes the times that the system keeps.
            pub const fn stamp(&mut self, created: UnixMillis, updated: UnixMillis) {
                match self { $(Self::$name(object) => {
                    object.base.created = created;
                    object.base.updated = updated;
                })* }
            }
        }

        $(impl From<$type> for Object {
            fn from(object: $type) -> Self {
                Self::$name(object)
            }
        })*
    };
}

objects! {
    /// A Site.
    Site: Site, "sites";
    /// An appliance: a Gateway or a Controller.
    Appliance: Appliance, "appliances";
    /// An entitlement.
    Entitlement: Entitlement, "entitlements";
    /// A condition.
    Condition: Condition, "conditions";
    /// A criteria script.
    CriteriaScript: CriteriaScript, "criteria-scripts";
    /// A policy.
    Policy: Policy, "policies";
    /// An identity provider.
    IdentityProvider: IdentityProvider, "identity-providers";
    /// A multi-factor provider.
    MfaProvider: MfaProvider, "mfa-providers";
    /// A user of the local identity provider.
    LocalUser: LocalUser, "local-users";
    /// A pool of tunnel addresses.
    IpPool: IpPool, "ip-pools";
    /// A client profile.
    ClientProfile: ClientProfile, "client-profiles";
    /// An administrative role.
    AdministrativeRole: AdministrativeRole, "administrative-roles";
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
