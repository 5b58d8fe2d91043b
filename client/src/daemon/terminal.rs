//! Questions on the terminal of a daemon in the foreground: another watcher of its events, one question at a time.

use ringwall_protocol::interaction::InteractionKind;
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
    match question.kind {
        InteractionKind::DisplayMessage => Ok(String::new()),
        InteractionKind::Reason => dialoguer::Input::new().with_prompt("Reason").interact_text(),
        InteractionKind::OtpAuthentication => dialoguer::Password::new().with_prompt("One-time password").interact(),
        InteractionKind::PasswordAuthentication => dialoguer::Password::new().with_prompt("Password").interact(),
    }
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
    }
    if question.again { format!("{text}\n  the former answer was not accepted") } else { text }
}

fn show(text: &str) {
    let term = dialoguer::console::Term::stderr();
    // A terminal that is gone shows nothing.
    let _gone = term.write_line(text);
}
