//! The tree and the interpreter are one: the same outcome, the same reads, the same moment of change, the same error.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::claims::{ClaimMap, Facts, Reason, StepUp, StepUpKind, UntrustedClaims};
use crate::expression::{Asked, ClaimArena, Evaluator, Expression, Outcome, Scripts};
use crate::interaction::{Interaction, InteractionKind};
use crate::time::UnixMillis;

/// What both ways say of an expression: (tree, interpreter); the tree's is absent where it leaves it to the other.
type Both = (Option<(Outcome, BTreeSet<String>)>, (Outcome, BTreeSet<String>));

#[derive(Debug, Clone)]
struct Scene {
    user: ClaimMap,
    device: Option<UntrustedClaims>,
    step_ups: BTreeMap<String, StepUp>,
    reasons: BTreeMap<String, Reason>,
    now: UnixMillis,
}

impl Scene {
    fn ask(&self, expression: &Expression, scripts: &Scripts) -> Both {
        let system: ClaimMap =
            serde_json::from_value(json!({"clientSrcIP": "192.0.2.17", "site": null})).expect("a map");
        let facts = Facts {
            user: &self.user,
            device: self.device.as_ref(),
            system: &system,
            step_ups: &self.step_ups,
            reasons: &self.reasons,
            now: self.now,
        };
        let asked = [Interaction {
            kind: InteractionKind::OtpAuthentication,
            message: "code".to_owned(),
            claim_suffix: Some("a".to_owned()),
            provider_id: Some(uuid::Uuid::from_u128(1)),
            blocking: false,
        }];
        let arena = ClaimArena::new(&facts);
        let evaluator = Evaluator::new(&arena, &facts, scripts);
        let direct = evaluator.directly(expression, Asked(&asked)).map(|outcome| (outcome, evaluator.last_reads()));
        let interpreted = evaluator.interpreted(expression, Asked(&asked));
        (direct, (interpreted, evaluator.last_reads()))
    }
}

fn scripts() -> Scripts {
    let mut scripts = Scripts::default();
    scripts.add("simple", r#"user.a == "x" || "x" in user.l"#).expect("compiles");
    scripts.add("knotty", r#"size(user.l) + 1 > 2"#).expect("compiles");
    scripts.add("textual", "user.a").expect("compiles");
    scripts
}

/// Values that a claim may have, with few texts so that they meet.
fn claim() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        prop::sample::select(vec!["x", "y", "", "xy", "10.1.2.3", "Ä"]).prop_map(|text| json!(text)),
        any::<bool>().prop_map(|truth| json!(truth)),
        (-2..4i64).prop_map(|number| json!(number)),
        prop::sample::select(vec![0.5, 1.0, 2.0, -0.0]).prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        Just(Value::Null),
    ];
    let list = prop::collection::vec(single.clone(), 0..4).prop_map(Value::from);
    prop_oneof![4 => single.clone(), 3 => list.clone(), 1 => prop::collection::vec(list, 0..3).prop_map(Value::from),
        1 => single.prop_map(|inner| json!({"k": inner, "x": {"k": 1}}))]
}

fn claims() -> impl Strategy<Value = ClaimMap> {
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "l", "m"]), claim(), 0..5)
        .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn step_up(name: &str, provider: u128, minutes_ago: u64, now: UnixMillis) -> (String, StepUp) {
    let at = UnixMillis(now.0 - minutes_ago * 60_000);
    let provider_id = uuid::Uuid::from_u128(provider);
    (name.to_owned(), StepUp { kind: StepUpKind::Otp, provider_id, condition_id: None, at, transaction_id: None })
}

