//! Why a user reaches a host, or does not: the tree of decisions, for operators.
//!
//! The same values that decide are shown: [`Assignment`] at the Controller and
//! [`Authorization`] for each Site. To users only the kind of a refusal is told.

use serde::{Deserialize, Serialize};

use crate::assign::Assignment;
use crate::authorize::{Authorization, Prepared};
use crate::id::{ConditionId, EntitlementId, PolicyId, SiteId};
use crate::interaction::InteractionKind;
use crate::policy::PolicyKind;
use crate::rules::Verdict;
use crate::rules::compile::{ResolvedNames, compile};
use crate::rules::matching::Flow;

/// The answer to "would this user reach this host, and why".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The flow passes.
    pub allowed: bool,
    /// One sentence: what decided.
    pub because: String,
    /// Policies, in the order in which they were looked at.
    pub policies: Vec<ExplainedPolicy>,
    /// Entitlements that name the host and port, whether they are in force or not.
    pub entitlements: Vec<ExplainedEntitlement>,
}

/// A policy in an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPolicy {
    /// Which.
    pub id: PolicyId,
    /// For people.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: PolicyKind,
    /// Its criteria hold.
    pub matched: bool,
    /// Why they could not be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An entitlement in an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedEntitlement {
    /// Which.
    pub id: EntitlementId,
    /// For people.
    pub name: String,
    /// Where.
    pub site: SiteId,
    /// For people.
    pub site_name: String,
    /// Its conditions hold.
    pub open: bool,
    /// What its actions alone say about the flow.
    pub verdict: Verdict,
    /// Its conditions.
    pub conditions: Vec<ExplainedCondition>,
}

/// A condition in an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCondition {
    /// Which.
    pub id: ConditionId,
    /// For people.
    pub name: String,
    /// CEL.
    pub expression: String,
    /// It holds.
    pub holds: bool,
    /// Why it could not be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the user can do.
    pub interactions: Vec<InteractionKind>,
}

/// One Site's part of a question: its token and how it stands.
#[derive(Debug)]
pub struct SiteView<'a> {
    /// The Site's token.
    pub prepared: &'a Prepared,
    /// What it comes to.
    pub authorization: &'a Authorization,
}

/// Explains a flow from what was assigned and, per Site, authorized. Uses nothing but what decides.
#[must_use]
pub fn explain(assignment: &Assignment, sites: &[SiteView<'_>], flow: &Flow, names: &ResolvedNames) -> Explanation {
    let entitlements: Vec<_> = sites.iter().flat_map(|site| explain_site(site, flow, names)).collect();
    let verdict = sites.iter().find_map(|site| site.authorization.rules.verdict(flow));
    let allowed = sites.iter().any(|site| site.authorization.rules.passes(flow));
    Explanation {
        allowed,
        because: because(assignment, &entitlements, allowed, verdict),
        policies: assignment
            .findings
            .iter()
            .map(|finding| ExplainedPolicy {
                id: finding.id,
                name: finding.name.clone(),
                kind: finding.kind,
                matched: finding.matched,
                error: finding.error.clone(),
            })
            .collect(),
        entitlements,
    }
}

fn explain_site(site: &SiteView<'_>, flow: &Flow, names: &ResolvedNames) -> Vec<ExplainedEntitlement> {
    let token = site.prepared.token();
    let explained = token.entitlements.iter().zip(&site.authorization.states).filter_map(|(granted, state)| {
        let parsed: Vec<_> = granted.actions.iter().filter_map(|action| action.parse().ok()).collect();
        let verdict = compile(&parsed, names).ok()?.verdict(flow)?;
        let conditions = granted.conditions.iter().filter_map(|id| {
            let condition = token.conditions.get(id)?;
            let outcome = site.authorization.conditions.get(id)?;
            Some(ExplainedCondition {
                id: *id,
                name: condition.name.clone(),
                expression: condition.expression.clone(),
                holds: outcome.holds,
                error: outcome.error.clone(),
                interactions: condition.interactions.iter().map(|interaction| interaction.kind).collect(),
            })
        });
        Some(ExplainedEntitlement {
            id: granted.id,
            name: granted.name.clone(),
            site: SiteId::new(token.head.aud),
            site_name: token.site_name.clone(),
            open: state.open,
            verdict,
            conditions: conditions.collect(),
        })
    });
    explained.collect()
}

fn because(
    assignment: &Assignment,
    entitlements: &[ExplainedEntitlement],
    allowed: bool,
    verdict: Option<Verdict>,
) -> String {
    if let Some((id, _)) = &assignment.stopped {
        let name = assignment.findings.iter().find(|finding| finding.id == *id).map_or("", |finding| &finding.name);
        return format!("the Stop policy {name:?} matches, so nothing is granted");
    }
    if allowed {
        let open = entitlements.iter().find(|it| it.open && it.verdict != Verdict::Block);
        return format!("the entitlement {:?} is open and allows it", open.map_or("", |it| &it.name));
    }
    if verdict == Some(Verdict::Block) {
        let block = entitlements.iter().find(|it| it.open && it.verdict == Verdict::Block);
        return format!("the entitlement {:?} blocks it", block.map_or("", |it| &it.name));
    }
    if let Some(closed) = entitlements.iter().find(|it| !it.open) {
        let failing = closed.conditions.iter().filter(|it| !it.holds).map(|it| format!("{:?}", it.name));
        let failing: Vec<_> = failing.collect();
        return format!(
            "the entitlement {:?} would allow it, but its condition {} does not hold",
            closed.name,
            failing.join(", ")
        );
    }
    if assignment.matched().next().is_none() {
        return "no policy's criteria match this user".to_owned();
    }
    "no entitlement that the user has names this host and port".to_owned()
}
