//! `ringwall status`

use clap::Args;
use comfy_table::{Table, presets};

use super::daemon_answer::local_failure;
use super::output;
use crate::failure::{Exit, Failure};
use crate::local::{Answer, Event, LocalClient, LocalError, Request};
use crate::status::{SiteStatus, Status};
use crate::store::StateDirectory;

#[derive(Args)]
#[command(after_help = "\
Examples:
  ringwall status
  ringwall status --json | jq -r '.sites[] | [.name, .state, .gateway] | @tsv'
  ringwall status --watch --json       # one event a line")]
pub(super) struct StatusCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Keep running: print the status again whenever it changes
    #[arg(long)]
    watch: bool,
}

impl StatusCommand {
    pub(super) async fn run(self, state: &StateDirectory) -> Result<(), Failure> {
        let mut daemon = LocalClient::connect(&state.socket_path()).await.map_err(local_failure)?;
        if self.watch {
            return self.watch(daemon).await;
        }
        match daemon.ask(&Request::Status {}).await.map_err(local_failure)? {
            Answer::Status { status } if self.json => output::json(&status),
            Answer::Status { status } => output::line(&describe(&status)),
            _ => Err(local_failure(LocalError::Answer)),
        }
    }

    async fn watch(&self, mut daemon: LocalClient) -> Result<(), Failure> {
        daemon.watch().await.map_err(local_failure)?;
        loop {
            let event = match daemon.next_event().await {
                Ok(event) => event,
                Err(LocalError::Broken(_)) => {
                    return Err(Failure::message(Exit::NotRunning, "the daemon has stopped", "ringwall up"));
                }
                Err(error) => return Err(local_failure(error)),
            };
            if self.json {
                output::json_line(&event)?;
                continue;
            }
            match event {
                Event::Status { status } => output::line(&describe(&status))?,
                Event::Prompt { prompt } => output::line(&format!("prompt {}: {}", prompt.prompt_id, prompt.message))?,
                Event::PromptClosed { prompt_id } => output::line(&format!("prompt {prompt_id} is closed"))?,
                Event::Stopping {} => output::line("the daemon goes down")?,
            }
        }
    }
}

/// The status as people read it.
pub(super) fn describe(status: &Status) -> String {
    let mut text = format!("{} at {}: {}\n", status.profile, status.host, word(&status.state));
    if let Some(dn) = &status.dn {
        text += &format!("  {dn}\n");
    }
    if let Some(expiries) = &status.expiries {
        text += &format!("  claims until {}, sign-in until {}\n", expiries.claims, expiries.sign_in);
    }
    if let Some(device) = &status.device {
        let addresses: Vec<_> = device.addresses.iter().map(ToString::to_string).collect();
        text += &format!("  {} {}, MTU {}\n", device.name, addresses.join(" "), device.mtu);
    }
    if let Some(traffic) = &status.traffic {
        let dropped: u64 = traffic.dropped.values().sum();
        text += &format!(
            "  up {} packets, {} bytes; down {} packets, {} bytes; dropped {dropped}\n",
            traffic.packets_up, traffic.bytes_up, traffic.packets_down, traffic.bytes_down
        );
    }
    if let Some(why) = &status.no_entitlements {
        text += &format!("  nothing can be reached: {why}\n");
    }
    if !status.sites.is_empty() {
        text += &format!("{}\n", sites(&status.sites));
    }
    for site in &status.sites {
        for blocked in &site.blocked {
            text += &format!("{}: {:?} is shut: {blocked}\n", site.name, blocked.name);
        }
    }
    for prompt in &status.prompts {
        let next = match &prompt.page {
            Some(page) => format!("open {page}"),
            None => format!("ringwall answer {} …", prompt.prompt_id),
        };
        text += &format!("prompt {}: {}\n  next step: {next}\n", prompt.prompt_id, prompt.message);
    }
    for trouble in &status.troubles {
        text += &format!("{} {}: {}", trouble.at, trouble.subject, trouble.cause);
        if trouble.times > 1 {
            text += &format!(" ({} times)", trouble.times);
        }
        text += &format!("\n  next step: {}\n", trouble.next_step);
    }
    text.trim_end().to_owned()
}

fn sites(sites: &[SiteStatus]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["SITE", "STATE", "GATEWAY", "SINCE", "OPEN", "UP", "DOWN", "ROUTES"]);
    for site in sites {
        let open = site.entitlements.iter().filter(|entitlement| entitlement.open).count();
        table.add_row([
            site.name.clone(),
            word(&site.state),
            site.gateway.clone().unwrap_or_default(),
            site.since.to_string(),
            format!("{open} of {}", site.entitlements.len()),
            bytes(site.traffic.bytes_up),
            bytes(site.traffic.bytes_down),
            site.routes.join(" "),
        ]);
    }
    let links = sites.iter().flat_map(|site| &site.shortcuts);
    links.fold(table.to_string(), |text, link| text + &format!("\n  {}: {}", link.name, link.url))
}

/// For people: three digits are enough.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut size = count;
    while size >= 10_000 && unit + 1 < UNITS.len() {
        size /= 1_000;
        unit += 1;
    }
    format!("{size} {}", UNITS[unit])
}

/// A state as it stands in JSON.
fn word<T: serde::Serialize>(state: &T) -> String {
    serde_json::to_string(state).expect("a state serialises").trim_matches('"').to_owned()
}
