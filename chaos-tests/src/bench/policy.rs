//! What decisions cost: criteria of 1,500 policies for one sign-in, and one condition at a Gateway. Computed here, in the
//! build that serves, without any network.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ringwall_protocol::{
    assign::PolicySet,
    claims::{ClaimMap, Facts, UntrustedClaims},
    entitlement::Entitlement,
    expression::{Asked, ClaimArena, Evaluator, Expression, Scripts},
    id::{EntitlementId, PolicyId},
    policy::Policy,
    time::UnixMillis,
};
use serde_json::{Value, json};

use crate::{bench::figure::Figures, report::Step};

/// Policies of the figure.
const POLICIES: u32 = 1_500;
/// Sign-ins of one sample.
const SIGN_INS: u32 = 20;
/// Evaluations of one sample.
const EVALUATIONS: u32 = 5_000;
/// Groups of the user: what directories of such installations have.
const GROUPS: u32 = 60;

/// Conditions as administrators write them.
const CONDITIONS: [&str; 5] = [
    r#"device.os.type == "linux" && device.firewall"#,
    r#"isClientInNetwork("192.0.2.0/24") || user.clearance >= 3"#,
    r#""group 7" in user.groups"#,
    r#"inTimeRange("08:00", "18:00") && weekday() >= 1 && weekday() <= 5"#,
    r#"hasMfa("vault", 60)"#,
];

pub(super) fn measure(runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let user = user()?;
    let device: UntrustedClaims =
        serde_json::from_value(json!({"os": {"type": "linux", "version": "6.12"}, "firewall": true, "hostname": "n"}))?;
    let system: ClaimMap = serde_json::from_value(json!({"clientSrcIP": "192.0.2.17", "deviceId": "4c07"}))?;
    let (step_ups, reasons) = (BTreeMap::new(), BTreeMap::new());
    let now = UnixMillis(1_795_348_800_000);
    let facts =
        Facts { user: &user, device: Some(&device), system: &system, step_ups: &step_ups, reasons: &reasons, now };
    assignments(&facts, runs, step, figures)?;
    conditions(&facts, runs, step, figures)
}

fn assignments(facts: &Facts<'_>, runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let policies = (0..POLICIES).map(policy).collect::<Result<Vec<_>>>()?;
    let entitlements = (0..POLICIES).map(entitlement).collect::<Result<Vec<_>>>()?;
    let set = PolicySet::new(&policies, []);
    let found = set.assign(facts, entitlements.iter());
    ensure!(found.findings.len() == POLICIES as usize, "every policy is looked at");
    let direct = policies.iter().filter(|policy| is_direct(policy)).count();
    ensure!(direct == policies.len(), "the usual criteria need no interpreter: {direct} of {}", policies.len());
    ensure!(found.findings.iter().all(|finding| finding.error.is_none()), "every criterion can be evaluated");
    let matched = found.matched().count();
    ensure!((100..1_000).contains(&matched), "some match and some do not: {matched}");
    let sample = || {
        let begun = Instant::now();
        for _ in 0..SIGN_INS {
            black_box(set.assign(black_box(facts), entitlements.iter()));
        }
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(SIGN_INS)
    };
    let samples: Vec<f64> = (0..runs).map(|_| sample()).collect();
    figures.add(step, "policy.1500", "ms", &samples)
}

fn conditions(facts: &Facts<'_>, runs: usize, step: &mut Step, figures: &mut Figures) -> Result<()> {
    let compiled = CONDITIONS.map(|source| Expression::compile(source).context(source));
    let compiled = compiled.into_iter().collect::<Result<Vec<_>>>()?;
    let sample = || {
        let begun = Instant::now();
        for _ in 0..EVALUATIONS / 5 {
            // As a session does it: the claims are laid out once, then every condition is asked.
            let arena = ClaimArena::new(facts);
            let evaluator = Evaluator::new(&arena, facts, &Scripts::default());
            for expression in &compiled {
                black_box(evaluator.evaluate(expression, Asked::default()));
                black_box(evaluator.last_reads());
            }
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(EVALUATIONS)
    };
    let samples: Vec<f64> = (0..runs).map(|_| sample()).collect();
    figures.add(step, "condition.evaluation", "µs", &samples)
}

fn user() -> Result<ClaimMap> {
    let groups: Vec<Value> = (0..GROUPS).map(|group| format!("group {group}").into()).collect();
    let claims = json!({"username": "ada", "department": "research", "clearance": 3, "groups": groups,
        "labels": {"team": "walls", "site": "north"}});
    Ok(serde_json::from_value(claims)?)
}

/// Criteria in the mixture of an installation with many groups: membership, attributes, networks, device.
fn policy(nth: u32) -> Result<Policy> {
    let expression = match nth % 5 {
        0 => format!(r#""group {}" in user.groups"#, nth % 300),
        1 => format!(r#"user.department == "department {nth}" || user.username == "ada""#),
        2 => format!(r#"isClientInNetwork("10.{}.0.0/16")"#, nth % 256),
        3 => format!(r#"user.clearance >= {} && device.os.type == "linux""#, nth % 6),
        _ => format!(r#"user.groups.exists(g, g == "group {}") && user.labels.team == "walls""#, nth % 100),
    };
    let policy = json!({"id": PolicyId::from_random(bytes(nth)), "name": format!("policy {nth:04}"), "type": "Access",
        "expression": expression, "entitlements": [EntitlementId::from_random(bytes(nth))]});
    Ok(serde_json::from_value(policy)?)
}

fn entitlement(nth: u32) -> Result<Entitlement> {
    let entitlement = json!({"id": EntitlementId::from_random(bytes(nth)), "name": format!("entitlement {nth}"),
        "site": uuid_of(1), "actions": [{"subtype": "tcp_up", "action": "allow", "hosts": ["10.0.0.1"], "ports": ["443"]}]});
    Ok(serde_json::from_value(entitlement)?)
}

fn uuid_of(nth: u32) -> EntitlementId {
    EntitlementId::from_random(bytes(nth))
}

fn bytes(nth: u32) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&nth.to_be_bytes());
    bytes
}

fn is_direct(policy: &Policy) -> bool {
    Expression::compile(&policy.expression).is_ok_and(|criteria| criteria.is_direct())
}
