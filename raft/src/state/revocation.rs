//! Revocations in the state: made by an entry whose index is the cut-off, moved on by the leader, forgotten when no
//! credential can be older.

use std::collections::BTreeSet;
use std::time::Duration;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{LogIndex, SiteId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{
    MAX_SLICES, Revocation, RevocationMode, RevocationScope, Standing, TokenFacts, TokenKind,
};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::map::{Map, Set};
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::{Cutoff, Step};

/// From telling to effect with `renewNow`.
pub const RENEW_NOW: Duration = Duration::from_secs(20);
/// From one slice of a `renewWindow` to the next.
pub const SLICE_STEP: Duration = Duration::from_secs(5);
/// A revocation is kept this long after it took full effect: a week and an hour, longer than any credential is valid.
pub const KEPT: Duration = Duration::from_secs((7 * 24 + 1) * 3600);
/// Most revocations at a time: each is looked at by every Gateway that resynchronises.
pub(crate) const MAX_REVOCATIONS: usize = 200_000;

/// A revocation, and when it took full effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptRevocation {
    /// It.
    pub(crate) revocation: Revocation,
    /// All slices are effective since then.
    pub(crate) settled_at: Option<UnixMillis>,
}

/// All revocations in force, found by whom they concern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocations {
    by_index: Map<LogIndex, KeptRevocation>,
    by_scope: Set<(RevocationScope, LogIndex)>,
    /// The highest one that was forgotten: tokens that are older are invalid, so that forgetting revives nothing (T69).
    horizon: LogIndex,
}

/// Revokes tokens. The index of this entry is the cut-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoke {
    /// Sessions, or the one token, whose tokens it invalidates.
    pub scope: RevocationScope,
    /// Which kinds; at least one.
    pub kinds: BTreeSet<TokenKind>,
    /// Only entitlement tokens of this Site.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// How it takes hold.
    pub mode: RevocationMode,
    /// For audit and user, at most 1,024 bytes.
    #[serde(default)]
    pub reason: String,
}

/// The leader moves a revocation on; never back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceRevocation {
    /// Log index of the revocation.
    pub revocation: LogIndex,
    /// Slices below are told.
    pub told: u16,
    /// Slices below are effective.
    pub effective: u16,
}

/// No living credential is older than the revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetRevocation {
    /// Which; refused before its time.
    pub revocation: LogIndex,
}

/// Gateways evaluate sessions anew (S34).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reevaluate {
    /// Sessions whose DN ends with this.
    pub scope: DnScope,
}

impl Revocations {
    /// The revocation with this index.
    #[must_use]
    pub fn find(&self, index: LogIndex) -> Option<&Revocation> {
        self.by_index.find(&index).map(|kept| &kept.revocation)
    }

    /// All, by index.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Revocation> {
        self.by_index.values().map(|kept| &kept.revocation)
    }

    /// The highest one that was forgotten; 0 before the first.
    #[must_use]
    pub const fn horizon(&self) -> LogIndex {
        self.horizon
    }

    /// All with the time of their full effect.
    pub(crate) fn kept(&self) -> impl DoubleEndedIterator<Item = &KeptRevocation> {
        self.by_index.values()
    }

    /// What revocations say about a token: one look-up for each component of its DN, and one for itself. Its key, times and
    /// incarnation are the verifier's to check.
    #[must_use]
    pub fn standing(&self, token: &TokenFacts<'_>) -> Standing {
        Standing::of(token, self.horizon, self.candidates(token))
    }

    fn candidates<'a>(&'a self, token: &TokenFacts<'_>) -> impl Iterator<Item = &'a Revocation> {
        let (dn, idx) = (token.dn, token.idx);
        let scopes = [
            RevocationScope::Dn(DnScope::Everyone),
            RevocationScope::Dn(DnScope::Provider(dn.user.provider.clone())),
            RevocationScope::Dn(DnScope::User(dn.user.clone())),
            RevocationScope::Dn(DnScope::Device(dn.clone())),
            RevocationScope::Token(token.id),
        ];
        scopes
            .into_iter()
            .flat_map(move |scope| self.by_scope.range((scope.clone(), idx)..=(scope, LogIndex(u64::MAX))))
            .filter_map(|(_, index)| self.find(*index))
    }

    pub(crate) fn add(&mut self, revocation: Revocation, now: UnixMillis) {
        let settled_at = (revocation.effective >= revocation.mode.slices()).then_some(now);
        self.by_scope.insert((revocation.scope.clone(), revocation.index));
        self.by_index.insert(revocation.index, KeptRevocation { revocation, settled_at });
    }

    fn forget(&mut self, index: LogIndex) {
        if let Some(kept) = self.by_index.remove(&index) {
            self.by_scope.remove(&(kept.revocation.scope.clone(), index));
            self.horizon = self.horizon.max(index);
        }
    }
}

