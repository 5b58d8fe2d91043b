//! Why a user reaches a host, or does not: the tree of decisions, for operators.
//!
//! The same values that decide are shown: [`Assignment`] at the Controller and
//! [`Authorization`] for each Site, each expression with the claims that it read. To users only the kind of a refusal is
//! told: which entitlements are open, and what he can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assign::{Assignment, PolicySet};
use crate::authorize::{Authorization, Prepared};
use crate::claims::Facts;
use crate::entitlement::Action;
use crate::expression::Readings;
use crate::id::{ConditionId, EntitlementId, PolicyId, SiteId};
use crate::interaction::InteractionKind;
use crate::policy::{Policy, PolicyKind};
use crate::rules::Verdict;
use crate::rules::compile::{ResolvedNames, compile};
use crate::rules::matching::Flow;

/// The answer to "would this user reach this host, and why".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The flow passes.
    pub allowed: bool,
    /// One sentence: what decided.
    pub because: String,
    /// What keeps the user out before any policy is asked: the blocklist, a lock-out, no registered device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<Obstacle>,
    /// Policies, in the order in which they were looked at.
    pub policies: Vec<ExplainedPolicy>,
    /// Entitlements that name the host and port, whether they are in force or not.
    pub entitlements: Vec<ExplainedEntitlement>,
    /// Entitlements that would allow it and that the user does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<MissedEntitlement>,
}

/// An entitlement that would allow a flow and that the user does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedEntitlement {
    /// Id of the entitlement.
    pub id: EntitlementId,
    /// For people.
    pub name: String,
    /// It is switched off for everybody.
    pub disabled: bool,
    /// Enabled policies that give it to whom they concern.
    pub given_by: Vec<String>,
}

/// Something that stands before policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// What.
    pub kind: ObstacleKind,
    /// For people.
    pub message: String,
}

/// Kinds of obstacles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ObstacleKind {
    /// The user may not sign in.
    Blocked,
    /// Too many wrong answers.
    LockedOut,
    /// No device of the user is registered.
    NoDevice,
    /// No session of the user is open: what a device and the system say is not known.
    NoSession,
    /// The Site has no Gateway that takes sessions.
    NoGateway,
    /// A name server answered with an address that no name may stand for: the answer was ignored.
    NameRefused,
    /// A Controller did not tell what its Gateways report: a session may be missed.
    Silence,
}

impl ObstacleKind {
    /// Whether nothing passes while it stands; otherwise less is known only.
    #[must_use]
    pub(crate) const fn closes(self) -> bool {
        matches!(self, Self::Blocked | Self::NoGateway)
    }
}

/// A policy in an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPolicy {
    /// Id of the policy.
    pub id: PolicyId,
    /// For people.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: PolicyKind,
    /// Its criteria (CEL).
    pub expression: String,
    /// Its criteria hold.
    pub matched: bool,
    /// Why they could not be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Claims that they read, with their values; `null`: absent.
    pub read: Readings,
}

/// An entitlement in an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedEntitlement {
    /// Id of the entitlement.
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
    /// The action that says so.
    pub rule: String,
    /// Policies that give it.
    pub given_by: Vec<String>,
    /// Its conditions.
    pub conditions: Vec<ExplainedCondition>,
}

/// A condition in an explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCondition {
    /// Id of the condition.
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
    /// Claims that it read, with their values; `null`: absent.
    pub read: Readings,
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

/// What a question is asked of.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The policies that were asked.
    pub policies: &'a PolicySet,
    /// What they gave.
    pub assignment: &'a Assignment,
    /// The facts that they and the conditions saw.
    pub facts: &'a Facts<'a>,
    /// Site by Site.
    pub sites: &'a [SiteView<'a>],
}

