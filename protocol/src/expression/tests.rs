//! What expressions mean, what they may cost, and that noted reads are enough.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::claims::{ClaimMap, Facts, Reason, StepUp, StepUpKind, UntrustedClaims};
use crate::interaction::{Interaction, InteractionKind};
use crate::time::UnixMillis;

const NOON: UnixMillis = UnixMillis(1_795_348_800_000); // 2026-11-22T12:00:00Z, a Sunday

struct Scene {
    user: ClaimMap,
    device: UntrustedClaims,
    system: ClaimMap,
    step_ups: BTreeMap<String, StepUp>,
    reasons: BTreeMap<String, Reason>,
    now: UnixMillis,
}

impl Scene {
    fn new() -> Self {
        let map = |value: serde_json::Value| -> ClaimMap { serde_json::from_value(value).expect("a map") };
        Self {
            user: map(json!({"username": "ada", "groups": ["dev", "ops"], "clearance": 3})),
            device: UntrustedClaims(map(json!({"os": {"type": "linux"}, "firewall": true}))),
            system: map(json!({"clientSrcIP": "192.0.2.17"})),
            step_ups: BTreeMap::new(),
            reasons: BTreeMap::new(),
            now: NOON,
        }
    }

    fn ask(&self, source: &str) -> (Outcome, BTreeSet<String>) {
        self.ask_for(source, &[])
    }

    fn ask_for(&self, source: &str, interactions: &[Interaction]) -> (Outcome, BTreeSet<String>) {
        let facts = Facts {
            user: &self.user,
            device: Some(&self.device),
            system: &self.system,
            step_ups: &self.step_ups,
            reasons: &self.reasons,
            now: self.now,
        };
        let arena = ClaimArena::new(&facts);
        let evaluator = Evaluator::new(&arena, &facts, &Scripts::default());
        let outcome = evaluator.evaluate(&Expression::compile(source).expect(source), Asked(interactions));
        (outcome, evaluator.last_reads())
    }

    fn value(&self, expression: &Expression) -> Result<serde_json::Value, String> {
        let facts = Facts {
            user: &self.user,
            device: Some(&self.device),
            system: &self.system,
            step_ups: &self.step_ups,
            reasons: &self.reasons,
            now: self.now,
        };
        let arena = ClaimArena::new(&facts);
        Evaluator::new(&arena, &facts, &Scripts::default()).value(expression, Asked::default())
    }

    fn holds(&self, source: &str) -> bool {
        self.ask(source).0.holds
    }
}

