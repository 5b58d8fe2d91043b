//! A session's rules: what its conditions allow, what of it was handed to the enforcer, and what the Client is still to
//! be told of it. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringwall_protocol::authorize::{Authorization, EntitlementState};
use ringwall_protocol::id::EntitlementId;
use ringwall_protocol::rules::{RuleSet, RuleSetHash};
use ringwall_protocol::time::UnixMillis;

use crate::support::budget::Budget;

/// Changes of the rules; beyond them what closes is closed and what opens waits (T32).
const RULE_CHANGES: (usize, Duration) = (2, Duration::from_secs(1));

/// What is allowed, and what the enforcer was handed last.
#[derive(Debug)]
pub(super) struct RuleState {
    authorization: Option<Authorization>,
    generation: u64,
    /// The rules that were handed over, and their end.
    handed: Option<(RuleSetHash, UnixMillis)>,
    /// Entitlements whose rules these are.
    open: BTreeSet<EntitlementId>,
    /// The Client is told `welcome` when this generation is in force; `true`: it resumes.
    welcome: Option<(u64, bool)>,
    /// The Client is told its entitlements when this generation is in force.
    announce: Option<u64>,
    changes: Budget,
}

/// What a new authorization asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The states of entitlements are others than before.
    pub(super) states: bool,
    pub(super) next: Next,
}

/// How a new authorization gets into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// All of it, now.
    Whole,
    /// What closed is closed now; the whole at this time.
    StricterUntil(Instant),
    /// Nothing closed: the whole at this time.
    WaitUntil(Instant),
}

impl Default for RuleState {
    fn default() -> Self {
        let (limit, window) = RULE_CHANGES;
        Self {
            authorization: None,
            generation: 0,
            handed: None,
            open: BTreeSet::new(),
            welcome: None,
            announce: None,
            changes: Budget::new(limit, window),
        }
    }
}

impl RuleState {
    /// What conditions allow now, once they were evaluated.
    pub(super) const fn authorization(&self) -> Option<&Authorization> {
        self.authorization.as_ref()
    }

    /// Number of the rules that were handed over last.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a condition read this path; true before the first evaluation.
    pub(super) fn depends_on(&self, path: &str) -> bool {
        self.authorization.as_ref().is_none_or(|current| current.depends_on(path))
    }

    /// The states of all entitlements.
    pub(super) fn states(&self) -> Vec<EntitlementState> {
        self.authorization.as_ref().map(|current| current.states.clone()).unwrap_or_default()
    }

    /// Takes over what conditions allow now.
    pub(super) fn authorize(&mut self, authorization: Authorization, now: Instant) -> Change {
        let narrower = self.authorization.as_ref().is_none_or(|former| closes(former, &authorization));
        let wider = !authorization.open().is_subset(&self.open);
        let states = self.authorization.as_ref().is_some_and(|former| former.states != authorization.states);
        self.authorization = Some(authorization);
        if states {
            self.announce = Some(self.generation + 1);
        }
        let forced = (narrower && !wider) || self.welcome.is_some();
        let next = if forced || self.changes.spend(now) {
            Next::Whole
        } else if narrower {
            Next::StricterUntil(self.changes.next(now))
        } else {
            Next::WaitUntil(self.changes.next(now))
        };
        Change { states, next }
    }

    /// The whole rules, to be handed over; none if they, or their end, are what the enforcer has.
    pub(super) fn whole(&mut self, expires: UnixMillis) -> Option<RuleSet> {
        let authorization = self.authorization.as_ref()?;
        let (rules, open) = (authorization.rules.clone(), authorization.open());
        if self.handed == Some((rules.hash(), expires)) && self.welcome.is_none() {
            return None;
        }
        self.hand_over(&rules, open, expires);
        if let Some((generation, _)) = &mut self.welcome {
            *generation = self.generation;
        }
        if let Some(generation) = &mut self.announce {
            *generation = self.generation;
        }
        Some(rules)
    }

    /// Entitlements that are open and were open before.
    pub(super) fn still_open(&self) -> BTreeSet<EntitlementId> {
        let open = self.authorization.as_ref().map(Authorization::open).unwrap_or_default();
        open.intersection(&self.open).copied().collect()
    }

    /// These rules are handed over: they get the next generation.
    pub(super) fn hand_over(&mut self, rules: &RuleSet, open: BTreeSet<EntitlementId>, expires: UnixMillis) {
        self.handed = Some((rules.hash(), expires));
        self.open = open;
        self.generation += 1;
    }

    /// The Client is welcomed when the next rules are in force.
    pub(super) fn welcome_with_next(&mut self, resumed: bool) {
        self.welcome = Some((self.generation + 1, resumed));
    }

    /// The Client hears of its entitlements when rules beyond those handed over are in force: only the whole is told.
    pub(super) fn announce_with_next(&mut self) {
        if let Some(generation) = &mut self.announce {
            *generation = self.generation + 1;
        }
    }

    /// Whether the Client is to be welcomed now that `generation` is in force, and whether it resumes. A welcome tells
    /// the entitlements, too.
    pub(super) fn take_welcome(&mut self, generation: u64) -> Option<bool> {
        let (_, resumed) = self.welcome.take_if(|(wanted, _)| *wanted <= generation)?;
        self.announce = None;
        Some(resumed)
    }

    /// Whether the Client is to hear of its entitlements now that `generation` is in force.
    pub(super) const fn announces(&self, generation: u64) -> bool {
        matches!(self.announce, Some(wanted) if wanted <= generation)
    }

    /// The entitlements that the Client is still to be told, if any.
    pub(super) fn take_announcement(&mut self) -> Option<Vec<EntitlementState>> {
        self.announce.take().map(|_| self.states())
    }
}

/// Whether something that was open no longer is, or is another thing.
fn closes(former: &Authorization, now: &Authorization) -> bool {
    let (former_open, now_open) = (former.open(), now.open());
    // The same entitlements with other rules: a new token, or resolved names; it may be narrower.
    !former_open.is_subset(&now_open) || (former_open == now_open && former.rules != now.rules)
}
