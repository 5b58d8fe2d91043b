//! What somebody has in one state, and what differs between two. Pure; the functions that decide are asked, nothing is
//! decided here.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_protocol::assign::{Assignment, PolicySet};
use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{EntitlementId, PolicyId, RoleId, SiteId};
use ringwall_protocol::rules::compile::ResolvedNames;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{GrantedCondition, GrantedEntitlement};
use ringwall_protocol::wire::what_if::{Shift, ShiftEffect};
use ringwall_raft::State;

use super::people::Person;
use crate::administration::questions::explain::{Known, Subject, assign, prepare};

/// What somebody has.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Why there is nothing at all: disabled, or the rights cannot be evaluated.
    nothing: Option<String>,
    assignment: Assignment,
    entitlements: BTreeMap<(EntitlementId, SiteId), Right>,
    roles: BTreeMap<RoleId, String>,
}

/// One entitlement at one Site.
#[derive(Debug, PartialEq)]
struct Right {
    granted: GrantedEntitlement,
    site_name: String,
    conditions: Vec<GrantedCondition>,
    failed: Vec<String>,
    open: bool,
}

impl Rights {
    /// The rights of a person with these claims; absent claims: he may not sign in.
    pub(super) fn of(
        state: &State,
        policies: &PolicySet,
        person: &Person,
        claims: Option<&ClaimMap>,
        now: UnixMillis,
    ) -> Self {
        let nothing = |why: String| Self { nothing: Some(why), ..Self::default() };
        let Some(claims) = claims else { return nothing("the user is disabled or gone".to_owned()) };
        if state.blocked(&person.dn.user).is_some() {
            return nothing("the user is on the blocklist".to_owned());
        }
        let subject = Subject {
            dn: person.dn.clone(),
            user: person.user,
            provider: person.provider.clone(),
            claims: claims.clone(),
            session: person.session.clone(),
        };
        let known = Known::of(state, &subject, &ClaimMap::default(), now);
        let assignment = assign(state, policies, &subject, &known);
        let prepared = match prepare(state, &subject, &assignment, now) {
            Ok(prepared) => prepared,
            Err(denial) => return nothing(denial.to_string()),
        };
        let facts = known.facts(&subject.claims);
        let mut entitlements = BTreeMap::new();
        for site in &prepared {
            let Ok(authorization) = site.authorize(&facts, &ResolvedNames::default()) else {
                return nothing("the entitlements come to more rules than a session may have".to_owned());
            };
            let token = site.token();
            for (granted, state) in token.entitlements.iter().zip(&authorization.states) {
                let condition = |id| token.conditions.get(id).cloned();
                let name = |id| condition(id).map(|condition: GrantedCondition| condition.name);
                let right = Right {
                    granted: granted.clone(),
                    site_name: token.site_name.clone(),
                    conditions: granted.conditions.iter().filter_map(condition).collect(),
                    failed: state.failed_conditions.iter().filter_map(name).collect(),
                    open: state.open,
                };
                entitlements.insert((granted.id, SiteId::new(token.head.aud)), right);
            }
        }
        let role = |id: &RoleId| Some((*id, state.administrative_role(*id)?.base.name.clone()));
        let roles = assignment.roles.iter().filter_map(role).collect();
        Self { nothing: None, assignment, entitlements, roles }
    }

    /// Policies that give an entitlement.
    fn givers(&self, entitlement: EntitlementId) -> BTreeSet<PolicyId> {
        let given = self.assignment.entitlements.iter().filter(|((id, _), _)| *id == entitlement);
        given.flat_map(|(_, policies)| policies.iter().copied()).collect()
    }

    fn policy_name(&self, id: PolicyId) -> Option<&str> {
        let finding = self.assignment.findings.iter().find(|finding| finding.id == id)?;
        Some(&finding.name)
    }

    fn stopped_by(&self) -> Option<&str> {
        self.policy_name(self.assignment.stopped.as_ref()?.0)
    }
}

