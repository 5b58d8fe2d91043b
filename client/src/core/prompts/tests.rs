//! Whose words the user reads, and which answers are taken.

use ringwall_protocol::entitlement::Logic;
use ringwall_protocol::id::{EntitlementId, TransactionId};
use ringwall_protocol::interaction::{Interaction, InteractionRef};
use ringwall_protocol::token::GrantedCondition;

use super::*;
use crate::held_token::tests::entitlement_token;

const NOW: UnixMillis = UnixMillis(1_000);

fn condition(byte: u8) -> ConditionId {
    ConditionId::from_random([byte; 16])
}

fn token() -> EntitlementToken {
    let mut token = entitlement_token(7);
    for (byte, kind) in [(1, InteractionKind::OtpAuthentication), (2, InteractionKind::Reason)] {
        let interaction = Interaction {
            kind,
            message: format!("signed text {byte}"),
            claim_suffix: Some("x".into()),
            provider_id: None,
            blocking: false,
        };
        let granted = GrantedCondition {
            name: format!("condition {byte}"),
            expression: "true".into(),
            remedy_logic: Logic::And,
            interactions: vec![interaction],
            asked_first: Default::default(),
            repeat_schedules: vec![],
        };
        token.conditions.insert(condition(byte), granted);
    }
    token
}

fn prompt(id: u8, of: u8, kind: InteractionKind) -> Prompt {
    Prompt {
        prompt_id: PromptId::from_random([id; 16]),
        interaction: InteractionRef { condition_id: condition(of), interaction_index: 0 },
        kind,
        entitlement_id: EntitlementId::from_random([9; 16]),
        destination: "10.1.2.3:80\u{1b}[31m type your password here".into(),
        blocking: false,
    }
}

#[test]
fn the_text_comes_from_the_signed_token() {
    let mut prompts = Prompts::default();
    prompts.open_for_gateway(&prompt(1, 1, InteractionKind::OtpAuthentication), &token(), NOW).expect("shown");
    let [question] = prompts.list().try_into().expect("one");
    assert_eq!((question.message.as_str(), question.condition.as_deref()), ("signed text 1", Some("condition 1")));
    let destination = question.destination.expect("a destination");
    assert!(!destination.contains(' ') && !destination.contains('\u{1b}'), "{destination:?}");
}

#[test]
fn what_the_token_does_not_say_is_not_asked() {
    let mut prompts = Prompts::default();
    let unknown = prompts.open_for_gateway(&prompt(1, 3, InteractionKind::Reason), &token(), NOW);
    assert_eq!(unknown, Err(PromptRejection::UnknownCondition));
    let other = prompts.open_for_gateway(&prompt(1, 1, InteractionKind::PasswordAuthentication), &token(), NOW);
    assert!(matches!(other, Err(PromptRejection::Kind { .. })));
    let mut beyond = prompt(1, 1, InteractionKind::OtpAuthentication);
    beyond.interaction.interaction_index = 1;
    assert_eq!(prompts.open_for_gateway(&beyond, &token(), NOW), Err(PromptRejection::UnknownInteraction(1)));
    assert!(prompts.list().is_empty());
}

#[test]
fn a_newer_prompt_of_the_same_condition_takes_the_place_of_the_older() {
    let mut prompts = Prompts::default();
    let ask = |prompts: &mut Prompts, id| {
        prompts.open_for_gateway(&prompt(id, 2, InteractionKind::Reason), &token(), NOW).expect("shown")
    };
    assert_eq!(ask(&mut prompts, 1), None);
    assert_eq!(ask(&mut prompts, 1), None, "the same one again");
    assert_eq!(ask(&mut prompts, 2), Some(PromptId::from_random([1; 16])));
    assert_eq!(prompts.list().len(), 1);
}

#[test]
fn an_answer_is_taken_once_and_again_after_it_was_wrong() {
    let mut prompts = Prompts::default();
    let id = PromptId::from_random([1; 16]);
    prompts.open_for_gateway(&prompt(1, 1, InteractionKind::OtpAuthentication), &token(), NOW).expect("shown");
    assert_eq!(prompts.answer(id, "  "), Err(AnswerError::Empty));
    let asker =
        PromptOrigin::Condition { site: SiteId::from_random([7; 16]), condition: condition(1), interaction_index: 0 };
    assert_eq!(prompts.answer(id, "123456"), Ok((asker, InteractionKind::OtpAuthentication)));
    assert_eq!(prompts.answer(id, "123456"), Err(AnswerError::Busy(id)));
    prompts.refused(id);
    assert!(prompts.list()[0].again);
    assert!(prompts.answer(id, "654321").is_ok());
    assert!(prompts.closed(id));
    assert_eq!(prompts.answer(id, "1"), Err(AnswerError::NotOpen(id)));
}