fn reads(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn claims_are_found_under_their_own_root_and_under_claims() {
    let scene = Scene::new();
    assert!(scene.holds(r#""dev" in user.groups && claims.user.clearance >= 3"#));
    assert!(scene.holds(r#"device.os.type == "linux""#));
    assert!(!scene.holds(r#"user.firewall"#), "what a device says is not reachable under user");
}

#[test]
fn an_absent_claim_never_passes() {
    let (outcome, read) = Scene::new().ask(r#"user.badge == "gold""#);
    assert!(!outcome.holds);
    assert!(outcome.error.is_some());
    assert_eq!(read, reads(&["user"]), "the map must be looked at again when it gains a key");
    assert!(!Scene::new().holds(r#"user.username"#), "a text is no truth value");
}

#[test]
fn answers_count_for_their_time_only() {
    let mut scene = Scene::new();
    let at = UnixMillis(NOON.0 - 59 * 60_000);
    let proof =
        StepUp { kind: StepUpKind::Otp, provider_id: uuid::Uuid::nil(), condition_id: None, at, transaction_id: None };
    scene.step_ups.insert("vault".to_owned(), proof);
    let (outcome, read) = scene.ask(r#"hasMfa("vault", 60)"#);
    assert_eq!(outcome, Outcome { holds: true, error: None, valid_until: Some(UnixMillis(NOON.0 + 60_000)) });
    assert_eq!(read, reads(&["stepUps.vault"]));
    assert!(!scene.holds(r#"hasMfa("vault", 59)"#));
    assert!(!scene.holds(r#"hasPassword("vault", 60)"#), "a one-time password is no password");
    assert!(!scene.holds(r#"hasMfa("other", 60)"#));
}

#[test]
fn an_answer_verified_by_another_provider_does_not_count() {
    let mut scene = Scene::new();
    let chosen = uuid::Uuid::from_u128(1);
    let other = StepUp {
        kind: StepUpKind::Otp,
        provider_id: uuid::Uuid::from_u128(2),
        condition_id: None,
        at: NOON,
        transaction_id: None,
    };
    scene.step_ups.insert("vault".to_owned(), other);
    let asked = [Interaction {
        kind: InteractionKind::OtpAuthentication,
        message: "code".to_owned(),
        claim_suffix: Some("vault".to_owned()),
        provider_id: Some(chosen),
        blocking: false,
    }];
    assert!(!scene.ask_for(r#"hasMfa("vault", 5)"#, &asked).0.holds);
    scene.step_ups.get_mut("vault").expect("just inserted").provider_id = chosen;
    assert!(scene.ask_for(r#"hasMfa("vault", 5)"#, &asked).0.holds);
}

#[test]
fn times_tell_when_they_change() {
    let scene = Scene::new();
    let (office, _) = scene.ask(r#"inTimeRange("08:00", "17:30")"#);
    assert_eq!(office.valid_until, Some(UnixMillis(NOON.0 + 330 * 60_000)));
    assert!(office.holds);
    let (night, _) = scene.ask(r#"inTimeRange("22:00", "06:00")"#);
    assert!(!night.holds);
    assert_eq!(night.valid_until, Some(UnixMillis(NOON.0 + 600 * 60_000)));
    assert!(scene.holds("weekday() == 0"));
    assert!(scene.holds(r#"minutesSince(timestamp("2026-11-22T11:30:00Z")) == 30"#));
}

#[test]
fn networks_are_compared_by_prefix() {
    let scene = Scene::new();
    assert!(scene.holds(r#"isClientInNetwork("192.0.2.0/24")"#));
    assert!(!scene.holds(r#"isClientInNetwork("198.51.100.0/24")"#));
    assert!(scene.holds(r#"isInNetwork("2001:db8::1", "2001:db8::/32")"#));
    assert!(scene.ask(r#"isInNetwork("nonsense", "10.0.0.0/8")"#).0.error.is_some());
}

#[test]
fn scripts_are_called_by_name_and_see_the_same_claims() {
    let scene = Scene::new();
    let mut scripts = Scripts::default();
    scripts.add("admins", r#""ops" in user.groups"#).expect("compiles");
    let expression = Expression::compile_with("admins() && user.clearance == 3", &scripts).expect("compiles");
    let facts = Facts {
        user: &scene.user,
        device: None,
        system: &scene.system,
        step_ups: &scene.step_ups,
        reasons: &scene.reasons,
        now: NOON,
    };
    let arena = ClaimArena::new(&facts);
    assert!(Evaluator::new(&arena, &facts, &scripts).evaluate(&expression, Asked::default()).holds);
    assert!(matches!(scripts.add("loops", "admins()"), Err(ExpressionError::UnknownFunction(_))));
}

#[test]
fn what_cannot_end_quickly_or_names_nothing_is_refused() {
    let nested = "user.groups.all(a, user.groups.all(b, user.groups.all(c, a == c)))";
    assert_eq!(Expression::compile(nested).err(), Some(ExpressionError::TooNested));
    assert_eq!(Expression::compile("usr.name == 1").err(), Some(ExpressionError::UnknownVariable("usr".to_owned())));
    assert_eq!(Expression::compile("open()").err(), Some(ExpressionError::UnknownFunction("open".to_owned())));
    assert!(matches!(Expression::compile(&"x".repeat(9_000)), Err(ExpressionError::TooLong { .. })));
    assert!(matches!(Expression::compile(&"(".repeat(300)), Err(ExpressionError::TooDeep)));
    assert!(Expression::compile(r#"user.groups.exists(g, g.startsWith("d"))"#).is_ok());
}

#[test]
fn script_bombs_are_refused_when_they_are_saved() {
    let refused = |source: &str| Expression::compile(source).err();
    let list = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    let square = format!("{0}.all(a, {0}.all(b, a == b && a != b + 1))", list(900));
    assert!(matches!(refused(&square), Some(ExpressionError::TooCostly { .. })), "{:?}", refused(&square));
    let joined = format!("({}).all(a, a == 1)", vec!["user.groups"; 30].join(" + "));
    assert!(Expression::compile(&joined).is_ok(), "short lists can be joined often");
    for bomb in [
        r#"user.username.matches("((a{100}){100}){100}")"#,
        r#"user.username.matches(user.pattern)"#,
        r#"user.username.matches("a" + "{100000}")"#,
    ] {
        assert_eq!(refused(bomb), Some(ExpressionError::Pattern), "{bomb}");
    }
    assert_eq!(refused(r#"user.username.matches("^[a-z]{2,32}$")"#), None);
    let alternatives = vec!["user.clearance == 1"; 350].join(" || ");
    assert_eq!(refused(&alternatives), None, "many alternatives are no bomb");
    assert!(!Scene::new().holds(&alternatives));
    for bomb in [
        "(".repeat(4_000),
        "[".repeat(2_000),
        "user.".repeat(1_500) + "b",
        "1".to_owned() + &"+1".repeat(3_000) + " == 1",
        "-".repeat(4_000) + "1 == 1",
    ] {
        assert!(refused(&bomb).is_some(), "{}…", &bomb[..8]);
    }
}

#[test]
fn claims_that_would_make_an_evaluation_too_long_make_it_false() {
    let mut scene = Scene::new();
    let nested = r#"device.processes.exists(p, device.processes.exists(q, p == q))"#;
    let many = |n: usize| json!((0..n).map(|n| format!("process {n}")).collect::<Vec<_>>());
    scene.device.0.0.insert("processes".to_owned(), many(50));
    assert!(scene.holds(nested), "a few are gone through");
    scene.device.0.0.insert("processes".to_owned(), many(1_000));
    let (outcome, read) = scene.ask(nested);
    assert!(!outcome.holds && outcome.error.is_some_and(|error| error.contains("steps")));
    assert_eq!(read, reads(&["user", "device", "system"]), "any change may make it bearable again");
    assert!(scene.holds(r#"device.processes.exists(p, p == "process 999")"#), "one list is always gone through");
}

#[test]
fn a_value_that_would_take_too_long_is_refused_too() {
    let mut scene = Scene::new();
    let many = |n: usize| json!((0..n).map(|n| format!("process {n}")).collect::<Vec<_>>());
    let pairs = Expression::compile("device.processes.map(p, device.processes.filter(q, p == q))").expect("compiles");
    scene.device.0.0.insert("processes".to_owned(), many(3));
    assert_eq!(scene.value(&pairs), Ok(json!([["process 0"], ["process 1"], ["process 2"]])));
    scene.device.0.0.insert("processes".to_owned(), many(1_000));
    let refused = scene.value(&pairs).expect_err("a million steps");
    assert!(refused.contains("steps"), "{refused}");
}

#[test]
fn scripts_bring_their_cost_along() {
    let mut scripts = Scripts::default();
    scripts.add("pairs", "user.groups.exists(a, user.groups.exists(b, a != b))").expect("compiles");
    assert!(Expression::compile_with("pairs()", &scripts).is_ok());
    let nested = Expression::compile_with("user.groups.all(g, pairs())", &scripts);
    assert_eq!(nested.err(), Some(ExpressionError::TooNested));
}

#[test]
fn claims_are_values_and_never_source() {
    let mut scene = Scene::new();
    for name in [
        r#"ada" || true || ""#,
        r#"x" in user.groups || "a" == "a"#,
        "ada\\",
        "ada,OU=local",
        "CN=ada,OU=local",
        "a\u{0}da",
        "ada ",
        "Ada",
        "\u{430}da",
    ] {
        scene.user.0.insert("username".to_owned(), json!(name));
        for source in [r#"user.username == "ada""#, r#""root" in user.groups"#, r#"user.username in ["ada", "bob"]"#] {
            assert!(!scene.holds(source), "{name:?} passes {source}");
        }
    }
    // Nor does a device become a user by the names of its claims.
    scene.user.0.insert("username".to_owned(), json!("eve"));
    for name in ["user", "user.username", "claims.user.username", "username", "system"] {
        scene.device.0.0.insert(name.to_owned(), json!({"username": "ada"}));
    }
    assert!(!scene.holds(r#"user.username == "ada""#) && !scene.holds(r#"claims.user.username == "ada""#));
}

proptest! {
    /// A result can only change if a claim changes that was noted as read.
    #[test]
    fn an_unread_claim_never_changes_a_result(
        which in 0..6usize, claim in prop::sample::select(vec!["firewall", "badge", "level", "os"]), value in 0..3i64,
    ) {
        let sources = [
            "device.firewall", "device.level > 1 || device.firewall", "has(device.badge)",
            r#"device.os.type == "linux""#, r#""badge" in device"#, "user.clearance == 3",
        ];
        let mut scene = Scene::new();
        let (before, read) = scene.ask(sources[which]);
        let changed = if value == 0 { json!(true) } else { json!(value) };
        scene.device.0.0.insert(claim.to_owned(), changed);
        let (after, _) = scene.ask(sources[which]);
        let touched = read.iter().any(|path| path == "device" || path.starts_with(&format!("device.{claim}")));
        prop_assert!(touched || before.holds == after.holds, "{} changed with {}", sources[which], claim);
    }
}
