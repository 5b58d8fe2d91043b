//! `ringwall prompts` and `ringwall answer`

use std::io;

use clap::Args;
use comfy_table::{Table, presets};
use ringwall_protocol::id::PromptId;
use ringwall_protocol::wire::client::Challenge;

use super::credentials::line_of;
use super::daemon_answer::{done, local_failure};
use super::output;
use crate::core::prompts::{MAX_PASTED, Question};
use crate::failure::{Exit, Failure};
use crate::local::{Answer, LocalClient, LocalError, Request};
use crate::store::StateDirectory;

#[derive(Args)]
pub(super) struct PromptsCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  ringwall answer 3f0c1a52-… 'ticket 4711'
  ringwall answer 3f0c1a52-… --stdin < otp.txt
  ringwall answer 3f0c1a52-…           # confirms a message, or starts a push prompt
  ringwall answer 3f0c1a52-… 'http://127.0.0.1:40123/signed-in?code=…'   # the address that a browser elsewhere was redirected to

Arguments are visible to all users of this machine: give passwords with --stdin.")]
pub(super) struct AnswerCommand {
    /// Id of the prompt; a unique prefix is enough
    prompt: String,
    /// The answer; omit it for a message
    #[arg(conflicts_with = "stdin")]
    text: Option<String>,
    /// Read the answer from the first line of standard input
    #[arg(long)]
    stdin: bool,
}

impl PromptsCommand {
    pub(super) async fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        let mut daemon = LocalClient::connect(&state.socket_path()).await.map_err(local_failure)?;
        let prompts = list(&mut daemon).await?;
        if self.json {
            return output::json(&prompts);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["PROMPT", "KIND", "SITE", "FOR", "MESSAGE", "PAGE"]);
        for prompt in prompts {
            table.add_row([
                prompt.prompt_id.to_string(),
                format!("{:?}", prompt.kind),
                prompt.site.unwrap_or_default(),
                prompt.destination.unwrap_or_default(),
                prompt.message,
                prompt.page.unwrap_or_default(),
            ]);
        }
        output::line(&table.to_string())
    }
}

impl AnswerCommand {
    pub(super) async fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        let mut daemon = LocalClient::connect(&state.socket_path()).await.map_err(local_failure)?;
        let prompt_id = self.prompt_id(&mut daemon).await?;
        let text = if self.stdin {
            line_of(io::stdin().lock(), MAX_PASTED)?.to_string()
        } else {
            self.text.unwrap_or_default()
        };
        match daemon.ask(&Request::Answer { prompt_id, text }).await {
            Ok(Answer::Further { prompt }) => {
                output::note(&further(&prompt));
                Ok(())
            }
            other => done(other),
        }
    }

    async fn prompt_id(&self, daemon: &mut LocalClient) -> Result<PromptId, Failure> {
        if let Ok(id) = self.prompt.parse() {
            return Ok(id);
        }
        let open: Vec<PromptId> = list(daemon).await?.iter().map(|prompt| prompt.prompt_id).collect();
        let meant: Vec<_> = open.iter().filter(|id| id.to_string().starts_with(&self.prompt)).collect();
        match meant.as_slice() {
            [id] => Ok(**id),
            [] => Err(Failure::message(
                Exit::NotFound,
                format!("no open prompt begins with {}", self.prompt),
                "ringwall prompts",
            )),
            _ => Err(Failure::message(
                Exit::Usage,
                format!("several prompts begin with {}", self.prompt),
                "ringwall prompts",
            )),
        }
    }
}

/// What else is wanted, and how it is given.
fn further(prompt: &Question) -> String {
    let Question { prompt_id, message, page, challenge, .. } = prompt;
    match (page, challenge) {
        (Some(page), Challenge::Browser { .. }) => format!(
            "{message}\nOpen this page in a browser:\n\n  {page}\n\nOn another machine the browser ends at an address that it \
             cannot show; then: ringwall answer {prompt_id} '<that address>'"
        ),
        (Some(page), _) => format!("{message}\nOpen this page in a browser on this machine:\n\n  {page}\n"),
        (None, _) => format!("{message}\nAnswer with: ringwall answer {prompt_id} --stdin"),
    }
}

async fn list(daemon: &mut LocalClient) -> Result<Vec<Question>, Failure> {
    match daemon.ask(&Request::Prompts {}).await.map_err(local_failure)? {
        Answer::Prompts { prompts } => Ok(prompts),
        _ => Err(local_failure(LocalError::Answer)),
    }
}
