//! `blocklist`: users who may not sign in.

use anyhow::Result;
use ringwall_protocol::wire::admin::{BlacklistEntry, List};
use serde_json::{Value, json};

use super::Desk;
use super::otp::user;
use crate::cli::Blocklist;
use crate::connection::escape;
use crate::output::{Rows, remark};

pub(super) async fn run(desk: &Desk, order: Blocklist) -> Result<()> {
    match order {
        Blocklist::List => {
            let list: List<BlacklistEntry> = desk.api.get("/blacklist").await?;
            desk.output.print(&list.data, |entries| Rows {
                titles: vec!["user", "since", "reason"],
                rows: entries.iter().map(row).collect(),
            })
        }
        Blocklist::Add { dn, reason } => {
            let user = user(&dn)?;
            let body = json!({"userDistinguishedName": user.to_string(), "reason": reason});
            desk.api.post::<Value>("/blacklist", &body).await?;
            remark(&format!("{user} is blocked; live sessions are cut"));
            Ok(())
        }
        Blocklist::Remove { dn } => {
            let user = user(&dn)?;
            desk.api.delete(&format!("/blacklist/{}", escape(&user.to_string()))).await?;
            remark(&format!("{user} may sign in again"));
            Ok(())
        }
    }
}

fn row(entry: &BlacklistEntry) -> Vec<String> {
    vec![entry.user_distinguished_name.to_string(), entry.blacklisted_at.to_string(), entry.reason.clone()]
}
