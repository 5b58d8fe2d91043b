//! Assignment: which policies concern a user, and what they give (S38–S42).
//!
//! Stop policies first: the first that matches ends the evaluation and gives nothing. Otherwise the union of all that
//! match. An expression that cannot be evaluated does not match, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::claims::Facts;
use crate::entitlement::Entitlement;
use crate::expression::{Asked, ClaimArena, Evaluator, Expression, ExpressionError, Readings, Scripts, readings};
use crate::id::{EntitlementId, PolicyId, RoleId, SiteId};
use crate::policy::{CriteriaScript, DnsSetting, Policy, PolicyKind};

/// Policies with their criteria compiled once; made again when a policy or script changes.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    scripts: Scripts,
    policies: Vec<CompiledPolicy>,
}

#[derive(Debug, Clone)]
struct CompiledPolicy {
    policy: Arc<Policy>,
    criteria: Result<Expression, ExpressionError>,
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFinding {
    /// Id of the policy.
    pub id: PolicyId,
    /// For people.
    pub name: String,
    /// Its kind.
    pub kind: PolicyKind,
    /// Its criteria hold.
    pub matched: bool,
    /// Why they could not be evaluated.
    pub error: Option<String>,
}

/// What a user is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assignment {
    /// The Stop policy that ended the evaluation, with its message.
    pub stopped: Option<(PolicyId, Option<String>)>,
    /// Policies that were looked at, in order.
    pub findings: Vec<PolicyFinding>,
    /// Entitlements, each with the Sites that policies put it at (`None`: its own) and the policies that give it.
    pub entitlements: BTreeMap<(EntitlementId, Option<SiteId>), BTreeSet<PolicyId>>,
    /// Administrative roles.
    pub roles: BTreeSet<RoleId>,
    /// DNS settings, without duplicates.
    pub dns: Vec<DnsSetting>,
}

impl Assignment {
    /// Policies that matched.
    pub fn matched(&self) -> impl Iterator<Item = &PolicyFinding> {
        self.findings.iter().filter(|finding| finding.matched)
    }
}

impl PolicySet {
    /// Compiles policies and scripts. What does not compile is kept as not matching; disabled policies are left out.
    /// Stop policies are put first, then by name, so that the order of evaluation is the same everywhere.
    #[must_use]
    pub fn new<'a>(
        policies: impl IntoIterator<Item = &'a Policy>,
        scripts: impl IntoIterator<Item = &'a CriteriaScript>,
    ) -> Self {
        let mut set = Self::default();
        for script in scripts {
            // A script that does not compile is unknown to the policies that call it: they do not match.
            drop(set.scripts.add(&script.base.name, &script.expression));
        }
        let enabled = policies.into_iter().filter(|policy| !policy.disabled);
        set.policies = enabled
            .map(|policy| CompiledPolicy {
                policy: Arc::new(policy.clone()),
                criteria: Expression::compile_with(&policy.expression, &set.scripts),
            })
            .collect();
        set.policies.sort_by(|one, two| {
            let key = |it: &CompiledPolicy| {
                (it.policy.kind != PolicyKind::Stop, it.policy.base.name.clone(), it.policy.base.id)
            };
            key(one).cmp(&key(two))
        });
        set
    }

    /// Evaluates the criteria for one user and collects what matching policies give. `entitlements` are all that
    /// exist: policies name them by id and by tag.
    #[must_use]
    pub fn assign<'a>(
        &self,
        facts: &Facts<'_>,
        entitlements: impl Iterator<Item = &'a Entitlement> + Clone,
    ) -> Assignment {
        let arena = ClaimArena::new(facts);
        let evaluator = Evaluator::new(&arena, facts, &self.scripts);
        let mut given = Assignment::default();
        for CompiledPolicy { policy, criteria } in &self.policies {
            let finding = finding(policy, criteria, &evaluator);
            let matched = finding.matched;
            given.findings.push(finding);
            if matched && policy.kind == PolicyKind::Stop {
                given.stopped = Some((policy.base.id, policy.stop_message.clone()));
                return given;
            }
            if matched {
                given.collect(policy, facts, entitlements.clone());
            }
        }
        given
    }

    /// The claims that the criteria of each policy read, with their values: for explanations, not for decisions.
    #[must_use]
    pub(crate) fn readings(&self, facts: &Facts<'_>) -> BTreeMap<PolicyId, Readings> {
        let arena = ClaimArena::new(facts);
        let evaluator = Evaluator::new(&arena, facts, &self.scripts);
        let read = |compiled: &CompiledPolicy| {
            let criteria = compiled.criteria.as_ref().ok()?;
            drop(evaluator.evaluate(criteria, Asked::default()));
            Some((compiled.policy.base.id, readings(&evaluator.last_reads(), facts)))
        };
        self.policies.iter().filter_map(read).collect()
    }

    /// The policy with this id, if it is enabled.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.policies.iter().map(|compiled| &*compiled.policy).find(|policy| policy.base.id == id)
    }
}

fn finding(
    policy: &Policy,
    criteria: &Result<Expression, ExpressionError>,
    evaluator: &Evaluator<'_>,
) -> PolicyFinding {
    let (matched, error) = match criteria {
        Ok(expression) => {
            let outcome = evaluator.evaluate(expression, Asked::default());
            (outcome.holds, outcome.error)
        }
        Err(error) => (false, Some(error.to_string())),
    };
    PolicyFinding { id: policy.base.id, name: policy.base.name.clone(), kind: policy.kind, matched, error }
}

