//! Trying an expression before it is saved (`POST /conditions/test`), for conditions, policies and criteria scripts.

use std::collections::BTreeMap;
use std::time::Instant;

use ringwall_protocol::claims::{ClaimMap, Facts, UntrustedClaims};
use ringwall_protocol::expression::{Asked, ClaimArena, Evaluator, Expression};
use ringwall_protocol::form::{CEL, Is};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::time::{Rfc3339, UnixMillis, rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::objects::validate::scripts;

/// What is tried.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rehearsal {
    #[schemars(transform = Is(CEL))]
    expression: String,
    #[serde(default)]
    user_claims: ClaimMap,
    #[serde(default)]
    device_claims: ClaimMap,
    #[serde(default)]
    system_claims: ClaimMap,
    #[serde(default)]
    time: Option<Moment>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Moment(
    #[serde(with = "rfc3339")]
    #[schemars(with = "Rfc3339")]
    UnixMillis,
);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rehearsed {
    result: bool,
    output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    execution_ms: f64,
    /// Claims that were read.
    read: Vec<String>,
}

impl Rehearsal {
    /// Evaluates it.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` if it does not compile or its claims exceed their bounds.
    pub(crate) fn run(&self, who: &Administrator) -> Result<Rehearsed, Denial> {
        let targets = [PrivilegeTarget::Condition, PrivilegeTarget::Policy, PrivilegeTarget::CriteriaScript];
        if !targets.into_iter().any(|target| who.authority.permits_some(PrivilegeType::Test, target)) {
            who.authority.require_some(PrivilegeType::Test, PrivilegeTarget::Condition)?;
        }
        for (field, claims) in [
            ("userClaims", &self.user_claims),
            ("deviceClaims", &self.device_claims),
            ("systemClaims", &self.system_claims),
        ] {
            claims.check().map_err(|error| Denial::field(field, error.to_string()))?;
        }
        let scripts = scripts(&who.state);
        let expression = Expression::compile_with(&self.expression, &scripts);
        let expression = expression.map_err(|error| Denial::field("expression", error.to_string()))?;
        let device = UntrustedClaims(self.device_claims.clone());
        let (step_ups, reasons) = (BTreeMap::new(), BTreeMap::new());
        let facts = Facts {
            user: &self.user_claims,
            device: Some(&device),
            system: &self.system_claims,
            step_ups: &step_ups,
            reasons: &reasons,
            now: self.time.map_or(who.now, |moment| moment.0),
        };
        let started = Instant::now();
        let arena = ClaimArena::new(&facts);
        let evaluator = Evaluator::new(&arena, &facts, &scripts);
        let outcome = evaluator.evaluate(&expression, Asked::default());
        Ok(Rehearsed {
            result: outcome.holds,
            output: String::new(),
            error: outcome.error,
            execution_ms: started.elapsed().as_secs_f64() * 1_000.0,
            read: evaluator.last_reads().into_iter().collect(),
        })
    }
}
