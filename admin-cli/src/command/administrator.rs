//! `admin-session` and `break-glass`: sessions of administrators, and the sealed way in.

use anyhow::{Result, ensure};
use ringwall_protocol::wire::admin::{AdministratorSession, BreakGlassCode, List};
use serde_json::json;

use super::Desk;
use crate::cli::{AdminSession, BreakGlass};
use crate::connection::escape;
use crate::output::{Rows, remark};

pub(super) async fn run(desk: &Desk, order: AdminSession) -> Result<()> {
    match order {
        AdminSession::List => list(desk).await,
        AdminSession::End { id: Some(id), .. } => end(desk, &id).await,
        AdminSession::End { id: None, user } => end_all(desk, &user.unwrap_or_default()).await,
    }
}

/// Makes a new break-glass code.
pub(super) async fn break_glass(desk: &Desk, order: BreakGlass) -> Result<()> {
    let BreakGlass::Renew = order;
    let renewed: BreakGlassCode = desk.api.post("/break-glass/renew", &json!({})).await?;
    desk.output
        .print(&renewed, |renewed| Rows { titles: vec!["break-glass code"], rows: vec![vec![renewed.code.clone()]] })?;
    remark("shown once; keep it sealed. The former code is invalid");
    Ok(())
}

async fn list(desk: &Desk) -> Result<()> {
    let list = sessions(desk).await?;
    desk.output.print(&list.data, |sessions| Rows {
        titles: vec!["id", "user", "token", "from", "since", "last used", "roles", ""],
        rows: sessions.iter().map(row).collect(),
    })
}

async fn sessions(desk: &Desk) -> Result<List<AdministratorSession>> {
    Ok(desk.api.get("/administrator-sessions").await?)
}

async fn end(desk: &Desk, id: &str) -> Result<()> {
    desk.api.delete(&format!("/administrator-sessions/{}", escape(id))).await?;
    remark(&format!("session {id} has ended"));
    Ok(())
}

async fn end_all(desk: &Desk, user: &str) -> Result<()> {
    let user = super::otp::user(user)?;
    let list = sessions(desk).await?;
    let (current, others): (Vec<_>, Vec<_>) =
        list.data.iter().filter(|one| one.distinguished_name.user == user).partition(|one| one.current);
    ensure!(!current.is_empty() || !others.is_empty(), "{user} has no session that you may see");
    // The caller's own goes last: it ends the others.
    for one in others.iter().chain(&current) {
        end(desk, &one.id.to_string()).await?;
    }
    Ok(())
}

fn row(it: &AdministratorSession) -> Vec<String> {
    vec![
        it.id.to_string(),
        it.distinguished_name.user.to_string(),
        if it.key_bound { "bound to a key" } else { "bearer" }.to_owned(),
        it.source.to_string(),
        it.created.to_string(),
        it.last_used.to_string(),
        it.roles.join(", "),
        if it.current { "this one" } else { "" }.to_owned(),
    ]
}
