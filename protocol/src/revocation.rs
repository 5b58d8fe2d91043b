//! Revocations: cut-offs in the replicated log.
//!
//! A revocation is one log entry, and its own index is the cut-off: what was first checked in an older state is
//! refused once the revocation is effective. No clock takes part.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, SiteId, TokenId};
use crate::name::{DnScope, ProviderName, SessionDn, UserDn};
use crate::time::UnixMillis;

/// Most slices of a `renewWindow`: 5 s apart, this is a day.
pub const MAX_SLICES: u16 = 17_280;

/// Kinds of tokens, with the vendor's names (S27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TokenKind {
    /// A user's claims.
    Claims,
    /// An administrator's claims.
    AdminClaims,
    /// Entitlements for one Site.
    Entitlement,
    /// An administrator's session.
    Administration,
}

impl TokenKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Claims, Self::AdminClaims, Self::Entitlement, Self::Administration];
}

/// Whose tokens a revocation concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationScope {
    /// All sessions whose DN ends with this.
    Dn(DnScope),
    /// One token.
    Token(TokenId),
}

/// How a revocation takes hold (T28, T29).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationMode {
    /// Clients are told at once and renew unnoticed; what still holds older tokens is cut after 20 s.
    RenewNow,
    /// Clients are told slice by slice, each slice effective `delaySeconds` after it was told.
    #[serde(rename_all = "camelCase")]
    RenewWindow {
        /// Seconds from telling to effect.
        delay_seconds: u32,
        /// Slices of the DN hash, 1 to [`MAX_SLICES`], 5 s apart.
        slices: u16,
    },
    /// Effective at once.
    Cut,
}

impl RevocationMode {
    /// Into how many slices sessions are divided.
    #[must_use]
    pub const fn slices(self) -> u16 {
        match self {
            Self::RenewNow | Self::Cut => 1,
            Self::RenewWindow { slices, .. } => slices,
        }
    }
}

/// A revocation and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Index of its entry: its id and its cut-off.
    pub index: LogIndex,
    /// Whose tokens.
    pub scope: RevocationScope,
    /// Which kinds.
    pub kinds: BTreeSet<TokenKind>,
    /// Only entitlement tokens of this Site, if set.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// When it takes effect.
    pub mode: RevocationMode,
    /// Why, for the audit and the user.
    #[serde(default)]
    pub reason: String,
    /// When it was ordered.
    pub at: UnixMillis,
    /// Slices below this have been told.
    pub told: u16,
    /// Slices below this are effective; never above `told`.
    pub effective: u16,
}

/// What must be known of a token to judge it.
#[derive(Debug, Clone, Copy)]
pub struct TokenFacts<'a> {
    /// Its kind.
    pub kind: TokenKind,
    /// Whose it is.
    pub dn: &'a SessionDn,
    /// Its id.
    pub id: TokenId,
    /// Index of the state in which its first check was made.
    pub idx: LogIndex,
    /// Its Site, for entitlement tokens.
    pub site: Option<SiteId>,
}

impl Revocation {
    /// Whether it concerns the token at all: kind, Site, scope, and the token is older.
    #[must_use]
    pub(crate) fn concerns(&self, token: &TokenFacts<'_>) -> bool {
        token.idx < self.index
            && self.kinds.contains(&token.kind)
            && (self.site.is_none() || self.site == token.site)
            && match &self.scope {
                RevocationScope::Dn(scope) => scope.matches(token.dn),
                RevocationScope::Token(id) => *id == token.id,
            }
    }

    /// Which slice a session falls into.
    #[must_use]
    pub(crate) fn slice_of(&self, dn: &SessionDn) -> u16 {
        dn_slice(dn, self.mode.slices())
    }

    /// Whether sessions of this DN have been told to renew.
    #[must_use]
    pub(crate) fn is_told(&self, dn: &SessionDn) -> bool {
        self.slice_of(dn) < self.told
    }

    /// Whether tokens of this DN are invalid.
    #[must_use]
    pub(crate) fn is_effective(&self, dn: &SessionDn) -> bool {
        self.slice_of(dn) < self.effective
    }
}

/// The slice of a DN among `slices`: spreads load by its hash, the same everywhere.
#[must_use]
pub fn dn_slice(dn: &SessionDn, slices: u16) -> u16 {
    let hash = blake3::hash(dn.to_string().as_bytes());
    let mut head = [0; 8];
    head.copy_from_slice(&hash.as_bytes()[..8]);
    u16::try_from(u64::from_be_bytes(head) % u64::from(slices.max(1))).expect("remainder of a u16")
}

