//! `profile`: how Clients find the Collective.

use anyhow::Result;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::ProfileUrl;

use super::Desk;
use super::object::find_id;
use crate::cli::Profile;
use crate::output::Rows;

pub(super) async fn run(desk: &Desk, order: Profile) -> Result<()> {
    let Profile::Link { name } = order;
    let id = find_id(desk, ObjectKind::ClientProfile, &name).await?;
    let link: ProfileUrl = desk.api.get(&format!("/client-profiles/{id}/url")).await?;
    desk.output.print(&link, |link| Rows { titles: vec!["link"], rows: vec![vec![link.url.clone()]] })
}