prop_compose! {
    fn scene()(
        user in claims(), device in prop::option::of(claims()), minute in 0..20_000u64, ago in 0..10u64, provider in 1..3u128,
    ) -> Scene {
        let now = UnixMillis(1_795_348_800_000 + minute * 60_000);
        let reason = Reason { text: "because".to_owned(), at: UnixMillis(now.0 - ago * 60_000) };
        Scene {
            user,
            device: device.map(UntrustedClaims),
            step_ups: [step_up("a", provider, ago, now), step_up("b", 2, 3, now)].into(),
            reasons: [("a".to_owned(), reason)].into(),
            now,
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let names = vec![
        "user.a",
        "user.b",
        "user.l",
        "user.m",
        "user.m.k",
        "user.m.x.k",
        r#"user["a"]"#,
        r#"user["m"].k"#,
        "device.a",
        "device.m.x",
        "device.l",
        "claims.user.a",
        "claims.device.b",
        "claims.other.a",
        "user.z",
        "user.z.k",
        "user.a.k",
        "system.site",
        "system.clientSrcIP",
        "user",
        "claims",
        "device",
        "claims.device",
    ];
    prop::sample::select(names).prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    let literals = vec![
        r#""x""#,
        r#""y""#,
        r#""""#,
        r#""xy""#,
        r#""Ä""#,
        r#""k""#,
        r#""a""#,
        "true",
        "false",
        "null",
        "0",
        "1",
        "2",
        "-1",
        "1u",
        "2u",
        "0.5",
        "1.0",
        "-0.0",
        "18446744073709551615u",
        r#"b"x""#,
    ];
    prop::sample::select(literals).prop_map(str::to_owned)
}

/// Something with a value; `g` only inside a list.
fn operand(inside: bool) -> BoxedStrategy<String> {
    let common = prop_oneof![4 => path(), 4 => literal(), 1 => Just("weekday()".to_owned())];
    if inside { prop_oneof![2 => common, 3 => Just("g".to_owned())].boxed() } else { common.boxed() }
}

fn leaf(inside: bool) -> BoxedStrategy<String> {
    let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let method = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
    let text = prop::sample::select(vec![r#""x""#, r#""""#, r#""y""#, "user.a", "1"]);
    let function = prop::sample::select(vec![
        r#"hasMfa("a", 5)"#,
        r#"hasMfa("b", 5)"#,
        r#"hasMfa("c", 5)"#,
        r#"hasPassword("a", 5)"#,
        r#"hasReason("a", 5)"#,
        r#"hasReason("b", -1)"#,
        r#"isClientInNetwork("192.0.2.0/24")"#,
        r#"isClientInNetwork("10.0.0.0/8")"#,
        r#"isClientInNetwork("nonsense")"#,
        r#"isInNetwork(user.a, "10.0.0.0/8")"#,
        r#"isInNetwork("10.1.1.1", "10.0.0.0/8")"#,
        r#"inTimeRange("08:00", "17:30")"#,
        r#"inTimeRange("22:00", "06:00")"#,
        r#"inTimeRange("25:00", "06:00")"#,
        "simple()",
        "knotty()",
        "textual()",
        "size(user.l) > 1",
        r#"user.a.matches("^x")"#,
        "hasMfa(user.a, 5)",
        r#"hasMfa("a", user.b)"#,
    ]);
    prop_oneof![
        6 => (operand(inside), operator, operand(inside)).prop_map(|(one, op, other)| format!("{one} {op} {other}")),
        3 => (operand(inside), path()).prop_map(|(needle, list)| format!("{needle} in {list}")),
        2 => (operand(inside), prop::collection::vec(literal(), 0..4))
            .prop_map(|(needle, list)| format!("{needle} in [{}]", list.join(", "))),
        2 => (operand(inside), method, text).prop_map(|(subject, method, text)| format!("{subject}.{method}({text})")),
        3 => path(),
        1 => Just("true".to_owned()),
        1 => Just("false".to_owned()),
        2 => prop::sample::select(vec!["user.a", "user.m.k", "user.z.k", "user.a.k", "device.m", r#"claims.user.z"#])
            .prop_map(|path| format!("has({path})")),
        3 => function.prop_map(str::to_owned),
    ]
    .boxed()
}

/// Expressions; those inside a list may name its element `g`.
fn expression(inside: bool) -> BoxedStrategy<String> {
    leaf(inside)
        .prop_recursive(4, 24, 3, move |inner| {
            let joined = (inner.clone(), prop::sample::select(vec!["&&", "||"]), inner.clone())
                .prop_map(|(one, op, other)| format!("({one}) {op} ({other})"));
            let choice =
                (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))"));
            let not = inner.prop_map(|one| format!("!({one})"));
            prop_oneof![5 => joined, 1 => choice, 2 => not].boxed()
        })
        .boxed()
}

fn whole() -> impl Strategy<Value = String> {
    let over = (
        path(),
        prop::sample::select(vec!["exists", "all"]),
        prop::sample::select(vec!["g", "user"]),
        expression(true),
    )
        .prop_map(|(list, which, name, body)| {
            format!("{list}.{which}({name}, {})", if name == "g" { body } else { "true".to_owned() })
        });
    let over = over.boxed();
    prop_oneof![
        3 => expression(false),
        1 => over.clone(),
        1 => (over, expression(false)).prop_map(|(list, other)| format!("({list}) && ({other})")),
    ]
}

#[test]
fn the_tree_says_what_the_interpreter_says() {
    let scripts = scripts();
    let (asked, answered) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig { cases: 4_000, ..ProptestConfig::default() });
    let compared = runner.run(&(whole(), scene()), |(source, scene)| {
        let compiled = Expression::compile_with(&source, &scripts);
        let expression = compiled.map_err(|error| TestCaseError::fail(format!("{source}: {error}")))?;
        asked.set(asked.get() + 1);
        if let (Some(direct), interpreted) = scene.ask(&expression, &scripts) {
            answered.set(answered.get() + 1);
            prop_assert_eq!(direct, interpreted, "{}", source);
        }
        Ok(())
    });
    compared.unwrap_or_else(|difference| panic!("{difference}"));
    // Else nothing was compared.
    assert!(answered.get() * 4 > asked.get(), "{} of {} were answered", answered.get(), asked.get());
}

#[test]
fn criteria_as_they_are_written_need_no_interpreter() {
    for source in [
        "true",
        r#""dev" in user.groups"#,
        r#"user.department == "research" || user.username in ["ada", "bob"]"#,
        r#"claims.user.clearance >= 3 && device.os.type == "linux""#,
        r#"has(device.firewall) && device.firewall && !user.suspended"#,
        r#"user.mail.endsWith("@example.org") && !user.username.startsWith("svc-")"#,
        r#"isClientInNetwork("192.0.2.0/24") && inTimeRange("08:00", "18:00") && weekday() <= 5"#,
        r#"user.groups.exists(g, g == "dev" || g.startsWith("dev-"))"#,
        r#"hasMfa("vault", 60) && hasReason("why", 5)"#,
        r#"simple() && user.clearance != 1"#,
        r#"device.managed ? true : isInNetwork(system.clientSrcIP, "10.0.0.0/8")"#,
    ] {
        assert!(Expression::compile_with(source, &scripts()).expect(source).is_direct(), "{source}");
    }
    for source in ["size(user.groups) > 1", r#"user.a.matches("x")"#, "user.a + user.b == 3", r#"hasMfa(user.a, 5)"#] {
        assert!(!Expression::compile(source).expect(source).is_direct(), "{source}");
    }
}

#[test]
fn an_absent_claim_is_told_as_the_interpreter_tells_it() {
    let scene = Scene {
        user: ClaimMap::default(),
        device: None,
        step_ups: BTreeMap::new(),
        reasons: BTreeMap::new(),
        now: UnixMillis(0),
    };
    let (direct, interpreted) =
        scene.ask(&Expression::compile(r#"user.badge == "gold""#).expect("compiles"), &scripts());
    assert_eq!(direct.as_ref(), Some(&interpreted));
    assert!(interpreted.0.error.is_some_and(|error| error.contains("badge")));
}
