//! Questions of a Gateway, and where their answers go.

use ringwall_client::local::{Answer, Request};
use ringwall_client::status::Question;
use ringwall_protocol::id::PromptId;
use ringwall_protocol::interaction::{InteractionKind, InteractionRef, Prompt};
use ringwall_protocol::wire::client::Challenge;
use ringwall_protocol::wire::session::{FromClient, FromGateway};

use crate::gateway::Seen;
use crate::namespace::in_own_network;
use crate::program::Machine;
use crate::world::{OTP, PASSWORD, World, condition, entitlement};

fn prompt(byte: u8, kind: InteractionKind, asks_for: InteractionKind) -> Prompt {
    Prompt {
        prompt_id: PromptId::from_random([byte; 16]),
        interaction: InteractionRef { condition_id: condition(kind), interaction_index: 0 },
        kind: asks_for,
        entitlement_id: entitlement(),
        destination: "10.1.0.1:80".into(),
        blocking: false,
    }
}

async fn up() -> (World, Machine) {
    let world = World::start().await;
    let mut machine = Machine::new(&world).await;
    machine.sign_in().await;
    machine.up(&[]);
    machine.connected().await;
    (world, machine)
}

#[test]
fn otp_and_password_go_to_a_controller_and_new_claims_to_the_gateway() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        for (byte, kind, right) in
            [(1, InteractionKind::OtpAuthentication, OTP), (2, InteractionKind::PasswordAuthentication, PASSWORD)]
        {
            world.gateway("gw1").say(FromGateway::Interaction(prompt(byte, kind, kind)));
            let question = machine.question().await;
            assert_eq!(question.message, format!("signed text of {kind:?}"));
            let id = question.prompt_id.to_string();
            let said = machine.fails(4, &["answer", &id, "--stdin"], "wrong\n").await;
            assert!(said.contains("mfaRefused"), "{said}");
            machine.must(&["answer", &id[..8], "--stdin"], &format!("{right}\n")).await;
            let gateway = world.gateway("gw1");
            gateway.until(|seen| matches!(seen, Seen::Message(FromClient::ClaimsToken { .. })).then_some(())).await;
            machine.until("no question is open", |status| status.prompts.is_empty()).await;
        }
    });
}

/// Agrees to be asked, once; answers the question that follows.
async fn agree(world: &mut World, machine: &Machine, byte: u8) -> Question {
    let kind = InteractionKind::OtpAuthentication;
    world.gateway("gw1").say(FromGateway::Interaction(prompt(byte, kind, kind)));
    let asked = machine.question().await;
    assert_eq!(asked.challenge, Challenge::Agree {}, "nothing is typed");
    let agreed = machine.run(&["answer", &asked.prompt_id.to_string()], "").await;
    let said = String::from_utf8_lossy(&agreed.stderr).into_owned();
    assert!(agreed.status.success() && said.contains("Type the code that was sent to you"), "{said}");
    let wanted = machine.question().await;
    assert!(said.contains(&wanted.prompt_id.to_string()), "it says which to answer: {said}");
    // A packet that is blocked meanwhile asks nothing beside it.
    world.gateway("gw1").say(FromGateway::Interaction(prompt(byte, kind, kind)));
    assert_eq!((wanted.challenge.clone(), wanted.condition.clone()), (Challenge::default(), asked.condition));
    wanted
}

#[test]
fn who_is_asked_first_agrees_once_and_answers_once() {
    in_own_network(async {
        let mut world = World::start().await;
        world.facts.change(|changing| changing.asks_first = true);
        let mut machine = Machine::new(&world).await;
        machine.sign_in().await;
        machine.up(&[]);
        machine.connected().await;
        let wanted = agree(&mut world, &machine, 1).await;
        machine.fails(4, &["answer", &wanted.prompt_id.to_string(), "--stdin"], "wrong\n").await;
        let status = machine.until("only that is asked", |status| status.prompts.len() == 1).await;
        assert!(status.prompts[0].again && status.prompts[0].prompt_id == wanted.prompt_id);
        machine.must(&["answer", &wanted.prompt_id.to_string(), "--stdin"], &format!("{OTP}\n")).await;
        let gateway = world.gateway("gw1");
        gateway.until(|seen| matches!(seen, Seen::Message(FromClient::ClaimsToken { .. })).then_some(())).await;
        machine.until("no question is open", |status| status.prompts.is_empty()).await;
        // After three wrong answers no Controller takes another one, and the question is gone.
        let wanted = agree(&mut world, &machine, 2).await;
        for _ in 0..3 {
            machine.fails(4, &["answer", &wanted.prompt_id.to_string(), "--stdin"], "wrong\n").await;
        }
        let status = machine.until("the question is over", |status| status.prompts.is_empty()).await;
        assert!(status.troubles.iter().any(|trouble| trouble.subject == "step-up"), "{:?}", status.troubles);
    });
}

