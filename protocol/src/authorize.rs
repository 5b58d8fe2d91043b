//! The one pure function that decides what a session may reach: used at admission, on every change of claims, by
//! `explain`, and by the tests' oracle.
//!
//! A [`Prepared`] token has its conditions compiled and its actions read once; [`Prepared::authorize`] evaluates it
//! against the facts of one moment.

mod help;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claims::Facts;
use crate::entitlement::{Action, ActionError, Host, Logic, ParsedAction};
use crate::expression::{
    Asked, ClaimArena, Evaluator, Expression, ExpressionError, Outcome, Readings, Scripts, readings,
};
use crate::id::{ConditionId, EntitlementId};
use crate::rules::RuleSet;
use crate::rules::compile::{ResolvedNames, TooManyRules, compile};
use crate::time::UnixMillis;
use crate::token::EntitlementToken;

pub use help::Help;
pub use schedule::Schedule;

/// How one entitlement of a session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementState {
    /// Id of the entitlement.
    pub id: EntitlementId,
    /// For people.
    pub name: String,
    /// Its actions are in force.
    pub open: bool,
    /// Conditions that do not hold.
    #[serde(default)]
    pub failed_conditions: Vec<ConditionId>,
}

/// An entitlement token, ready to be evaluated many times.
#[derive(Debug, Clone)]
pub struct Prepared {
    token: EntitlementToken,
    conditions: BTreeMap<ConditionId, Expression>,
    actions: Vec<Vec<ParsedAction>>,
}

/// Why a token cannot be evaluated. Controllers do not mint such tokens.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A condition does not compile.
    #[error("condition {id} does not compile")]
    Condition {
        /// Id of the condition.
        id: ConditionId,
        /// The underlying error.
        #[source]
        source: ExpressionError,
    },
    /// An action cannot be read.
    #[error("an action of entitlement {id} cannot be read")]
    Action {
        /// Id of the entitlement.
        id: EntitlementId,
        /// The underlying error.
        #[source]
        source: ActionError,
    },
    /// An entitlement names a condition that the token does not hold.
    #[error("entitlement {entitlement} names the unknown condition {condition}")]
    MissingCondition {
        /// Id of the entitlement.
        entitlement: EntitlementId,
        /// Id of the condition.
        condition: ConditionId,
    },
}

/// What a session may do at one moment.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// The rules that are in force.
    pub rules: RuleSet,
    /// Entitlement by entitlement.
    pub states: Vec<EntitlementState>,
    /// What each condition came to.
    pub conditions: BTreeMap<ConditionId, Outcome>,
    /// The next moment at which this may change by itself.
    pub valid_until: Option<UnixMillis>,
    /// Paths of the claims that were read: if none of them changes, nothing else does.
    pub reads: BTreeSet<String>,
}

impl Authorization {
    /// The entitlements that are open.
    #[must_use]
    pub fn open(&self) -> BTreeSet<EntitlementId> {
        self.states.iter().filter(|state| state.open).map(|state| state.id).collect()
    }

    /// Whether a change of the claim at `path` can change anything.
    #[must_use]
    pub fn depends_on(&self, path: &str) -> bool {
        self.reads.iter().any(|read| within(read, path) || within(path, read))
    }
}