/// What revocations say about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing concerns it.
    Valid,
    /// It still holds, but its owner has been told to renew it (the revocation's index).
    RenewWanted(LogIndex),
    /// Invalid (the revocation's index).
    Revoked(LogIndex),
}

impl Standing {
    /// What `revocations` say about a token: one that is effective invalidates it, one that was only told asks for its
    /// renewal. Those that do not concern the token are passed over. What is older than `horizon`, the highest revocation
    /// that was forgotten, is invalid: whether it was revoked is not known any more.
    #[must_use]
    pub fn of<'a>(
        token: &TokenFacts<'_>,
        horizon: LogIndex,
        revocations: impl IntoIterator<Item = &'a Revocation>,
    ) -> Self {
        if token.idx < horizon {
            return Self::Revoked(horizon);
        }
        let mut standing = Self::Valid;
        for revocation in revocations.into_iter().filter(|revocation| revocation.concerns(token)) {
            if revocation.is_effective(token.dn) {
                return Self::Revoked(revocation.index);
            }
            if revocation.is_told(token.dn) {
                standing = Self::RenewWanted(revocation.index);
            }
        }
        standing
    }
}

/// All revocations, found by what they concern: a judgement costs a look-up per component of the DN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationIndex {
    by_index: BTreeMap<LogIndex, Revocation>,
    everyone: BTreeSet<LogIndex>,
    by_provider: BTreeMap<ProviderName, BTreeSet<LogIndex>>,
    by_user: BTreeMap<UserDn, BTreeSet<LogIndex>>,
    by_session: BTreeMap<SessionDn, BTreeSet<LogIndex>>,
    by_token: BTreeMap<TokenId, BTreeSet<LogIndex>>,
    /// The highest revocation that was forgotten: what is older is invalid, so that forgetting revives nothing (T69).
    horizon: LogIndex,
}

impl RevocationIndex {
    /// Adds a revocation; the same index again replaces what was there.
    pub fn add(&mut self, revocation: Revocation) {
        let index = revocation.index;
        self.remove(index);
        self.bucket(&revocation.scope).insert(index);
        self.by_index.insert(index, revocation);
    }

    /// Moves a revocation on: slices below `told` are told, below `effective` invalid. Never moves back.
    pub fn advance(&mut self, index: LogIndex, told: u16, effective: u16) {
        if let Some(revocation) = self.by_index.get_mut(&index) {
            revocation.told = revocation.told.max(told).max(effective);
            revocation.effective = revocation.effective.max(effective);
        }
    }

    /// Removes a revocation that no living token can be older than. If one is, because a clock was wrong, it is void.
    pub fn forget(&mut self, index: LogIndex) {
        self.remove(index);
        self.forgotten_up_to(index);
    }

    /// Revocations up to this one may have been forgotten.
    pub fn forgotten_up_to(&mut self, index: LogIndex) {
        self.horizon = self.horizon.max(index);
    }

    fn remove(&mut self, index: LogIndex) {
        let Some(old) = self.by_index.remove(&index) else { return };
        match &old.scope {
            RevocationScope::Dn(DnScope::Everyone) => {
                self.everyone.remove(&index);
            }
            RevocationScope::Dn(DnScope::Provider(provider)) => drop_from(&mut self.by_provider, provider, index),
            RevocationScope::Dn(DnScope::User(user)) => drop_from(&mut self.by_user, user, index),
            RevocationScope::Dn(DnScope::Device(session)) => drop_from(&mut self.by_session, session, index),
            RevocationScope::Token(token) => drop_from(&mut self.by_token, token, index),
        }
    }

    /// The revocation with this index.
    #[must_use]
    pub fn find(&self, index: LogIndex) -> Option<&Revocation> {
        self.by_index.get(&index)
    }

    /// All, by index.
    pub fn iter(&self) -> impl Iterator<Item = &Revocation> {
        self.by_index.values()
    }

    /// What the revocations say about a token.
    #[must_use]
    pub fn standing(&self, token: &TokenFacts<'_>) -> Standing {
        Standing::of(token, self.horizon, self.candidates(token))
    }

    fn candidates<'a>(&'a self, token: &TokenFacts<'_>) -> impl Iterator<Item = &'a Revocation> {
        [
            Some(&self.everyone),
            self.by_provider.get(&token.dn.user.provider),
            self.by_user.get(&token.dn.user),
            self.by_session.get(token.dn),
            self.by_token.get(&token.id),
        ]
        .into_iter()
        .flatten()
        .flat_map(move |indexes| indexes.range(token.idx..))
        .filter_map(|index| self.by_index.get(index))
    }

