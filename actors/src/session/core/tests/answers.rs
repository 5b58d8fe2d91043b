//! Answers: whose they are, how long they count, and what evaluates conditions anew.

use super::*;

/// Two sessions with the same conditions, of alice and of bob.
fn two() -> (Stage, Stage) {
    let stage = || Stage::live(&[with_reason(), with_otp()]);
    let (alice, mut bob) = (stage(), stage());
    bob.entropy = CountingEntropy::starting_at(1_000);
    (alice, bob)
}

#[test]
fn answers_of_one_session_never_affect_another() {
    let (mut alice, mut bob) = two();
    let asked = prompts(&alice.blocked("10.0.1.0")).remove(0);
    let other = prompts(&bob.blocked("10.0.1.0")).remove(0);
    assert_ne!(asked.prompt_id, other.prompt_id);
    // A prompt of another session is none of this one.
    let foreign = bob.say(FromClient::Reason { prompt_id: asked.prompt_id, text: "for alice".to_owned() });
    assert!(matches!(sent(&foreign)[..], [FromGateway::Refused { code: ErrorCode::NotFound, .. }]));
    let effects = alice.say(FromClient::Reason { prompt_id: asked.prompt_id, text: "mine".to_owned() });
    assert!(install(&effects).is_some() && alice.passes("10.0.1.0"));
    assert!(!bob.passes("10.0.1.0"), "the other one opens nothing");
    assert!(bob.core.evidence.reasons.given.is_empty());
    assert_eq!(bob.core.prompts.open().count(), 1, "its question is still open");
    bob.pass(Duration::from_secs(60));
    bob.give(Input::Reevaluate);
    assert!(!bob.passes("10.0.1.0"), "whatever makes it look again");
    // A proof that stands in alice's token is in no other session's facts either.
    let (condition, at) = (with_otp().id, alice.now.time);
    alice.new_claims(|claims| {
        claims.step_ups.insert("ticket".to_owned(), step_up(condition, at));
    });
    assert!(alice.passes("10.0.1.1") && !bob.passes("10.0.1.1"));
}

#[test]
fn a_reason_counts_for_its_minutes_and_is_then_asked_for_again() {
    let mut stage = Stage::live(&[with_reason()]);
    stage.new_claims(|claims| claims.head.exp += 7_200);
    let asked = prompts(&stage.blocked("10.0.1.0")).remove(0);
    stage.say(FromClient::Reason { prompt_id: asked.prompt_id, text: "change 7".to_owned() });
    let mut entitlement = stage.scene.entitlement(&stage.alice, 102, &[with_reason()]);
    entitlement.head.exp += 7_200;
    let mut claims = stage.scene.claims(&stage.alice, 102);
    claims.head.exp += 7_200;
    let tokens = NewTokens { claims: Some(claims), entitlement: Some(entitlement), checked_at: LogIndex(102) };
    stage.give(Input::Tokens(Box::new(tokens)));
    stage.core.credentials.certificate_until = UnixMillis(u64::MAX);
    for minute in 1..60 {
        stage.pass(Duration::from_secs(60));
        assert!(stage.passes("10.0.1.0"), "after {minute} minutes");
    }
    let effects = stage.pass(Duration::from_secs(60));
    assert!(!stage.passes("10.0.1.0"), "60 minutes are over");
    assert!(install(&effects).is_some(), "and the enforcer knows");
    assert_eq!(prompts(&stage.blocked("10.0.1.0")).len(), 1, "it is asked for again");
}

#[test]
fn renewed_tokens_are_evaluated_at_once() {
    let condition = || TestCondition::new(5, "user.clearance >= 3", None);
    let mut stage = Stage::live(&[condition()]);
    assert!(!stage.passes("10.0.1.0"));
    let effects = stage.new_claims(|claims| {
        claims.user.0.insert("clearance".to_owned(), json!(3));
    });
    assert!(install(&effects).is_some() && stage.passes("10.0.1.0"));
    stage.pass(Duration::from_secs(2));
    let effects = stage.new_claims(|claims| {
        claims.user.0.insert("clearance".to_owned(), json!(2));
    });
    assert!(install(&effects).is_some() && !stage.passes("10.0.1.0"), "a lost group closes at the renewal");
}

#[test]
fn a_blocked_destination_asks_once_a_minute_however_many_packets_come() {
    let mut stage = Stage::live(&[with_reason(), with_otp()]);
    let mut shown = 0;
    for _ in 0..600 {
        shown += prompts(&stage.blocked("10.0.1.0")).len();
        shown += prompts(&stage.blocked("10.0.1.1")).len();
        stage.pass(Duration::from_millis(100));
    }
    assert_eq!(shown, 2, "each condition once in its minute");
    assert_eq!(prompts(&stage.blocked("10.0.1.0")).len(), 1, "and again in the next");
    assert_eq!(stage.core.prompts.open().count(), 2, "one open question for each condition");
}

#[test]
fn a_verified_answer_closes_what_asked_for_it_and_leaves_other_questions() {
    let other = TestCondition::new(
        6,
        r#"hasMfa("ticket", 1) && user.clearance >= 3"#,
        Some(InteractionKind::OtpAuthentication),
    );
    let mut stage = Stage::live(&[with_reason(), with_otp(), other]);
    let (id, at) = (with_otp().id, stage.now.time);
    for host in ["10.0.1.0", "10.0.1.1", "10.0.1.2"] {
        assert_eq!(prompts(&stage.blocked(host)).len(), 1, "{host}");
    }
    let renewed = stage.new_claims(|claims| claims.head.exp += 60);
    assert!(sent(&renewed).iter().all(|said| !matches!(said, FromGateway::InteractionClosed { .. })));
    let effects = stage.new_claims(|claims| {
        claims.step_ups.insert("ticket".to_owned(), step_up(id, at));
    });
    let closed = sent(&effects).iter().filter(|said| matches!(said, FromGateway::InteractionClosed { .. })).count();
    assert_eq!((closed, stage.core.prompts.open().count()), (2, 1), "both that it answers; the reason is still wanted");
}

#[test]
fn reasons_beyond_six_a_minute_are_refused() {
    let mut stage = Stage::live(&[with_reason()]);
    let unknown = || FromClient::Reason { prompt_id: PromptId::from_random([9; 16]), text: "x".to_owned() };
    let code = |effects: Vec<Effect>| match sent(&effects)[..] {
        [FromGateway::Refused { code, .. }] => *code,
        _ => panic!("expected a refusal"),
    };
    for _ in 0..6 {
        assert_eq!(code(stage.say(unknown())), ErrorCode::NotFound);
    }
    assert_eq!(code(stage.say(unknown())), ErrorCode::Busy);
    stage.pass(Duration::from_secs(60));
    assert_eq!(code(stage.say(unknown())), ErrorCode::NotFound);
}
