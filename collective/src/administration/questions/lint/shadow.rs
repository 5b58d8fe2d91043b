//! Entitlements that another one makes useless for everybody who has them: it allows all of it already, or blocks it.
//!
//! Asked of what the compiler of rule sets makes of them: an entitlement of which every part is said already adds nothing.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::entitlement::{Entitlement, Host, Logic, ParsedAction};
use ringwall_protocol::id::{EntitlementId, PolicyId, SiteId};
use ringwall_protocol::rules::compile::{ResolvedNames, compile};
use ringwall_protocol::rules::matching::Flow;
use ringwall_protocol::rules::{Direction, Element, RuleSet, Verdict};
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
    for (site, candidates) in &by_site {
        let all = pieces_at(view, *site);
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
                if let Some((severity, message)) = shadow(one, other, &all) {
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

/// A part of a rule set: what becomes of the flows in a box.
type Piece = (Direction, Verdict, Element);

/// Why `one` does nothing for whoever also has `other`.
fn shadow(one: &Candidate<'_>, other: &Candidate<'_>, all: &[Piece]) -> Option<(Severity, String)> {
    let name = &other.entitlement.base.name;
    let (ours, theirs) = (pieces(&one.rules), pieces(&other.rules));
    // Where anything says otherwise, a narrower rule may be there to win against it.
    let undisputed = |piece: &Piece| {
        !all.iter().any(|known| known.1 != piece.1 && known.0 == piece.0 && touches(&known.2, &piece.2))
    };
    if ours.iter().all(|piece| says_already(&theirs, piece) && undisputed(piece)) {
        // Two that say the same shadow each other: the later one is told.
        let mutual = theirs.iter().all(|piece| says_already(&ours, piece));
        let later = !mutual || one.entitlement.base.id > other.entitlement.base.id;
        let message =
            format!("it adds nothing to {name:?}, which everybody who has this one has too, without conditions");
        return later.then_some((Severity::Warning, message));
    }
    let both = compile(one.actions.iter().chain(&other.actions), &ResolvedNames::default()).ok()?;
    blocked_whole(&ours, &theirs, &both).then(|| {
        let message = format!("{name:?} blocks all of it for everybody who has this one");
        (Severity::Error, message)
    })
}

/// The rules of every enabled entitlement at a Site, whoever has it.
fn pieces_at(view: &View<'_>, site: SiteId) -> Vec<Piece> {
    let enabled = view.state.entitlements().filter(|one| !one.disabled && one.site == site);
    let rules = enabled.filter_map(|one| {
        let actions: Vec<ParsedAction> = one.actions.iter().filter_map(|action| action.parse().ok()).collect();
        compile(&actions, &ResolvedNames::default()).ok()
    });
    rules.flat_map(|rules| pieces(&rules)).collect()
}

fn pieces(rules: &RuleSet) -> Vec<Piece> {
    let sides = [(Direction::Up, false), (Direction::Up, true), (Direction::Down, false), (Direction::Down, true)];
    let of_side = |(direction, v6): (Direction, bool)| {
        let runs = rules.chain(direction, v6).iter();
        runs.flat_map(move |run| run.elements.iter().map(move |element| (direction, run.verdict, *element)))
    };
    sides.into_iter().flat_map(of_side).collect()
}

/// Whether `others` say the same of every flow in the piece: one of them covers it, and none says otherwise of any part.
fn says_already(others: &[Piece], (direction, verdict, element): &Piece) -> bool {
    let beside = || others.iter().filter(|(side, _, _)| side == direction);
    beside().any(|(_, says, known)| says == verdict && covers(known, element))
        && beside().all(|(_, says, known)| says == verdict || !touches(known, element))
}

/// Whether everything that `ours` let pass lies within what `theirs` block, and the block wins.
fn blocked_whole(ours: &[Piece], theirs: &[Piece], both: &RuleSet) -> bool {
    let mut passing = ours.iter().filter(|(_, verdict, _)| *verdict != Verdict::Block).peekable();
    passing.peek().is_some()
        && passing.all(|(direction, _, element)| {
            let blocks = |(side, verdict, block): &Piece| {
                side == direction && *verdict == Verdict::Block && covers(block, element)
            };
            let (remote, port) = (element.first, element.first_port);
            let corner = Flow { direction: *direction, protocol: element.protocol, remote, port };
            theirs.iter().any(blocks) && both.verdict(&corner) == Some(Verdict::Block)
        })
}

fn covers(outer: &Element, inner: &Element) -> bool {
    outer.protocol == inner.protocol
        && outer.first <= inner.first
        && outer.last >= inner.last
        && outer.first_port <= inner.first_port
        && outer.last_port >= inner.last_port
}

fn touches(one: &Element, other: &Element) -> bool {
    one.protocol == other.protocol
        && one.first <= other.last
        && one.last >= other.first
        && one.first_port <= other.last_port
        && one.last_port >= other.first_port
}
