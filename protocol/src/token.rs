//! What tokens say. How they are signed and verified is in `trust/`.
//!
//! Decoding is strict: unknown, missing or wrongly typed fields refuse the token.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::claims::{ClaimMap, StepUp};
use crate::entitlement::{Action, AppShortcut, Logic};
use crate::id::{
    AdminSessionId, ApplianceId, CollectiveId, ConditionId, DeviceId, EntitlementId, Incarnation, IncarnationId,
    LogIndex, ProviderId, SignInId, SiteId, Thumbprint, TokenId, UserId,
};
use crate::interaction::Interaction;
use crate::name::SessionDn;
use crate::object::appliance::ApplianceState;
use crate::object::settings::SpaMode;
use crate::policy::DnsSetting;
use crate::revocation::{TokenFacts, TokenKind};

/// Binds a token to a key (RFC 7800 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// SHA-256 of the SubjectPublicKeyInfo of the Client's key.
    pub jkt: Thumbprint,
}

/// What every kind of token can tell.
pub trait TokenBody: Serialize + for<'de> Deserialize<'de> {
    /// Its kind, as revocations name it.
    const KIND: TokenKind;
    /// `typ` of its header.
    const TYP: &'static str;
    /// Longest encoded token, in bytes.
    const MAX_LEN: usize;
    /// The common part.
    fn head(&self) -> &TokenHead;
    /// Its Site, if it has one.
    fn site(&self) -> Option<SiteId> {
        None
    }
    /// What a revocation looks at.
    fn facts(&self) -> TokenFacts<'_> {
        let head = self.head();
        TokenFacts { kind: Self::KIND, dn: &head.sub, id: head.jti, idx: head.idx, site: self.site() }
    }
}

/// The part that all tokens share. On the wire its fields stand beside those of the kind (RFC 7519 §4.1 names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenHead {
    /// The Collective that issued it.
    pub iss: CollectiveId,
    /// Whose it is; for people, revocations and comparison with the certificate.
    pub sub: SessionDn,
    /// The sign-in that it stems from.
    pub sid: SignInId,
    /// Its own id.
    pub jti: TokenId,
    /// Issued at, Unix seconds.
    pub iat: u64,
    /// Not before, Unix seconds.
    pub nbf: u64,
    /// Expires, Unix seconds.
    pub exp: u64,
    /// Collective (claims, admin) or Site (entitlement).
    pub aud: uuid::Uuid,
    /// Index of the state in which its first check was made.
    pub idx: LogIndex,
    /// Epoch of the incarnation.
    pub epoch: u64,
    /// Id of the incarnation.
    pub inc: IncarnationId,
    /// The key that it is bound to.
    pub cnf: Confirmation,
    /// The user.
    pub user_id: UserId,
    /// The user's provider.
    pub provider_id: ProviderId,
    /// The device.
    pub device_id: DeviceId,
}

impl TokenHead {
    /// The incarnation of the Collective that it belongs to.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        Incarnation { epoch: self.epoch, id: self.inc }
    }
}

/// `rw-claims+jwt`: what is known of a user who signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimsToken {
    /// Common part.
    #[serde(flatten)]
    pub head: TokenHead,
    /// Index at which the sign-in began: orders sign-ins of one device.
    pub sign_in_idx: LogIndex,
    /// When credentials were last checked, Unix seconds.
    pub auth_time: u64,
    /// When credentials must be given again, Unix seconds.
    pub sign_in_until: u64,
    /// User claims.
    pub user: ClaimMap,
    /// System claims known to the Controller.
    pub system: ClaimMap,
    /// Tunnel address, IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tun_ipv4: Option<Ipv4Addr>,
    /// Tunnel address, IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tun_ipv6: Option<Ipv6Addr>,
    /// Further proofs, by claim suffix.
    #[serde(default)]
    pub step_ups: BTreeMap<String, StepUp>,
}

