//! Questions on the terminal of a daemon in the foreground: another watcher of its events, one question at a time.

use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::wire::client::Challenge;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::core::prompts::Question;
use crate::local::{Answer, Call, Event, Request};

/// Asks on the terminal whatever is asked.
pub(super) fn start(calls: mpsc::Sender<Call>, mut events: broadcast::Receiver<Event>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(Event::Prompt { prompt }) if prompt.page.is_some() => show(&headline(&prompt)),
                Ok(Event::Prompt { prompt }) => ask(&calls, prompt).await,
                Ok(Event::Stopping {}) | Err(broadcast::error::RecvError::Closed) => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            }
        }
    })
}

async fn ask(calls: &mpsc::Sender<Call>, mut prompt: Question) {
    loop {
        let question = prompt.clone();
        // Reading a terminal blocks, and cannot be called off.
        let Ok(Ok(text)) = tokio::task::spawn_blocking(move || read(&question)).await else { return };
        if text.is_empty() && !nothing_to_say(&prompt) {
            return show("  not answered; ringwall prompts shows it");
        }
        let (reply, answer) = oneshot::channel();
        let request = Request::Answer { prompt_id: prompt.prompt_id, text };
        if calls.send(Call { request, reply }).await.is_err() {
            return;
        }
        match answer.await {
            Ok(Answer::Refused { cause, next_step, not_found }) => {
                show(&format!("{cause}\n  next step: {next_step}"));
                if not_found {
                    return;
                }
                prompt.again = true;
            }
            _ => return,
        }
    }
}

fn read(question: &Question) -> dialoguer::Result<String> {
    show(&headline(question));
    // An empty line leaves the question: another one may be easier to answer.
    let secret = |what: &str| dialoguer::Password::new().with_prompt(what).allow_empty_password(true).interact();
    let text = |what: &str| dialoguer::Input::<String>::new().with_prompt(what).allow_empty(true).interact_text();
    match question.kind {
        InteractionKind::DisplayMessage => Ok(String::new()),
        _ if matches!(question.challenge, Challenge::Agree {}) => {
            text("Press Enter to be asked").map(|_| String::new())
        }
        InteractionKind::Reason => text("Reason"),
        InteractionKind::OtpAuthentication => secret("One-time password"),
        InteractionKind::PasswordAuthentication => secret("Password"),
    }
}

fn nothing_to_say(question: &Question) -> bool {
    question.kind == InteractionKind::DisplayMessage || matches!(question.challenge, Challenge::Agree {})
}

fn headline(question: &Question) -> String {
    let mut text = question.message.clone();
    if let Some(destination) = &question.destination {
        text = format!("{text}\n  for {destination}");
    }
    if let Some(site) = &question.site {
        text = format!("{text} in {site}");
    }
    if let Some(page) = &question.page {
        text = format!("{text}\n  open this page in a browser on this machine: {page}");
        if matches!(question.challenge, Challenge::Browser { .. }) {
            let id = question.prompt_id;
            text =
                format!("{text}\n  or in another one, and then: ringwall answer {id} '<the address that it came to>'");
        }
    }
    if question.again { format!("{text}\n  the former answer was not accepted") } else { text }
}

fn show(text: &str) {
    let term = dialoguer::console::Term::stderr();
    // A terminal that is gone shows nothing.
    let _gone = term.write_line(text);
}
