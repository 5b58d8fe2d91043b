//! The linter: what the API accepts and that cannot work, or hardly as it was meant. Pure; each rule is a function of a
//! state, in a file of its own with its tests. `docs/linter.md` says what each rule means and what to do.
//!
//! A rule speaks only where it is sure: what it cannot decide it passes over.

mod answers;
mod constant;
mod empty;
mod overlaps;
mod ports;
mod reach;
mod shadow;
mod unused;

use ringwall_protocol::expression::{Expression, Scripts};
use ringwall_protocol::object::role::PrivilegeType;
use ringwall_protocol::object::{Object, ObjectKind};
use ringwall_protocol::wire::what_if::{Draft, LintAnswer, LintFinding, MAX_FINDINGS, Severity};
use ringwall_raft::State;

use super::what_if::Drafted;
use crate::administration::access::authority::{Administrator, target_of};
use crate::administration::denial::Denial;
use crate::administration::objects::validate::scripts;

/// The objects that rules look at, and what they have in common.
struct View<'a> {
    state: &'a State,
    scripts: Scripts,
}

/// What rules found.
#[derive(Default)]
struct Found(Vec<LintFinding>);

impl Found {
    fn add(
        &mut self,
        severity: Severity,
        rule: &'static str,
        object: &(impl Clone + Into<Object>),
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let object: Object = object.clone().into();
        self.0.push(LintFinding {
            severity,
            rule: rule.to_owned(),
            kind: object.kind(),
            name: object.name().to_owned(),
            id: object.id(),
            field: field.into(),
            message: message.into(),
        });
    }
}

impl View<'_> {
    /// An expression as the product compiles it.
    fn compile(&self, source: &str) -> Option<Expression> {
        Expression::compile_with(source, &self.scripts).ok()
    }
}

/// Everything that the rules find in a state, worst first.
#[must_use]
pub(crate) fn findings(state: &State) -> Vec<LintFinding> {
    let view = View { state, scripts: scripts(state) };
    let mut found = Found::default();
    for rule in [
        answers::untested_interactions,
        answers::unanswerable_questions,
        answers::unusable_providers,
        constant::constant_criteria,
        constant::constant_conditions,
        constant::unknown_claims,
        empty::sites_without_gateways,
        empty::policies_that_give_nothing,
        overlaps::equal_subnets,
        overlaps::equal_domains,
        overlaps::pools_in_sites,
        ports::open_ports,
        reach::down_behind_snat,
        reach::unrouted_hosts,
        reach::names_without_resolver,
        shadow::shadowed_entitlements,
        unused::unused_conditions,
        unused::unused_entitlements,
        unused::unused_scripts,
        unused::unused_roles,
        unused::dangling_links,
    ] {
        rule(&view, &mut found);
    }
    found.0.sort();
    found.0
}

/// What is wrong with the state, or with what it would be after a draft, as far as the caller may see the objects.
///
/// # Errors
/// `Forbidden` for whoever may see nothing; as the draft's changes.
pub(crate) fn lint(who: &Administrator, draft: &Draft) -> Result<LintAnswer, Denial> {
    let sees_some = |kind: &ObjectKind| who.authority.permits_some(PrivilegeType::View, target_of(*kind));
    if !ObjectKind::ALL.iter().any(sees_some) {
        who.authority.require_some(PrivilegeType::View, target_of(ObjectKind::Policy))?;
    }
    let found = if draft.objects.is_empty() && draft.deletions.is_empty() {
        visible(who, &who.state)
    } else {
        visible(who, &Drafted::new(who, draft, who.now)?.state)
    };
    let total = found.len();
    Ok(LintAnswer { findings: found.into_iter().take(MAX_FINDINGS).collect(), total })
}

fn visible(who: &Administrator, state: &State) -> Vec<LintFinding> {
    let sees = |finding: &LintFinding| {
        let stored = state.object(finding.kind, finding.id);
        stored.is_some_and(|stored| {
            let scoped = Some((finding.id, stored.object.tags()));
            who.authority.permits(PrivilegeType::View, target_of(finding.kind), scoped)
        })
    };
    findings(state).into_iter().filter(sees).collect()
}

#[cfg(test)]
mod tests;