impl Assignment {
    fn collect<'a>(&mut self, policy: &Policy, facts: &Facts<'_>, all: impl Iterator<Item = &'a Entitlement>) {
        let site = policy.override_site.or_else(|| override_from_claim(policy, facts));
        let linked = |it: &&Entitlement| policy.entitlement_links.iter().any(|tag| it.base.tags.contains(tag));
        let by_tag = if policy.entitlement_links.is_empty() {
            Vec::new()
        } else {
            all.filter(linked).map(|it| it.base.id).collect()
        };
        for id in policy.entitlements.iter().copied().chain(by_tag) {
            self.entitlements.entry((id, site)).or_default().insert(policy.base.id);
        }
        self.roles.extend(&policy.administrative_roles);
        for setting in &policy.dns_settings {
            if !self.dns.contains(setting) {
                self.dns.push(setting.clone());
            }
        }
    }
}

/// `claims.user.office` or `user.office`: a claim that holds the id of a Site.
fn override_from_claim(policy: &Policy, facts: &Facts<'_>) -> Option<SiteId> {
    let path = policy.override_site_claim.as_deref()?;
    let name = path.strip_prefix("claims.").unwrap_or(path).strip_prefix("user.")?;
    facts.user.claim(name)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::ClaimMap;
    use crate::object::EntityBase;
    use crate::time::UnixMillis;

    fn policy(n: u8, kind: PolicyKind, expression: &str, entitlements: &[u8]) -> Policy {
        Policy {
            base: EntityBase::new(PolicyId::from_random([n; 16]), format!("policy {n}")),
            disabled: false,
            expression: expression.to_owned(),
            kind,
            entitlements: entitlements.iter().map(|n| EntitlementId::from_random([*n; 16])).collect(),
            entitlement_links: vec![],
            override_site: None,
            override_site_claim: None,
            dns_settings: vec![],
            administrative_roles: vec![],
            stop_message: Some("not now".to_owned()),
        }
    }

    fn assign(policies: &[Policy], entitlements: &[Entitlement]) -> Assignment {
        let user: ClaimMap = serde_json::from_value(json!({"username": "ada", "groups": ["dev"]})).expect("a map");
        let (none, ups, reasons) = (ClaimMap::default(), BTreeMap::new(), BTreeMap::new());
        let facts =
            Facts { user: &user, device: None, system: &none, step_ups: &ups, reasons: &reasons, now: UnixMillis(0) };
        PolicySet::new(policies, []).assign(&facts, entitlements.iter())
    }

    fn granted(assignment: &Assignment) -> Vec<u8> {
        assignment.entitlements.keys().map(|(id, _)| id.uuid().as_bytes()[0]).collect()
    }

    #[test]
    fn all_that_match_give_and_nothing_else_does() {
        let dev = policy(1, PolicyKind::Access, r#""dev" in user.groups"#, &[1, 2]);
        let everyone = policy(2, PolicyKind::Mixed, "true", &[2, 3]);
        let other = policy(3, PolicyKind::Access, r#"user.department == "x""#, &[4]);
        let given = assign(&[dev, everyone, other], &[]);
        let firsts: Vec<_> = given.entitlements.keys().map(|(id, _)| *id).collect();
        assert_eq!(firsts, [1, 2, 3].map(|n| EntitlementId::from_random([n; 16])));
        assert!(given.findings[2].error.is_some(), "an absent claim is told");
        assert_eq!(granted(&given).len(), 3);
    }

    #[test]
    fn the_first_stop_policy_ends_it_all() {
        let stop = policy(9, PolicyKind::Stop, r#"user.username == "ada""#, &[]);
        let given = assign(&[policy(1, PolicyKind::Access, "true", &[1]), stop], &[]);
        assert_eq!(given.stopped, Some((PolicyId::from_random([9; 16]), Some("not now".to_owned()))));
        assert!(given.entitlements.is_empty());
        assert_eq!(given.findings.len(), 1, "nothing after it is looked at");
    }

    #[test]
    fn a_broken_expression_matches_nobody() {
        let given = assign(&[policy(1, PolicyKind::Access, "this is not CEL", &[1])], &[]);
        assert!(given.entitlements.is_empty());
        assert!(given.findings[0].error.as_deref().is_some_and(|error| error.contains("CEL")));
    }

    #[test]
    fn tags_give_what_carries_them() {
        let site = SiteId::from_random([1; 16]);
        let mut tagged = Entitlement {
            base: EntityBase::new(EntitlementId::from_random([7; 16]), "tagged"),
            disabled: false,
            site,
            condition_logic: crate::entitlement::Logic::And,
            conditions: vec![],
            actions: vec![],
            app_shortcuts: vec![],
        };
        tagged.base.tags.insert("web".to_owned());
        let mut by_tag = policy(1, PolicyKind::Access, "true", &[]);
        by_tag.entitlement_links = vec!["web".to_owned()];
        assert_eq!(granted(&assign(&[by_tag], &[tagged])).len(), 1);
    }
}
