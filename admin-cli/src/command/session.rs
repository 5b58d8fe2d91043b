//! `session`: live sessions.

use anyhow::Result;
use ringwall_protocol::wire::admin::{ActiveSession, List, SessionAtSite, SessionInfo};

use super::Desk;
use crate::cli::Session;
use crate::connection::escape;
use crate::output::{Format, Rows, say};

pub(super) async fn run(desk: &Desk, order: Session) -> Result<()> {
    match order {
        Session::List => list(desk).await,
        Session::Show { dn } => show(desk, &dn).await,
    }
}

async fn list(desk: &Desk) -> Result<()> {
    let list: List<ActiveSession> = desk.api.get("/stats/active-sessions/dn").await?;
    desk.output.print(&list.data, |sessions| {
        let at_sites = sessions.iter().flat_map(|session| session.sites.iter().map(move |site| (session, site)));
        let row = |(session, site): (&ActiveSession, &SessionAtSite)| {
            let open = site.entitlements.iter().filter(|entitlement| entitlement.open).count();
            vec![
                session.distinguished_name.user.user.to_string(),
                site.site_name.clone(),
                site.gateway_name.clone(),
                site.client_address.clone(),
                addresses(site),
                format!("{open}/{}", site.entitlements.len()),
                session.distinguished_name.to_string(),
            ]
        };
        Rows {
            titles: vec!["user", "site", "gateway", "from", "tunnel", "open", "distinguished name"],
            rows: at_sites.map(row).collect(),
        }
    })
}

async fn show(desk: &Desk, dn: &str) -> Result<()> {
    let info: SessionInfo = desk.api.get(&format!("/session-info/{}", escape(dn))).await?;
    if desk.output != Format::Table {
        return desk.output.print(&info, |_| Rows::default());
    }
    say(&format!("{}\npolicies: {}", info.distinguished_name, info.policy_names.join(", ")))?;
    for site in &info.sites {
        let line = format!("\n{} at {} since {}", site.site_name, site.gateway_name, site.since);
        say(&format!("{line}, from {}, tunnel {}, {} rules", site.client_address, addresses(site), site.rules))?;
        let row = |it: &ringwall_protocol::authorize::EntitlementState| {
            let failed: Vec<_> = it.failed_conditions.iter().map(ToString::to_string).collect();
            vec![it.name.clone(), if it.open { "open" } else { "closed" }.to_owned(), failed.join(", ")]
        };
        let rows = site.entitlements.iter().map(row).collect();
        say(&Rows { titles: vec!["entitlement", "state", "failed conditions"], rows }.to_string())?;
    }
    Ok(())
}

fn addresses(site: &SessionAtSite) -> String {
    site.tunnel_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
