//! Property: evaluating only when something that was read changes, or a noted deadline passes, comes to the same as
//! evaluating everything every time.

use proptest::prelude::*;
use serde_json::json;

use super::tests::{Known, NOW, condition, entitlement, prepared};
use super::{Authorization, Prepared};
use crate::claims::{Facts, Reason, StepUp, StepUpKind};
use crate::entitlement::Logic;
use crate::interaction::{Interaction, InteractionKind};
use crate::rules::compile::ResolvedNames;
use crate::time::UnixMillis;

/// Conditions that look at everything that can be looked at, nested and absent claims included.
const EXPRESSIONS: [&str; 12] = [
    "device.firewall",
    "has(device.badge) && device.badge == \"gold\"",
    "device.os.type == \"linux\" && device.os.version >= 6",
    "\"antivirus\" in device",
    "device.processes.exists(p, p == \"agent\")",
    "user.clearance >= 3 && device.level > 1",
    "isClientInNetwork(\"192.0.2.0/24\")",
    "system.clientSrcIP.startsWith(\"198.\")",
    "hasMfa(\"vault\", 2)",
    "hasReason(\"ticket\", 1)",
    "inTimeRange(\"12:01\", \"12:03\")",
    "device.os != null || user.clearance == 1",
];

/// Something that happens to a session.
#[derive(Debug, Clone)]
enum Event {
    Device(&'static str, serde_json::Value),
    DeviceLost(&'static str),
    Address(&'static str),
    Clearance(i64),
    Answer,
    Reason,
    TimePasses(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let device = prop_oneof![
        Just(Event::Device("firewall", json!(true))),
        Just(Event::Device("firewall", json!(false))),
        Just(Event::Device("badge", json!("gold"))),
        Just(Event::Device("badge", json!("tin"))),
        Just(Event::Device("os", json!({"type": "linux", "version": 6}))),
        Just(Event::Device("os", json!({"type": "linux", "version": 5}))),
        Just(Event::Device("os", json!("linux"))),
        Just(Event::Device("os", json!(null))),
        Just(Event::Device("antivirus", json!(1))),
        Just(Event::Device("processes", json!(["agent", "shell"]))),
        Just(Event::Device("processes", json!([]))),
        (0..3_i64).prop_map(|level| Event::Device("level", json!(level))),
        prop::sample::select(vec!["firewall", "badge", "os", "antivirus", "processes", "level"])
            .prop_map(Event::DeviceLost),
    ];
    let other = prop_oneof![
        prop::sample::select(vec!["192.0.2.7", "198.51.100.7"]).prop_map(Event::Address),
        (1..5_i64).prop_map(Event::Clearance),
        Just(Event::Answer),
        Just(Event::Reason),
        (1..90_u64).prop_map(|seconds| Event::TimePasses(seconds * 1_000)),
    ];
    prop::collection::vec(prop_oneof![3 => device, 2 => other], 1..40)
}

/// What is known, with the moment.
struct World {
    known: Known,
    now: UnixMillis,
}

impl World {
    fn facts(&self) -> Facts<'_> {
        Facts { now: self.now, ..self.known.facts() }
    }

    /// Does it, and names the paths that changed.
    fn change(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Device(name, value) => {
                self.known.device.0.0.insert((*name).to_owned(), value.clone());
                vec![format!("device.{name}")]
            }
            Event::DeviceLost(name) => {
                self.known.device.0.0.remove(*name);
                vec![format!("device.{name}")]
            }
            Event::Address(address) => {
                self.known.system.0.insert("clientSrcIP".to_owned(), json!(address));
                vec!["system.clientSrcIP".to_owned()]
            }
            Event::Clearance(level) => {
                self.known.user.0.insert("clearance".to_owned(), json!(level));
                vec!["user.clearance".to_owned()]
            }
            Event::Answer => {
                let proof = StepUp {
                    kind: StepUpKind::Otp,
                    provider_id: uuid::Uuid::nil(),
                    condition_id: None,
                    at: self.now,
                    transaction_id: None,
                };
                self.known.step_ups.insert("vault".to_owned(), proof);
                vec!["stepUps.vault".to_owned()]
            }
            Event::Reason => {
                let reason = Reason { text: "on call".to_owned(), at: self.now };
                self.known.reasons.insert("ticket".to_owned(), reason);
                vec!["reasons.ticket".to_owned()]
            }
            Event::TimePasses(millis) => {
                self.now = UnixMillis(self.now.0 + millis);
                Vec::new()
            }
        }
    }
}

fn everything() -> Prepared {
    let reason = Interaction {
        kind: InteractionKind::Reason,
        message: "why?".to_owned(),
        claim_suffix: Some("ticket".to_owned()),
        provider_id: None,
        blocking: false,
    };
    let numbered = |at: usize| u8::try_from(at + 1).expect("a few");
    let conditions =
        EXPRESSIONS.iter().enumerate().map(|(at, source)| (numbered(at), condition(source, vec![reason.clone()])));
    let entitlements = (0..EXPRESSIONS.len()).map(|at| {
        let logic = if at % 2 == 0 { Logic::And } else { Logic::Or };
        let other = numbered((at + 1) % EXPRESSIONS.len());
        entitlement(numbered(at), &(80 + at).to_string(), logic, &[numbered(at), other])
    });
    prepared(conditions.collect(), entitlements.collect())
}

fn judged(prepared: &Prepared, world: &World) -> Authorization {
    prepared.authorize(&world.facts(), &ResolvedNames::default()).expect("few rules")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn evaluating_what_was_read_equals_evaluating_everything(events in events()) {
        let prepared = everything();
        let mut world = World { known: Known::default(), now: NOW };
        let mut kept = judged(&prepared, &world);
        for event in events {
            let changed = world.change(&event);
            let due = kept.valid_until.is_some_and(|at| world.now >= at);
            if due || changed.iter().any(|path| kept.depends_on(path)) {
                kept = judged(&prepared, &world);
            }
            let whole = judged(&prepared, &world);
            prop_assert_eq!(&kept.states, &whole.states, "after {:?}", event);
            prop_assert_eq!(&kept.rules, &whole.rules, "after {:?}", event);
        }
    }
}
