//! Expressions of others, and claims of others that they are asked about: both end in time, and the tree says what the
//! interpreter says.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Asked, ClaimArena, Evaluator, Expression, Scripts};
use crate::claims::{ClaimMap, Facts, Reason, StepUp, StepUpKind, UntrustedClaims};
use crate::policy::MAX_EXPRESSION;
use crate::time::UnixMillis;

/// When the questions are asked: 2026-11-22T12:00:00Z.
const NOW: UnixMillis = UnixMillis(1_795_348_800_000);

/// The source of an expression up to the first byte 0, then `{"user": …, "device": …}` as JSON.
#[must_use]
pub fn expression(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (source, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(source) = std::str::from_utf8(source) else { return false };
    let Ok(expression) = Expression::compile(source) else { return false };
    assert!(source.len() <= MAX_EXPRESSION && expression.source() == source);
    let shown = (expression.answer_tests(), expression.functions(), expression.claim_paths());
    assert!(expression.nesting() <= super::MAX_NESTING, "{shown:?}");
    let claims = serde_json::from_slice(claims).unwrap_or_default();
    ask(&expression, &claims);
    true
}

/// What the Collective and the Client say of a user.
#[derive(Default, serde::Deserialize)]
struct Said {
    #[serde(default)]
    user: ClaimMap,
    #[serde(default)]
    device: Option<UntrustedClaims>,
}

/// Asks both ways and compares.
fn ask(expression: &Expression, said: &Said) {
    let bounded = said.user.check().is_ok() && said.device.as_ref().is_none_or(|claims| claims.0.check().is_ok());
    if !bounded {
        return;
    }
    let system: ClaimMap = [("clientSrcIP".to_owned(), json!("192.0.2.17"))].into_iter().collect();
    let proof = StepUp {
        kind: StepUpKind::Otp,
        provider_id: uuid::Uuid::from_u128(1),
        condition_id: None,
        at: UnixMillis(NOW.0 - 60_000),
        transaction_id: None,
    };
    let step_ups = BTreeMap::from([("a".to_owned(), proof)]);
    let reasons = BTreeMap::from([("a".to_owned(), Reason { text: "because".to_owned(), at: NOW })]);
    let device = said.device.as_ref();
    let facts = Facts { user: &said.user, device, system: &system, step_ups: &step_ups, reasons: &reasons, now: NOW };
    let arena = ClaimArena::new(&facts);
    let evaluator = Evaluator::new(&arena, &facts, &Scripts::default());
    let interpreted = evaluator.interpreted(expression, Asked::default());
    let read = evaluator.last_reads();
    assert!(interpreted.valid_until.is_none_or(|until| until > NOW), "{interpreted:?}");
    assert!(!(interpreted.holds && interpreted.error.is_some()), "{interpreted:?}");
    match expression.constant() {
        Some(true) => {
            assert!(interpreted.holds || interpreted.error.is_some(), "{expression:?} was said to hold always")
        }
        Some(false) => assert!(!interpreted.holds, "{expression:?} was said to hold never"),
        None => {}
    }
    if let Some(direct) = evaluator.directly(expression, Asked::default()) {
        assert_eq!((direct, evaluator.last_reads()), (interpreted, read), "{expression:?}");
    }
    let _of_a_script = evaluator.value(expression, Asked::default());
}
