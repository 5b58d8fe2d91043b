//! Why a user reaches a host, or does not: the same functions that decide, asked for one flow.
//!
//! The facts are those of the user's live session, wherever its feed ends; without one, what the caller assumes. Claims
//! are told with their values: whoever may ask has `View` on `SessionInfo`.

mod bare_name;
mod known;
mod obstacles;
mod question;
mod subject;

use ringwall_protocol::assign::{Assignment, PolicySet};
use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::entitlement::Entitlement;
use ringwall_protocol::explain::{Explanation, MissedEntitlement, Scene, SiteView, decisive, explain};
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::policy::Policy;
use ringwall_protocol::rules::Verdict;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::ExplainRequest;
use ringwall_raft::State;

pub(crate) use subject::Subject;

pub(in crate::administration) use known::{Known, prepare};

use self::question::Question;
use crate::administration::access::authority::Administrator;
use crate::administration::denial::Denial;
use crate::administration::questions::Questions;

/// Most entitlements that an explanation names because the user does not have them.
const MAX_MISSED: usize = 20;

impl Questions {
    /// Explains a flow.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` for a malformed question, `NotFound` for an unknown user.
    pub(crate) async fn explain_flow(
        &self,
        who: &Administrator,
        request: &ExplainRequest,
    ) -> Result<Explanation, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::SessionInfo, None)?;
        let question = Question::read(&request.destination, &request.protocol)?;
        request.device_claims.check().map_err(|error| Denial::field("deviceClaims", error.to_string()))?;
        let subject = self.subject(&who.state, &request.user).await?;
        let known = Known::of(&who.state, &subject, &request.device_claims, who.now);
        let policies = self.policies.of(&who.state);
        let mut explanation = explain_with(&who.state, &policies, &subject, &known, &question)?;
        let mut found = obstacles::of(&who.state, &subject, &explanation, known.now);
        found.extend(obstacles::refused_name(&subject, &question));
        explanation.hinder(found);
        Ok(explanation)
    }

    /// What policies give to somebody now.
    pub(in crate::administration) fn assign_subject(
        &self,
        state: &State,
        subject: &Subject,
        assumed: &ClaimMap,
        now: UnixMillis,
    ) -> Assignment {
        assign(state, &self.policies.of(state), subject, &Known::of(state, subject, assumed, now))
    }
}

/// What `policies` give to a subject.
pub(in crate::administration) fn assign(
    state: &State,
    policies: &PolicySet,
    subject: &Subject,
    known: &Known,
) -> Assignment {
    let entitlements: Vec<_> = state.entitlements().collect();
    policies.assign(&known.facts(&subject.claims), entitlements.iter().copied())
}

fn explain_with(
    state: &State,
    policies: &PolicySet,
    subject: &Subject,
    known: &Known,
    question: &Question,
) -> Result<Explanation, Denial> {
    let assignment = assign(state, policies, subject, known);
    let prepared = prepare(state, subject, &assignment, known.now)?;
    let facts = known.facts(&subject.claims);
    let mut judged = Vec::with_capacity(prepared.len());
    for token in &prepared {
        let authorization = token.authorize(&facts, &question.names).map_err(|_| {
            Denial::Conflict("the user's entitlements come to more rules than a session may have".to_owned())
        })?;
        judged.push((token, authorization));
    }
    let views: Vec<SiteView<'_>> =
        judged.iter().map(|(prepared, authorization)| SiteView { prepared, authorization }).collect();
    let scene = Scene { policies, assignment: &assignment, facts: &facts, sites: &views };
    let explained = explain(&scene, &question.flow, &question.names);
    Ok(Explanation { missed: missed(state, &assignment, question), ..explained })
}

/// Entitlements that would allow the flow and are not given, or are switched off.
fn missed(state: &State, assignment: &Assignment, question: &Question) -> Vec<MissedEntitlement> {
    let stopped = assignment.stopped.is_some();
    let has = |entitlement: &Entitlement| {
        !stopped && !entitlement.disabled && assignment.entitlements.keys().any(|(id, _)| *id == entitlement.base.id)
    };
    let allows = |entitlement: &&Entitlement| {
        let verdict = decisive(&entitlement.actions, &question.flow, &question.names);
        verdict.is_some_and(|(verdict, _)| verdict != Verdict::Block)
    };
    let others = state.entitlements().filter(|entitlement| !has(entitlement)).filter(allows).take(MAX_MISSED);
    others
        .map(|entitlement| MissedEntitlement {
            id: entitlement.base.id,
            name: entitlement.base.name.clone(),
            disabled: entitlement.disabled,
            given_by: givers(state, entitlement),
        })
        .collect()
}

/// Enabled policies that give an entitlement, by id or tag.
fn givers(state: &State, entitlement: &Entitlement) -> Vec<String> {
    let gives = |policy: &&Policy| !policy.disabled && policy.gives(entitlement);
    state.policies().filter(gives).map(|policy| policy.base.name.clone()).collect()
}