impl KeptRevocation {
    /// How far the revocation must have come at `now`: slices told, slices effective.
    #[must_use]
    pub(crate) fn due(&self, now: UnixMillis) -> (u16, u16) {
        let revocation = &self.revocation;
        match revocation.mode {
            RevocationMode::Cut => (1, 1),
            RevocationMode::RenewNow => (1, u16::from(now >= revocation.at.plus(RENEW_NOW))),
            RevocationMode::RenewWindow { delay_seconds, slices } => {
                let passed = |since: UnixMillis| {
                    if now < since {
                        return 0;
                    }
                    let steps = since.until(now).as_millis() / SLICE_STEP.as_millis();
                    u16::try_from(steps.saturating_add(1)).unwrap_or(u16::MAX).min(slices)
                };
                let delay = Duration::from_secs(u64::from(delay_seconds));
                (passed(revocation.at), passed(revocation.at.plus(delay)))
            }
        }
    }

    /// Whether no living credential can be older.
    #[must_use]
    pub(crate) fn is_over(&self, now: UnixMillis) -> bool {
        self.settled_at.is_some_and(|settled| settled.plus(KEPT) < now)
    }
}

impl Revoke {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.kinds.is_empty() {
            return Err(Rejection::invalid("kinds", "must not be empty"));
        }
        if self.reason.len() > 1_024 {
            return Err(Rejection::invalid("reason", "has at most 1024 bytes"));
        }
        if let RevocationMode::RenewWindow { slices, .. } = self.mode
            && !(1..=MAX_SLICES).contains(&slices)
        {
            return Err(Rejection::invalid("slices", format!("are 1 to {MAX_SLICES}")));
        }
        if self.site.is_some_and(|site| step.state.site(site).is_none()) {
            return Err(Rejection::not_found("site", self.site.map_or(String::new(), |site| site.to_string())));
        }
        if step.state.revocations.by_index.len() >= MAX_REVOCATIONS && self.mode != RevocationMode::Cut {
            return Err(Rejection::too_many("revocations", MAX_REVOCATIONS));
        }
        let index = step.revoke(Cutoff {
            scope: self.scope.clone(),
            kinds: self.kinds.clone(),
            site: self.site,
            mode: self.mode,
            reason: self.reason.clone(),
        })?;
        Ok(Reply::Revoked(index))
    }
}

impl AdvanceRevocation {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let (index, now) = (self.revocation, step.now);
        let Some(kept) = step.state.revocations.by_index.find_mut(&index) else {
            return Err(Rejection::not_found("revocation", index));
        };
        let one = &mut kept.revocation;
        let slices = one.mode.slices();
        let before = (one.told, one.effective);
        one.effective = one.effective.max(self.effective.min(slices));
        one.told = one.told.max(self.told.min(slices)).max(one.effective);
        if one.effective >= slices && kept.settled_at.is_none() {
            kept.settled_at = Some(now);
        }
        let (told, effective, site) = (kept.revocation.told, kept.revocation.effective, kept.revocation.site);
        if (told, effective) != before {
            let event = FeedEvent::RevocationAdvanced { revocation: index, told, effective };
            step.tell(site, event);
        }
        Ok(Reply::Done)
    }
}

impl ForgetRevocation {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let index = self.revocation;
        let Some(kept) = step.state.revocations.by_index.find(&index) else {
            return Ok(Reply::Done);
        };
        if !kept.is_over(step.now) {
            let what = format!("revocation {index}");
            return Err(Rejection::WrongState { what, state: "younger than some tokens".to_owned() });
        }
        step.state.revocations.forget(index);
        // All: tokens of every Site that are older are invalid from here on.
        step.tell_all(FeedEvent::RevocationForgotten { revocation: index });
        Ok(Reply::Done)
    }
}

impl Reevaluate {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.tell_all(FeedEvent::Reevaluate { scope: self.scope.clone() });
        Ok(Reply::Done)
    }
}

impl State {
    /// Revocations in force.
    #[must_use]
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }
}