    fn bucket(&mut self, scope: &RevocationScope) -> &mut BTreeSet<LogIndex> {
        match scope {
            RevocationScope::Dn(DnScope::Everyone) => &mut self.everyone,
            RevocationScope::Dn(DnScope::Provider(provider)) => self.by_provider.entry(provider.clone()).or_default(),
            RevocationScope::Dn(DnScope::User(user)) => self.by_user.entry(user.clone()).or_default(),
            RevocationScope::Dn(DnScope::Device(session)) => self.by_session.entry(session.clone()).or_default(),
            RevocationScope::Token(token) => self.by_token.entry(*token).or_default(),
        }
    }
}

impl FromIterator<Revocation> for RevocationIndex {
    fn from_iter<I: IntoIterator<Item = Revocation>>(revocations: I) -> Self {
        let mut table = Self::default();
        revocations.into_iter().for_each(|revocation| table.add(revocation));
        table
    }
}

fn drop_from<K: Ord>(map: &mut BTreeMap<K, BTreeSet<LogIndex>>, key: &K, index: LogIndex) {
    if let Some(indexes) = map.get_mut(key) {
        indexes.remove(&index);
        if indexes.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn() -> SessionDn {
        "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN")
    }

    fn revocation(index: u64, scope: &str, mode: RevocationMode) -> Revocation {
        let done = if mode == RevocationMode::Cut { 1 } else { 0 };
        Revocation {
            index: LogIndex(index),
            scope: RevocationScope::Dn(scope.parse().expect("a scope")),
            kinds: TokenKind::ALL.into(),
            site: None,
            mode,
            reason: String::new(),
            at: UnixMillis(0),
            told: done,
            effective: done,
        }
    }

    fn standing(table: &RevocationIndex, idx: u64) -> Standing {
        let dn = dn();
        table.standing(&TokenFacts {
            kind: TokenKind::Claims,
            dn: &dn,
            id: TokenId::from_random([7; 16]),
            idx: LogIndex(idx),
            site: None,
        })
    }

    #[test]
    fn a_cut_voids_what_is_older_and_nothing_that_is_newer() {
        for scope in ["", "OU=local", "CN=alice,OU=local", &dn().to_string()] {
            let table: RevocationIndex = [revocation(100, scope, RevocationMode::Cut)].into_iter().collect();
            assert_eq!(standing(&table, 99), Standing::Revoked(LogIndex(100)), "{scope}");
            assert_eq!(standing(&table, 100), Standing::Valid, "{scope}");
        }
        let other: RevocationIndex = [revocation(100, "OU=other", RevocationMode::Cut)].into_iter().collect();
        assert_eq!(standing(&other, 99), Standing::Valid);
    }

    #[test]
    fn a_renewal_asks_first_and_voids_later() {
        let mut table: RevocationIndex = [revocation(100, "", RevocationMode::RenewNow)].into_iter().collect();
        assert_eq!(standing(&table, 1), Standing::Valid);
        table.advance(LogIndex(100), 1, 0);
        assert_eq!(standing(&table, 1), Standing::RenewWanted(LogIndex(100)));
        table.advance(LogIndex(100), 1, 1);
        assert_eq!(standing(&table, 1), Standing::Revoked(LogIndex(100)));
        table.advance(LogIndex(100), 0, 0);
        assert_eq!(standing(&table, 1), Standing::Revoked(LogIndex(100)), "never moves back");
    }

    #[test]
    fn forgetting_leaves_nothing_behind() {
        let mut table: RevocationIndex = [revocation(5, "", RevocationMode::Cut)].into_iter().collect();
        table.add(revocation(6, "CN=alice,OU=local", RevocationMode::Cut));
        table.forget(LogIndex(5));
        table.forget(LogIndex(6));
        let empty = RevocationIndex { horizon: LogIndex(6), ..RevocationIndex::default() };
        assert_eq!(table, empty);
    }

    #[test]
    fn forgetting_too_early_revives_no_token() {
        let mut table: RevocationIndex =
            [revocation(100, "CN=alice,OU=local", RevocationMode::Cut)].into_iter().collect();
        table.forget(LogIndex(100));
        assert_eq!(standing(&table, 99), Standing::Revoked(LogIndex(100)), "as before");
        assert_eq!(standing(&table, 100), Standing::Valid);
    }
}
