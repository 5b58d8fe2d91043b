//! One application of a command in progress: the state being made, and what Gateways must hear of it.

use std::collections::BTreeSet;

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, LogIndex, SiteId};
use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::revocation::Revoke;

/// A change that Gateways hear of, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scoped {
    /// Only Gateways of this Site; all, if absent.
    pub site: Option<SiteId>,
    /// Only this Gateway, if set.
    pub gateway: Option<ApplianceId>,
    /// What changed.
    pub event: FeedEvent,
}

impl Scoped {
    /// Whether a Gateway of `site` is to hear it.
    #[must_use]
    pub fn reaches(&self, gateway: ApplianceId, site: SiteId) -> bool {
        self.gateway.is_none_or(|only| only == gateway) && self.site.is_none_or(|only| only == site)
    }
}

/// Everything that one log entry tells Gateways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The entry.
    pub index: LogIndex,
    /// Its events, in order.
    pub events: Vec<Scoped>,
}

/// What a revocation in the making concerns.
#[derive(Debug, Clone)]
pub(crate) struct Cutoff {
    pub(crate) scope: RevocationScope,
    pub(crate) kinds: BTreeSet<TokenKind>,
    pub(crate) site: Option<SiteId>,
    pub(crate) mode: RevocationMode,
    pub(crate) reason: String,
}

impl Cutoff {
    /// All tokens of `scope`, at once.
    pub(crate) fn cut(scope: DnScope, reason: impl Into<String>) -> Self {
        Self {
            scope: RevocationScope::Dn(scope),
            kinds: TokenKind::ALL.into(),
            site: None,
            mode: RevocationMode::Cut,
            reason: reason.into(),
        }
    }

    /// Entitlement tokens of everyone, of one Site or of all.
    pub(crate) fn entitlements(site: Option<SiteId>, mode: RevocationMode, reason: impl Into<String>) -> Self {
        Self {
            scope: RevocationScope::Dn(DnScope::Everyone),
            kinds: [TokenKind::Entitlement].into(),
            site,
            mode,
            reason: reason.into(),
        }
    }

    /// One revocation that covers both, if that concerns nobody whom neither concerns: same scope and kinds. The
    /// Site is widened and the stricter mode taken.
    fn merge(self, other: Self) -> Result<Self, Rejection> {
        if self.scope != other.scope || self.kinds != other.kinds {
            return Err(Rejection::TwoRevocations);
        }
        let site = if self.site == other.site { self.site } else { None };
        let mode = if strictness(self.mode) >= strictness(other.mode) { self.mode } else { other.mode };
        Ok(Self { site, mode, ..self })
    }
}

const fn strictness(mode: RevocationMode) -> u8 {
    match mode {
        RevocationMode::RenewWindow { .. } => 0,
        RevocationMode::RenewNow => 1,
        RevocationMode::Cut => 2,
    }
}

/// The state in the making. Thrown away as a whole if the command is refused.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) state: &'a mut State,
    /// Index of the entry.
    pub(crate) index: LogIndex,
    /// The proposer's clock.
    pub(crate) now: UnixMillis,
    pub(crate) events: Vec<Scoped>,
    cutoff: Option<Cutoff>,
    /// Revocations that do not go together with `cutoff`; absent if a second one is refused.
    owed: Option<Vec<Cutoff>>,
}

impl<'a> Step<'a> {
    pub(crate) const fn new(state: &'a mut State, index: LogIndex, now: UnixMillis) -> Self {
        Self { state, index, now, events: Vec::new(), cutoff: None, owed: None }
    }

    /// Tells every Gateway.
    pub(crate) fn tell_all(&mut self, event: FeedEvent) {
        self.events.push(Scoped { site: None, gateway: None, event });
    }

    /// Tells the Gateways of one Site.
    pub(crate) fn tell_site(&mut self, site: SiteId, event: FeedEvent) {
        self.events.push(Scoped { site: Some(site), gateway: None, event });
    }

    /// Tells one Gateway.
    pub(crate) fn tell_gateway(&mut self, gateway: ApplianceId, event: FeedEvent) {
        self.events.push(Scoped { site: None, gateway: Some(gateway), event });
    }

    /// Tells the Gateways of one Site, or all.
    pub(crate) fn tell(&mut self, site: Option<SiteId>, event: FeedEvent) {
        self.events.push(Scoped { site, gateway: None, event });
    }

    /// From now on a revocation that does not go together with the entry's own is owed instead of refused.
    pub(crate) fn owe_revocations(&mut self) {
        if self.owed.is_none() {
            self.owed = Some(Vec::new());
        }
    }

    /// Adds to the entry's one revocation; it is made by [`Step::finish`]. Returns its index.
    pub(crate) fn revoke(&mut self, cutoff: Cutoff) -> Result<LogIndex, Rejection> {
        let Some(former) = &self.cutoff else {
            self.cutoff = Some(cutoff);
            return Ok(self.index);
        };
        match (former.clone().merge(cutoff.clone()), &mut self.owed) {
            (Ok(both), _) => self.cutoff = Some(both),
            (Err(_), Some(owed)) => owe(owed, cutoff),
            (Err(why), None) => return Err(why),
        }
        Ok(self.index)
    }

    /// Makes the revocation, if there is one, and gives the events: the revocation last, so that whoever hears it
    /// knows everything else of the entry.
    pub(crate) fn finish(mut self) -> Vec<Scoped> {
        for (nth, owed) in (0_u32..).zip(self.owed.take().unwrap_or_default()) {
            self.state.owed_revocations.insert((self.index, nth), owed.into());
        }
        if let Some(cutoff) = self.cutoff.take() {
            let done = u16::from(cutoff.mode == RevocationMode::Cut);
            let told = u16::from(cutoff.mode.slices() == 1);
            let revocation = Revocation {
                index: self.index,
                scope: cutoff.scope,
                kinds: cutoff.kinds,
                site: cutoff.site,
                mode: cutoff.mode,
                reason: cutoff.reason,
                at: self.now,
                told: match cutoff.mode {
                    RevocationMode::RenewWindow { .. } => 0,
                    RevocationMode::RenewNow | RevocationMode::Cut => told,
                },
                effective: done,
            };
            self.state.revocations.add(revocation.clone(), self.now);
            self.state.end_admin_sessions(&revocation);
            let site = revocation.site;
            self.tell(site, FeedEvent::RevocationAdded { revocation });
        }
        self.events
    }
}

impl From<Cutoff> for Revoke {
    fn from(cutoff: Cutoff) -> Self {
        let Cutoff { scope, kinds, site, mode, reason } = cutoff;
        Self { scope, kinds, site, mode, reason }
    }
}

/// Adds a revocation to those that are owed, to one of them if they go together.
fn owe(owed: &mut Vec<Cutoff>, cutoff: Cutoff) {
    for known in owed.iter_mut() {
        if let Ok(both) = known.clone().merge(cutoff.clone()) {
            *known = both;
            return;
        }
    }
    owed.push(cutoff);
}
