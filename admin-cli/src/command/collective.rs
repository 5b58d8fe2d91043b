//! `collective`: Controllers and Gateways.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::object::settings::DualControl;
use ringwall_protocol::wire::admin::{
    BreakGlassStatus, CollectiveStatus, ControllerStatus, ExportRequest, GatewayStatus, SharedKeys,
};
use serde_json::{Value, json};

use super::Desk;
use super::object::{find, find_id};
use super::sign_in::renew_knock_key;
use crate::cli::{Add, Collective};
use crate::output::{Format, Rows, remark, say};
use crate::session::Session;

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
        Collective::RotateKeys => {
            let keys: SharedKeys = desk.api.post("/collective/rotate-keys", &json!({})).await?;
            remark("key rotation ordered; `ringctl collective status` shows how far it is");
            desk.output.print(&keys, |keys| Rows { titles: KEY_TITLES.to_vec(), rows: vec![key_row(keys)] })
        }
        Collective::EndFormerKeys { yes } => end_former_keys(desk, yes).await,
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
    say(&shared_keys(&status.keys))?;
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

const KEY_TITLES: [&str; 4] = ["generation", "stage", "waiting for", "former knock keys"];

fn key_row(keys: &SharedKeys) -> Vec<String> {
    let former = if keys.former_knock_keys { "accepted" } else { "ended" };
    vec![keys.generation.to_string(), keys.stage.clone(), keys.waiting_for.join(", "), former.to_owned()]
}

fn shared_keys(keys: &SharedKeys) -> String {
    let mut line = format!("shared keys: generation {}, {}", keys.generation, keys.stage);
    if !keys.waiting_for.is_empty() {
        line.push_str(&format!(", waiting for {}", keys.waiting_for.join(", ")));
    }
    if keys.former_knock_keys {
        line.push_str("; former knock keys are still accepted");
        if !keys.members_with_former_key.is_empty() {
            line.push_str(&format!(" and needed by {}", keys.members_with_former_key.join(", ")));
        }
    }
    line
}

async fn end_former_keys(desk: &Desk, yes: bool) -> Result<()> {
    let question = "End the former knock keys? Profile links and administrators' keys from before the rotation open no port any more.";
    confirm(yes, question)?;
    // The administrator's own key may be one of them.
    let mut session = Session::load(&desk.session)?.context("the session file is gone; sign in again")?;
    renew_knock_key(&mut session).await?;
    session.save(&desk.session)?;
    desk.api.post::<SharedKeys>("/collective/end-former-keys", &json!({})).await?;
    remark("former knock keys are ended");
    Ok(())
}

fn controller(it: &ControllerStatus) -> Vec<String> {
    let lag = it.lag.map_or_else(String::new, |lag| lag.to_string());
    let clock = it.clock_offset_ms.map_or_else(String::new, |millis| format!("{:+.1} s", millis as f64 / 1_000.0));
    vec![it.name.clone(), it.node.to_string(), it.role.clone(), format!("{:?}", it.state).to_lowercase(), lag, clock]
}

fn gateway(it: &GatewayStatus) -> Vec<String> {
    // The Controller that was asked knows of its own feeds only; sessions show that a Gateway has one elsewhere.
    let feed = match it.sessions {
        _ if it.connected => "here",
        Some(1..) => "elsewhere",
        _ => "not here",
    };
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

/// Goes on if `yes` was said, on the command line or now.
pub(super) fn confirm(yes: bool, question: &str) -> Result<()> {
    let confirmed = yes
        || dialoguer::Confirm::new()
            .with_prompt(question)
            .interact()
            .context("use --yes where there is no terminal")?;
    if confirmed { Ok(()) } else { bail!("nothing was done") }
}

async fn remove(desk: &Desk, name: &str, yes: bool) -> Result<()> {
    let appliance = find(desk, ObjectKind::Appliance, name).await?;
    confirm(yes, &format!("Remove {name} for ever? What it signed is invalid at once."))?;
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