#[test]
fn a_reason_goes_to_the_gateway_and_to_nobody_else() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        let calls = world.facts.change(|changing| changing.calls.len());
        let asked = prompt(1, InteractionKind::Reason, InteractionKind::Reason);
        world.gateway("gw1").say(FromGateway::Interaction(asked));
        let id = machine.question().await.prompt_id;
        machine.must(&["answer", &id.to_string(), "no"], "").await;
        machine.until("it asks again", |status| status.prompts.iter().any(|prompt| prompt.again)).await;
        machine.must(&["answer", &id.to_string(), "ticket 4711"], "").await;
        for expected in ["no", "ticket 4711"] {
            let reason = world.gateway("gw1").until(|seen| match seen {
                Seen::Message(FromClient::Reason { prompt_id, text }) => Some((*prompt_id, text.clone())),
                _ => None,
            });
            assert_eq!(reason.await, (id, expected.to_owned()));
        }
        machine.until("no question is open", |status| status.prompts.is_empty()).await;
        assert_eq!(world.facts.change(|changing| changing.calls.len()), calls);
    });
}

#[test]
fn a_message_is_read_and_gone_and_a_closed_prompt_takes_no_answer() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        let kind = InteractionKind::DisplayMessage;
        world.gateway("gw1").say(FromGateway::Interaction(prompt(1, kind, kind)));
        let id = machine.question().await.prompt_id;
        machine.must(&["answer", &id.to_string()], "").await;
        world.gateway("gw1").say(FromGateway::Interaction(prompt(2, kind, kind)));
        let id = machine.question().await.prompt_id;
        world.gateway("gw1").say(FromGateway::InteractionClosed { prompt_id: id });
        machine.until("the question is closed", |status| status.prompts.is_empty()).await;
        machine.fails(9, &["answer", &id.to_string()], "").await;
    });
}

#[test]
fn a_gateway_cannot_ask_for_a_password_where_the_token_has_a_reason() {
    in_own_network(async {
        let (mut world, machine) = up().await;
        let forged = prompt(1, InteractionKind::Reason, InteractionKind::PasswordAuthentication);
        world.gateway("gw1").say(FromGateway::Interaction(forged));
        let honest = prompt(2, InteractionKind::Reason, InteractionKind::Reason);
        world.gateway("gw1").say(FromGateway::Interaction(honest.clone()));
        machine.question().await;
        let Answer::Prompts { prompts } = machine.ask(Request::Prompts {}).await else { panic!("prompts") };
        assert_eq!(prompts.iter().map(|prompt| prompt.prompt_id).collect::<Vec<_>>(), [honest.prompt_id]);
    });
}

#[test]
fn a_factor_of_a_sign_in_is_a_prompt_of_the_daemon() {
    in_own_network(async {
        let world = World::start().await;
        world.facts.change(|changing| changing.factor = true);
        let mut machine = Machine::new(&world).await;
        let password = machine.password_file();
        let password = password.to_str().expect("text").to_owned();
        machine.up(&["--key-type", "p256", "--username", "alice", "--password-file", &password]);
        let question = machine.question().await;
        assert_eq!((question.kind, question.message.as_str()), (InteractionKind::OtpAuthentication, "Type the code"));
        let id = question.prompt_id.to_string();
        machine.must(&["answer", &id, "--stdin"], "000000\n").await;
        machine.until("it asks again", |status| status.prompts.iter().any(|prompt| prompt.again)).await;
        machine.must(&["answer", &id, "--stdin"], &format!("{OTP}\n")).await;
        machine.connected().await;
    });
}