#[test]
fn where_nothing_is_typed_the_user_agrees_once() {
    let mut prompts = Prompts::default();
    let (id, mut token) = (PromptId::from_random([1; 16]), token());
    token.conditions.get_mut(&condition(1)).expect("there").asked_first.insert(0);
    let again = prompt(1, 1, InteractionKind::OtpAuthentication);
    prompts.open_for_gateway(&again, &token, NOW).expect("shown");
    assert_eq!(prompts.list()[0].challenge, Challenge::Agree {});
    prompts.answer(id, "").expect("there is nothing to say");
    // A packet that is blocked meanwhile asks nothing anew.
    prompts.open_for_gateway(&again, &token, NOW).expect("known");
    assert!(prompts.waiting(id).is_none() && prompts.list().is_empty());
    let question = prompts.question(id).cloned().expect("open");
    prompts.closed(id);
    let (site, transaction) = (SiteId::from_random([7; 16]), TransactionId::from_random([4; 16]));
    let (asker, code) =
        (PromptOrigin::StepUp { transaction, site, condition: condition(1) }, PromptId::new(transaction.uuid()));
    prompts.ask(asker, Question { prompt_id: code, challenge: Challenge::default(), ..question }).expect("room");
    prompts.open_for_gateway(&prompt(2, 1, InteractionKind::OtpAuthentication), &token, NOW).expect("known");
    assert_eq!(prompts.list().len(), 1, "what the Controller wants, and nothing beside it");
    assert_eq!((prompts.wrong(code), prompts.wrong(code), prompts.wrong(code)), (false, false, true));
    assert!(prompts.expire(NOW.plus(STEP_UP_LIFE).minus(Duration::from_millis(1))).is_empty());
    assert_eq!(prompts.expire(NOW.plus(STEP_UP_LIFE)), [code], "no Controller waits for it any more");
}

#[test]
fn what_a_page_answers_is_not_typed_but_for_the_address_that_the_browser_came_to() {
    let mut prompts = Prompts::default();
    let mut question = |n: u8, challenge: Challenge| {
        let id = PromptId::from_random([n; 16]);
        let question = Question {
            prompt_id: id,
            kind: InteractionKind::OtpAuthentication,
            message: String::new(),
            challenge,
            page: Some("https://sso.example/".to_owned()),
            entitlement: None,
            condition: None,
            site: None,
            destination: None,
            blocking: true,
            again: false,
            opened_at: NOW,
        };
        let (site, condition) = (SiteId::from_random([7; 16]), condition(1));
        let transaction = TransactionId::from_random([n; 16]);
        prompts.ask(PromptOrigin::StepUp { transaction, site, condition }, question).expect("room");
        id
    };
    let key = question(1, Challenge::WebAuthn { create: false, options: "{}".to_owned() });
    let browser = question(2, Challenge::Browser { url: "https://sso.example/".to_owned() });
    assert_eq!(prompts.answer(key, "{}"), Err(AnswerError::OnPage(key)));
    assert_eq!(prompts.answer(browser, ""), Err(AnswerError::Empty));
    assert!(prompts.answer(browser, &"x".repeat(MAX_PASTED)).is_ok());
    assert!(prompts.expire(NOW.plus(STEP_UP_LIFE)).is_empty(), "pages end by themselves");
}

#[test]
fn a_reason_has_the_length_that_a_gateway_takes() {
    let mut prompts = Prompts::default();
    prompts.open_for_gateway(&prompt(1, 2, InteractionKind::Reason), &token(), NOW).expect("shown");
    let long = "x".repeat(MAX_REASON + 1);
    let refused = prompts.answer(PromptId::from_random([1; 16]), &long);
    assert_eq!(refused, Err(AnswerError::TooLong { limit: MAX_REASON, got: MAX_REASON + 1 }));
}

#[test]
fn a_reason_that_the_gateway_refused_may_be_given_again() {
    let mut prompts = Prompts::default();
    let (id, site) = (PromptId::from_random([1; 16]), SiteId::from_random([7; 16]));
    prompts.open_for_gateway(&prompt(1, 2, InteractionKind::Reason), &token(), NOW).expect("shown");
    assert!(prompts.reopen_reasons(site).is_empty(), "nothing is on its way");
    prompts.answer(id, "because").expect("taken");
    assert!(prompts.list().is_empty(), "it does not wait for the user now");
    assert_eq!(prompts.reopen_reasons(site).len(), 1);
    assert!(prompts.list()[0].again);
}

#[test]
fn questions_go_with_their_site() {
    let mut prompts = Prompts::default();
    prompts.open_for_gateway(&prompt(1, 1, InteractionKind::OtpAuthentication), &token(), NOW).expect("shown");
    assert!(prompts.close_of_site(SiteId::from_random([8; 16])).is_empty());
    assert_eq!(prompts.close_of_site(SiteId::from_random([7; 16])).len(), 1);
    assert!(prompts.list().is_empty());
}

#[test]
fn the_number_of_open_questions_is_bounded() {
    let mut prompts = Prompts::default();
    let question = |n: usize| Question {
        prompt_id: PromptId::from_random([u8::try_from(n).expect("small"); 16]),
        kind: InteractionKind::OtpAuthentication,
        message: String::new(),
        challenge: Default::default(),
        page: None,
        entitlement: None,
        condition: None,
        site: None,
        destination: None,
        blocking: false,
        again: false,
        opened_at: NOW,
    };
    let asker = |n: usize| PromptOrigin::SignIn(TransactionId::from_random([u8::try_from(n).expect("small"); 16]));
    for n in 0..MAX_OPEN {
        prompts.ask(asker(n), question(n)).expect("room");
    }
    assert_eq!(prompts.ask(asker(MAX_OPEN), question(MAX_OPEN)), Err(PromptRejection::TooMany));
}
