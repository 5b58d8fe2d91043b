//! `collective admit` and `collective turn-away`: Controllers that ask to join.

use anyhow::{Context, Result, bail};
use ringwall_protocol::wire::admin::{AdmitRequest, List, WaitingController};
use serde_json::Value;

use super::Desk;
use crate::cli::Admit;
use crate::connection::ApiError;
use crate::output::{remark, say};

/// Admits the Controller whose fingerprint the operator has compared.
pub(super) async fn admit(desk: &Desk, order: &Admit) -> Result<()> {
    let waiting = find(desk, &order.name).await?;
    let fingerprint = match &order.fingerprint {
        Some(compared) => compared.clone(),
        None => {
            say(&format!("{} asks from {} with the key\n\n  {}\n", waiting.name, waiting.source, waiting.fingerprint))?;
            let question =
                "Does `ringwall-controller join` print the same on its machine? It gets the Collective's keys.";
            let same = dialoguer::Confirm::new()
                .with_prompt(question)
                .default(false)
                .interact()
                .context("use --fingerprint where there is no terminal")?;
            if !same {
                bail!("nothing was done; `ringctl collective turn-away {}` makes its seed invalid", order.name);
            }
            waiting.fingerprint.clone()
        }
    };
    let path = format!("/collective/waiting/{}/admit", waiting.id);
    let answer: Value = desk.api.post(&path, &AdmitRequest { fingerprint }).await?;
    remark(&format!("{} is admitted as node {}", waiting.name, answer["node"]));
    Ok(())
}

/// Turns a Controller away.
pub(super) async fn turn_away(desk: &Desk, name: &str) -> Result<()> {
    let waiting = find(desk, name).await?;
    desk.api.delete(&format!("/collective/waiting/{}", waiting.id)).await?;
    remark(&format!("{} is turned away; its seed is invalid", waiting.name));
    Ok(())
}

async fn find(desk: &Desk, name: &str) -> Result<WaitingController> {
    let list: List<WaitingController> = desk.api.get("/collective/waiting").await?;
    let found = list.data.into_iter().find(|one| one.name == name || one.id.to_string() == name);
    found.ok_or_else(|| {
        ApiError::not_found(format!("no Controller {name} asks to join; see `ringctl collective status`")).into()
    })
}
