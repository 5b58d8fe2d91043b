//! `collective`: Controllers and Gateways.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::wire::admin::{
    BreakGlassStatus, CollectiveStatus, ControllerStatus, ExportRequest, GatewayStatus,
};
use serde_json::{Value, json};

use super::Desk;
use super::object::{find, find_id};
use crate::cli::{Add, Collective};
use crate::output::{Format, Rows, remark, say};

pub(super) async fn run(desk: &Desk, order: Collective) -> Result<()> {
    match order {
        Collective::Status => status(desk).await,
        Collective::Add(order) => add(desk, order).await,
        Collective::Admit(order) => super::admission::admit(desk, &order).await,
        Collective::TurnAway { name } => super::admission::turn_away(desk, &name).await,
        Collective::Remove { name, yes } => remove(desk, &name, yes).await,
        Collective::Retire { name } => state(desk, &name, "retire").await,
        Collective::Suspend { name } => state(desk, &name, "suspend").await,
        Collective::Resume { name } => state(desk, &name, "resume").await,
        Collective::Transfer { node } => {
            desk.api.post::<Value>("/collective/transfer", &json!({"node": node})).await?;
            remark(&format!("node {node} leads"));
            Ok(())
        }
    }
}

async fn status(desk: &Desk) -> Result<()> {
    let status: CollectiveStatus = desk.api.get("/collective/status").await?;
    if desk.output != Format::Table {
        return desk.output.print(&status, |_| Rows::default());
    }
    let leader = status.leader.map_or_else(|| "no leader known".to_owned(), |node| format!("leader is node {node}"));
    say(&format!("{}: {leader}, term {}, applied {}", status.collective, status.term, status.applied))?;
    if status.clock_suspect {
        let verdict = &status.clock;
        say(&format!(
            "clock of node {} is suspect ({verdict}): nothing is forgotten by it; check its time synchronisation",
            status.me
        ))?;
    }
    let titles = vec!["controller", "node", "role", "state", "lag", "clock"];
    say(&Rows { titles, rows: status.controllers.iter().map(controller).collect() }.to_string())?;
    let titles = vec!["gateway", "site", "state", "feed", "enforced", "sessions"];
    say(&Rows { titles, rows: status.gateways.iter().map(gateway).collect() }.to_string())?;
    match status.dual_control {
        DualControl::Off => say("dual control: off")?,
        DualControl::Required => {
            say(&format!("dual control: required, {} orders wait (`ringctl approvals`)", status.orders_waiting))?;
        }
    }
    status.weaker.iter().try_for_each(|option| say(&format!("weaker: {option}")))?;
    if let Some(BreakGlassStatus { used: Some(at), used_from, .. }) = &status.break_glass {
        let from = used_from.map_or_else(String::new, |from| format!(" from {from}"));
        say(&format!("the break-glass code was used at {at}{from}: `ringctl break-glass renew`"))?;
    }
    for one in &status.waiting {
        say(&format!(
            "{} asks to join from {}, key {}: `ringctl collective admit`",
            one.name, one.source, one.fingerprint
        ))?;
    }
    Ok(())
}

fn controller(it: &ControllerStatus) -> Vec<String> {
    let lag = it.lag.map_or_else(String::new, |lag| lag.to_string());
    let clock = it.clock_offset_ms.map_or_else(String::new, |millis| format!("{:+.1} s", millis as f64 / 1_000.0));
    vec![it.name.clone(), it.node.to_string(), it.role.clone(), format!("{:?}", it.state).to_lowercase(), lag, clock]
}

fn gateway(it: &GatewayStatus) -> Vec<String> {
    let feed = if it.connected { "here" } else { "" };
    vec![
        it.name.clone(),
        it.site_name.clone(),
        format!("{:?}", it.state).to_lowercase(),
        feed.to_owned(),
        it.enforced.map_or_else(String::new, |index| index.to_string()),
        it.sessions.map_or_else(String::new, |sessions| sessions.to_string()),
    ]
}

async fn add(desk: &Desk, order: Add) -> Result<()> {
    let site = match &order.site {
        Some(site) => Some(find_id(desk, ObjectKind::Site, site).await?),
        None => None,
    };
    let interface = json!({"addresses": order.address});
    let mut body =
        json!({"name": order.name, "controller": {"enabled": order.controller}, "gateway": {"enabled": order.gateway}});
    if let Some(weight) = order.weight {
        body["gateway"]["vpn"] = json!({"weight": weight});
    }
    if let Some(site) = site {
        body["site"] = site.into();
    }
    body[if order.gateway { "clientInterface" } else { "peerInterface" }] = interface;
    let appliance: Value = desk.api.post("/appliances", &body).await?;
    let id = appliance["id"].as_str().context("the answer has no id")?;
    let options = ExportRequest { validity_days: order.valid_days };
    let seed: Value = desk.api.post(&format!("/appliances/{id}/export"), &options).await?;
    write_seed(&order.seed, &seed)?;
    remark(&format!("{} may join with {}", order.name, order.seed.display()));
    Ok(())
}

fn write_seed(path: &Path, seed: &Value) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make the seed file {}", path.display()))?;
    file.write_all(&serde_json::to_vec_pretty(seed)?).context("cannot write the seed file")
}

async fn remove(desk: &Desk, name: &str, yes: bool) -> Result<()> {
    let appliance = find(desk, ObjectKind::Appliance, name).await?;
    let question = format!("Remove {name} for ever? What it signed is void at once.");
    if !yes
        && !dialoguer::Confirm::new()
            .with_prompt(question)
            .interact()
            .context("use --yes where there is no terminal")?
    {
        bail!("nothing was done");
    }
    let id = appliance["id"].as_str().context("the appliance has no id")?;
    desk.api.delete(&format!("/appliances/{id}")).await?;
    remark(&format!("{name} is removed"));
    Ok(())
}

async fn state(desk: &Desk, name: &str, order: &str) -> Result<()> {
    let id = find_id(desk, ObjectKind::Appliance, name).await?;
    desk.api.post::<Value>(&format!("/appliances/{id}/{order}"), &json!({})).await?;
    remark(&format!("{order}: {name}"));
    Ok(())
}
