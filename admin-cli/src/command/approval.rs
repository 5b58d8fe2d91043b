//! `approve` and `approvals`: orders that wait for a second administrator.

use anyhow::{Context, Result, bail};
use ringwall_protocol::wire::admin::{ApprovedOrder, List, WaitingOrder};
use serde_json::json;

use super::Desk;
use crate::cli::{Approvals, Approve};
use crate::connection::{ApiError, escape};
use crate::output::{Rows, remark, say};

pub(super) async fn run(desk: &Desk, order: Approvals) -> Result<()> {
    match order {
        Approvals::List => list(desk).await,
        Approvals::Withdraw { id } => {
            desk.api.delete(&format!("/approvals/{}", escape(&id))).await?;
            remark(&format!("order {id} is taken back"));
            Ok(())
        }
    }
}

/// Approves an order after showing what it is.
pub(super) async fn approve(desk: &Desk, order: &Approve) -> Result<()> {
    if !order.yes {
        let waiting = find(desk, &order.id).await?;
        say(&format!("{} asks to {}", waiting.asked_by, waiting.summary))?;
        if let Some(details) = &waiting.details {
            say(&format!("{details:#}"))?;
        }
        let approved = dialoguer::Confirm::new()
            .with_prompt("Approve? It is carried out at once.")
            .default(false)
            .interact()
            .context("use --yes where there is no terminal")?;
        if !approved {
            bail!("nothing was done; `ringctl approvals withdraw {}` takes the order back", order.id);
        }
    }
    let done: ApprovedOrder = desk.api.post(&format!("/approvals/{}", escape(&order.id)), &json!({})).await?;
    remark(&format!("approved, and carried out at index {}", done.index));
    if let Some(code) = &done.break_glass_code {
        desk.output.print(&done, |_| Rows { titles: vec!["break-glass code"], rows: vec![vec![code.clone()]] })?;
        remark("shown once; keep it sealed. The former code is invalid");
    }
    Ok(())
}

async fn list(desk: &Desk) -> Result<()> {
    let list = orders(desk).await?;
    desk.output.print(&list.data, |orders| Rows {
        titles: vec!["id", "asked by", "until", "what"],
        rows: orders.iter().map(row).collect(),
    })
}

async fn orders(desk: &Desk) -> Result<List<WaitingOrder>> {
    Ok(desk.api.get("/approvals").await?)
}

async fn find(desk: &Desk, id: &str) -> Result<WaitingOrder> {
    let list = orders(desk).await?;
    let found = list.data.into_iter().find(|one| one.id.to_string() == id);
    found.ok_or_else(|| {
        ApiError::not_found(format!("no order {id} waits that you may approve; see `ringctl approvals`")).into()
    })
}

fn row(it: &WaitingOrder) -> Vec<String> {
    vec![it.id.to_string(), it.asked_by.to_string(), it.expires.to_string(), it.summary.clone()]
}