/// What differs, entitlements first. `after` is the state that `will` was computed in.
pub(super) fn shifts(was: &Rights, will: &Rights, after: &State) -> Vec<Shift> {
    let keys: BTreeSet<_> = was.entitlements.keys().chain(will.entitlements.keys()).collect();
    let mut shifts = Vec::new();
    for key in keys {
        let (effect, right, because) = match (was.entitlements.get(key), will.entitlements.get(key)) {
            (None, Some(right)) => (ShiftEffect::Gained, right, why_gained(was, will, key.0)),
            (Some(right), None) => (ShiftEffect::Lost, right, why_lost(was, will, key.0, after)),
            (Some(former), Some(right)) if former == right => continue,
            (Some(former), Some(right)) => match changed(former, right) {
                Some((effect, because)) => (effect, right, because),
                None => continue,
            },
            (None, None) => continue,
        };
        shifts.push(Shift {
            effect,
            name: right.granted.name.clone(),
            entitlement: Some(key.0),
            site: Some(key.1),
            site_name: right.site_name.clone(),
            open: right.open,
            because,
        });
    }
    let role = |effect, name: &String| Shift {
        effect,
        name: name.clone(),
        entitlement: None,
        site: None,
        site_name: String::new(),
        open: true,
        because: "an administrative role by policy".to_owned(),
    };
    let gained = will.roles.iter().filter(|(id, _)| !was.roles.contains_key(*id));
    shifts.extend(gained.map(|(_, name)| role(ShiftEffect::Gained, name)));
    let lost = was.roles.iter().filter(|(id, _)| !will.roles.contains_key(*id));
    shifts.extend(lost.map(|(_, name)| role(ShiftEffect::Lost, name)));
    shifts
}

fn changed(former: &Right, right: &Right) -> Option<(ShiftEffect, String)> {
    if former.open != right.open {
        return Some(if right.open {
            (ShiftEffect::Opened, why_open(former, right).to_owned())
        } else {
            (ShiftEffect::Closed, format!("the condition {} does not hold", quoted(&right.failed)))
        });
    }
    let mut parts = Vec::new();
    if former.granted.actions != right.granted.actions {
        parts.push("actions");
    }
    if former.conditions != right.conditions || former.granted.condition_logic != right.granted.condition_logic {
        parts.push("conditions");
    }
    (!parts.is_empty()).then(|| (ShiftEffect::Altered, format!("its {} change", parts.join(" and "))))
}

/// Why what was shut is open: because of the user, or because less is asked.
fn why_open(former: &Right, right: &Right) -> &'static str {
    if right.conditions.is_empty() && !former.conditions.is_empty() {
        "it has no condition any more"
    } else if former.conditions != right.conditions || former.granted.condition_logic != right.granted.condition_logic {
        "its conditions change, and hold now"
    } else {
        "its conditions hold"
    }
}

fn why_gained(was: &Rights, will: &Rights, entitlement: EntitlementId) -> String {
    if let Some(stop) = was.stopped_by() {
        return format!("the Stop policy {stop:?} no longer matches");
    }
    let names: Vec<_> = will.givers(entitlement).into_iter().filter_map(|id| will.policy_name(id)).collect();
    format!("given by the policy {}", quoted(&names))
}

fn why_lost(was: &Rights, will: &Rights, entitlement: EntitlementId, after: &State) -> String {
    if let Some(why) = &will.nothing {
        return why.clone();
    }
    if let Some(stop) = will.stopped_by() {
        return format!("the Stop policy {stop:?} matches");
    }
    match after.entitlement(entitlement) {
        None => return "the entitlement is deleted".to_owned(),
        Some(entitlement) if entitlement.disabled => return "the entitlement is disabled".to_owned(),
        Some(_) => {}
    }
    let givers = was.givers(entitlement);
    let mut reasons = Vec::new();
    for id in givers {
        let name = was.policy_name(id).unwrap_or_default();
        reasons.push(match will.assignment.findings.iter().find(|finding| finding.id == id) {
            None => format!("the policy {name:?} is gone or disabled"),
            Some(finding) if !finding.matched => format!("the policy {name:?} no longer matches"),
            Some(_) => format!("the policy {name:?} no longer gives it here"),
        });
    }
    reasons.join(", ")
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{:?}", name.as_ref())).collect();
    names.join(", ")
}