/// `rw-entitlement+jwt`: what the user may reach behind one Site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementToken {
    /// Common part; `aud` is the Site.
    #[serde(flatten)]
    pub head: TokenHead,
    /// `idx` of the claims token that it was made for.
    pub claims_idx: LogIndex,
    /// Index of the state whose policies it holds.
    pub policy_idx: LogIndex,
    /// The Site's name, for people.
    pub site_name: String,
    /// The Site's Gateways.
    pub gateways: Vec<GatewayOffer>,
    /// What may be reached.
    pub entitlements: Vec<GrantedEntitlement>,
    /// Their conditions.
    pub conditions: BTreeMap<ConditionId, GrantedCondition>,
    /// What the Client routes to this Site.
    pub routes: Routes,
    /// Domains that the Client resolves with given servers.
    #[serde(default)]
    pub dns: Vec<DnsSetting>,
    /// The Site's lease, for the user's information.
    pub lease_seconds: u32,
}

/// A Gateway that the Client may choose. Its `Debug` leaves the key out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayOffer {
    /// Id of the appliance.
    pub id: ApplianceId,
    /// For people.
    pub name: String,
    /// `host:port`, tried in order.
    pub addresses: Vec<String>,
    /// Share, 0–10,000.
    pub weight: u32,
    /// Active or suspended.
    pub state: ApplianceState,
    /// Pins: SHA-256 of its SubjectPublicKeyInfo; any of them.
    pub spki_sha256: Vec<Thumbprint>,
    /// The bearer's key for knocking on it: 96 bytes, base64url (outer key, handle, key); absent while SPA is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spa_key: Option<String>,
    /// How it wants to be knocked on; absent: as the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spa_mode: Option<SpaMode>,
    /// Offers DTLS.
    #[serde(default)]
    pub datagram: bool,
}

impl std::fmt::Debug for GatewayOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("GatewayOffer");
        shown.field("id", &self.id).field("name", &self.name).field("addresses", &self.addresses);
        shown.field("weight", &self.weight).field("state", &self.state).finish_non_exhaustive()
    }
}

/// An entitlement as a Gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantedEntitlement {
    /// Id of the entitlement.
    pub id: EntitlementId,
    /// For people.
    pub name: String,
    /// How conditions combine.
    pub condition_logic: Logic,
    /// Its conditions, keys of `conditions`.
    pub conditions: Vec<ConditionId>,
    /// Its actions, hosts already as addresses or names.
    pub actions: Vec<Action>,
    /// Links that the Client shows while it is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app_shortcuts: Vec<AppShortcut>,
}

/// A condition as a Gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantedCondition {
    /// For people.
    pub name: String,
    /// CEL.
    pub expression: String,
    /// Whether all interactions are needed or one.
    pub remedy_logic: Logic,
    /// What the user can do.
    #[serde(default)]
    pub interactions: Vec<Interaction>,
    /// Positions of interactions to which nothing is typed at first: whoever verifies them asks the user, elsewhere or on a
    /// page, once the user agrees to be asked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub asked_first: BTreeSet<u8>,
    /// When to look again.
    #[serde(default)]
    pub repeat_schedules: Vec<String>,
}

/// Routes of a Site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routes {
    /// Into the tunnel.
    pub include: Vec<IpNet>,
    /// Not into the tunnel.
    #[serde(default)]
    pub exclude: Vec<IpNet>,
}

/// `rw-admin+jwt`: a handle to an administrator's session in the replicated state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminToken {
    /// Common part.
    #[serde(flatten)]
    pub head: TokenHead,
    /// The session record that holds the authority.
    pub session_id: AdminSessionId,
}

impl TokenBody for ClaimsToken {
    const KIND: TokenKind = TokenKind::Claims;
    const TYP: &'static str = "rw-claims+jwt";
    const MAX_LEN: usize = 64 * 1024;
    fn head(&self) -> &TokenHead {
        &self.head
    }
}

impl TokenBody for EntitlementToken {
    const KIND: TokenKind = TokenKind::Entitlement;
    const TYP: &'static str = "rw-entitlement+jwt";
    const MAX_LEN: usize = 512 * 1024;
    fn head(&self) -> &TokenHead {
        &self.head
    }
    fn site(&self) -> Option<SiteId> {
        Some(SiteId::new(self.head.aud))
    }
}

impl TokenBody for AdminToken {
    const KIND: TokenKind = TokenKind::Administration;
    const TYP: &'static str = "rw-admin+jwt";
    const MAX_LEN: usize = 4 * 1024;
    fn head(&self) -> &TokenHead {
        &self.head
    }
}
