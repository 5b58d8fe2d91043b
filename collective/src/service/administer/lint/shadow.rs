//! Entitlements that another one makes useless for everybody who has them: it allows all of it already, or blocks it.
//!
//! Asked of the compiler of rule sets itself: an entitlement that changes nothing beside another adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::entitlement::{Entitlement, Host, Logic, ParsedAction};
use ringwall_protocol::id::{EntitlementId, PolicyId, SiteId};
use ringwall_protocol::rules::compile::{ResolvedNames, compile};
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, RuleSet, Verdict};
use ringwall_protocol::wire::what_if::Severity;

use super::{Found, View};

/// Most pairs that are compared: a Site with some hundred entitlements, each beside each other.
const MAX_PAIRS: usize = 50_000;

/// An entitlement that can be compared: only addresses, all of them readable.
struct Candidate<'a> {
    entitlement: &'a Entitlement,
    actions: Vec<ParsedAction>,
    rules: RuleSet,
    givers: BTreeSet<PolicyId>,
}

pub(super) fn shadowed_entitlements(view: &View<'_>, found: &mut Found) {
    let mut by_site: BTreeMap<SiteId, Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in view.state.entitlements().filter_map(|entitlement| candidate(view, entitlement)) {
        by_site.entry(candidate.entitlement.site).or_default().push(candidate);
    }
    let mut pairs = 0;
    let mut told: BTreeSet<EntitlementId> = BTreeSet::new();
    for candidates in by_site.values() {
        for other in candidates.iter().filter(|other| always_open(other.entitlement)) {
            for one in candidates {
                let same = one.entitlement.base.id == other.entitlement.base.id;
                if same || told.contains(&one.entitlement.base.id) || !one.givers.is_subset(&other.givers) {
                    continue;
                }
                pairs += 1;
                if pairs > MAX_PAIRS {
                    return;
                }
                if let Some((severity, message)) = shadow(one, other) {
                    told.insert(one.entitlement.base.id);
                    found.add(severity, "shadowed-entitlement", one.entitlement, "actions", message);
                }
            }
        }
    }
}

fn candidate<'a>(view: &View<'_>, entitlement: &'a Entitlement) -> Option<Candidate<'a>> {
    if entitlement.disabled {
        return None;
    }
    let actions: Vec<ParsedAction> = entitlement.actions.iter().map(|it| it.parse().ok()).collect::<Option<_>>()?;
    let named = actions.iter().flat_map(|action| &action.hosts).any(|host| !matches!(host, Host::Range(..)));
    let rules = compile(&actions, &ResolvedNames::default()).ok()?;
    if named || rules.is_empty() {
        return None;
    }
    // A policy that moves entitlements to another Site gives them elsewhere: not comparable here.
    let policies = view.state.policies().filter(|policy| !policy.disabled && policy.gives(entitlement));
    let mut givers = BTreeSet::new();
    for policy in policies {
        if policy.override_site.is_some() || policy.override_site_claim.is_some() {
            return None;
        }
        givers.insert(policy.base.id);
    }
    (!givers.is_empty()).then_some(Candidate { entitlement, actions, rules, givers })
}

fn always_open(entitlement: &Entitlement) -> bool {
    entitlement.conditions.is_empty() && entitlement.condition_logic == Logic::And
}

/// Why `one` does nothing for whoever also has `other`.
fn shadow(one: &Candidate<'_>, other: &Candidate<'_>) -> Option<(Severity, String)> {
    let name = &other.entitlement.base.name;
    let both = compile(one.actions.iter().chain(&other.actions), &ResolvedNames::default()).ok()?;
    if both == other.rules {
        // Two that are equal shadow each other: the later one is told.
        let later = one.entitlement.base.id > other.entitlement.base.id || one.rules != other.rules;
        let message =
            format!("it adds nothing to {name:?}, which everybody who has this one has too, without conditions");
        return later.then_some((Severity::Warning, message));
    }
    blocked_whole(one, other, &both).then(|| {
        let message = format!("{name:?} blocks all of it for everybody who has this one");
        (Severity::Error, message)
    })
}

/// Whether every element that `one` lets pass lies within an element that `other` blocks, and the block wins.
fn blocked_whole(one: &Candidate<'_>, other: &Candidate<'_>, both: &RuleSet) -> bool {
    let chains = |rules: &RuleSet| -> Vec<(Direction, Verdict, ringwall_protocol::rules::Element)> {
        let sides = [(Direction::Up, false), (Direction::Up, true), (Direction::Down, false), (Direction::Down, true)];
        let of_side = |(direction, v6): (Direction, bool)| {
            let runs = rules.chain(direction, v6).iter();
            runs.flat_map(move |run| run.elements.iter().map(move |element| (direction, run.verdict, *element)))
        };
        sides.into_iter().flat_map(of_side).collect()
    };
    let blocks: Vec<_> =
        chains(&other.rules).into_iter().filter(|(_, verdict, _)| *verdict == Verdict::Block).collect();
    let mut passing = chains(&one.rules).into_iter().filter(|(_, verdict, _)| *verdict != Verdict::Block).peekable();
    passing.peek().is_some()
        && passing.all(|(direction, _, element)| {
            let covered = blocks.iter().any(|(side, _, block)| {
                *side == direction
                    && block.protocol == element.protocol
                    && block.first <= element.first
                    && block.last >= element.last
                    && block.first_port <= element.first_port
                    && block.last_port >= element.last_port
            });
            let corner =
                Flow { direction, protocol: element.protocol, remote: element.first, port: element.first_port };
            covered && both.verdict(&corner) == Some(Verdict::Block)
        })
}