/// Explains a flow from what was assigned and, per Site, authorized. Uses nothing but what decides.
#[must_use]
pub fn explain(scene: &Scene<'_>, flow: &Flow, names: &ResolvedNames) -> Explanation {
    let Scene { assignment, sites, .. } = scene;
    let entitlements: Vec<_> = sites.iter().flat_map(|site| explain_site(scene, site, flow, names)).collect();
    let verdict = sites.iter().find_map(|site| site.authorization.rules.verdict(flow));
    let allowed = sites.iter().any(|site| site.authorization.rules.passes(flow));
    Explanation {
        allowed,
        because: because(assignment, &entitlements, allowed, verdict),
        obstacles: Vec::new(),
        policies: explain_policies(scene),
        entitlements,
        missed: Vec::new(),
    }
}

impl Explanation {
    /// Adds what stands before policies: a flow that they would let pass does not pass then.
    pub fn hinder(&mut self, obstacles: Vec<Obstacle>) {
        if let Some(first) = obstacles.iter().find(|obstacle| obstacle.kind.closes()) {
            let otherwise = if self.allowed { "policies would allow it" } else { &self.because };
            self.because = format!("{}; otherwise: {otherwise}", first.message);
            self.allowed = false;
        }
        self.obstacles = obstacles;
    }
}

fn explain_policies(scene: &Scene<'_>) -> Vec<ExplainedPolicy> {
    let mut read = scene.policies.readings(scene.facts);
    let explained = scene.assignment.findings.iter().map(|finding| ExplainedPolicy {
        id: finding.id,
        name: finding.name.clone(),
        kind: finding.kind,
        expression: scene.policies.policy(finding.id).map(|policy| policy.expression.clone()).unwrap_or_default(),
        matched: finding.matched,
        error: finding.error.clone(),
        read: read.remove(&finding.id).unwrap_or_default(),
    });
    explained.collect()
}

fn explain_site(
    scene: &Scene<'_>,
    site: &SiteView<'_>,
    flow: &Flow,
    names: &ResolvedNames,
) -> Vec<ExplainedEntitlement> {
    let token = site.prepared.token();
    let mut readings = site.prepared.readings(scene.facts);
    let explained = token.entitlements.iter().zip(&site.authorization.states).filter_map(|(granted, state)| {
        let (verdict, rule) = decisive(&granted.actions, flow, names)?;
        let conditions = granted.conditions.iter().filter_map(|id| {
            let condition = token.conditions.get(id)?;
            let outcome = site.authorization.conditions.get(id)?;
            Some(ExplainedCondition {
                id: *id,
                name: condition.name.clone(),
                expression: condition.expression.clone(),
                holds: outcome.holds,
                error: outcome.error.clone(),
                read: readings.get_mut(id).map(std::mem::take).unwrap_or_default(),
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
            rule,
            given_by: givers(scene, granted.id),
            conditions: conditions.collect(),
        })
    });
    explained.collect()
}

/// What actions alone say of a flow, and the one of them that decides: the most specific (S45).
#[must_use]
pub fn decisive(actions: &[Action], flow: &Flow, names: &ResolvedNames) -> Option<(Verdict, String)> {
    let parsed: Vec<_> = actions.iter().filter_map(|action| Some((action, action.parse().ok()?))).collect();
    let verdict = compile(parsed.iter().map(|(_, parsed)| parsed), names).ok()?.verdict(flow)?;
    let alone = |(action, parsed): &(&Action, _)| {
        let rules = compile([parsed], names).ok()?;
        let size = rules.narrowest(flow).filter(|_| rules.verdict(flow) == Some(verdict))?;
        Some((size, action.to_string()))
    };
    let rule = parsed.iter().filter_map(alone).min().map(|(_, text)| text).unwrap_or_default();
    Some((verdict, rule))
}

/// Names of the policies that give an entitlement.
fn givers(scene: &Scene<'_>, entitlement: EntitlementId) -> Vec<String> {
    let given = scene.assignment.entitlements.iter().filter(|((id, _), _)| *id == entitlement);
    let policies = given.flat_map(|(_, policies)| policies).filter_map(|id| scene.policies.policy(*id));
    policies.map(|policy: &Policy| policy.base.name.clone()).collect()
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