/// Whether `path` is `root` or lies below it.
fn within(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Prepared {
    /// Compiles conditions and reads actions.
    ///
    /// # Errors
    /// The first condition or action that cannot be used.
    pub fn new(token: EntitlementToken) -> Result<Self, PrepareError> {
        let mut conditions = BTreeMap::new();
        for (id, condition) in &token.conditions {
            let compiled = Expression::compile(&condition.expression)
                .map_err(|source| PrepareError::Condition { id: *id, source })?;
            conditions.insert(*id, compiled);
        }
        let mut actions = Vec::with_capacity(token.entitlements.len());
        for entitlement in &token.entitlements {
            if let Some(missing) = entitlement.conditions.iter().find(|id| !conditions.contains_key(id)) {
                return Err(PrepareError::MissingCondition { entitlement: entitlement.id, condition: *missing });
            }
            let parsed = entitlement.actions.iter().map(Action::parse).collect::<Result<_, _>>();
            actions.push(parsed.map_err(|source| PrepareError::Action { id: entitlement.id, source })?);
        }
        Ok(Self { token, conditions, actions })
    }

    /// The token behind it.
    #[must_use]
    pub const fn token(&self) -> &EntitlementToken {
        &self.token
    }

    /// Names that rules want resolved.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Host> {
        let hosts = self.actions.iter().flatten().flat_map(|action| &action.hosts);
        hosts.filter(|host| !matches!(host, Host::Range(..))).cloned().collect()
    }

    /// Evaluates everything.
    ///
    /// # Errors
    /// If the open entitlements come to more rules than a rule set may have; the caller keeps or takes away rights,
    /// it never widens them.
    pub fn authorize(&self, facts: &Facts<'_>, names: &ResolvedNames) -> Result<Authorization, TooManyRules> {
        let (conditions, reads) = self.evaluate(facts);
        let states: Vec<_> = self.token.entitlements.iter().map(|granted| state(granted, &conditions)).collect();
        let open = self.actions.iter().zip(&states).filter(|(_, state)| state.open).flat_map(|(actions, _)| actions);
        let rules = compile(open, names)?;
        let by_themselves = conditions.values().filter_map(|outcome| outcome.valid_until);
        let scheduled = self.conditions.keys().filter_map(|id| self.next_schedule(*id, facts.now));
        let valid_until = by_themselves.chain(scheduled).min();
        Ok(Authorization { rules, states, conditions, valid_until, reads })
    }

    /// The rules of these entitlements, whatever their conditions say: for a caller that keeps to what was open before.
    ///
    /// # Errors
    /// As [`Prepared::authorize`].
    pub fn rules_of(&self, open: &BTreeSet<EntitlementId>, names: &ResolvedNames) -> Result<RuleSet, TooManyRules> {
        let granted = self.actions.iter().zip(&self.token.entitlements);
        compile(granted.filter(|(_, granted)| open.contains(&granted.id)).flat_map(|(actions, _)| actions), names)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> (BTreeMap<ConditionId, Outcome>, BTreeSet<String>) {
        let arena = ClaimArena::new(facts);
        let evaluator = Evaluator::new(&arena, facts, &Scripts::default());
        let mut reads = BTreeSet::new();
        let mut outcomes = BTreeMap::new();
        for (id, expression) in &self.conditions {
            let asked = Asked(&self.token.conditions[id].interactions);
            outcomes.insert(*id, evaluator.evaluate(expression, asked));
            reads.append(&mut evaluator.last_reads());
        }
        (outcomes, reads)
    }

    /// The claims that each condition reads, with their values: for explanations, not for decisions.
    #[must_use]
    pub(crate) fn readings(&self, facts: &Facts<'_>) -> BTreeMap<ConditionId, Readings> {
        let arena = ClaimArena::new(facts);
        let evaluator = Evaluator::new(&arena, facts, &Scripts::default());
        let read = |(id, expression): (&ConditionId, &Expression)| {
            drop(evaluator.evaluate(expression, Asked(&self.token.conditions[id].interactions)));
            (*id, readings(&evaluator.last_reads(), facts))
        };
        self.conditions.iter().map(read).collect()
    }

    fn next_schedule(&self, id: ConditionId, now: UnixMillis) -> Option<UnixMillis> {
        let schedules = &self.token.conditions.get(&id)?.repeat_schedules;
        schedules
            .iter()
            .filter_map(|text| Schedule::parse(text))
            .map(|schedule| schedule.next(&self.token.head.sub, now))
            .min()
    }
}

fn state(granted: &crate::token::GrantedEntitlement, outcomes: &BTreeMap<ConditionId, Outcome>) -> EntitlementState {
    let holds = |id: &ConditionId| outcomes.get(id).is_some_and(|outcome| outcome.holds);
    let failed: Vec<_> = granted.conditions.iter().filter(|id| !holds(id)).copied().collect();
    let open = match granted.condition_logic {
        Logic::And => failed.is_empty(),
        Logic::Or => failed.len() < granted.conditions.len(),
    };
    EntitlementState { id: granted.id, name: granted.name.clone(), open, failed_conditions: failed }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tracked;
