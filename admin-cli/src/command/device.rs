//! `device`: registered devices, and the tokens that they hold.

use anyhow::Result;
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::admin::{List, OnBoardedDevice, ReevaluateAnswer, RevokeAnswer, RevokeRequest};
use serde_json::json;

use super::Desk;
use super::object::find_id;
use crate::cli::{Device, Revoke};
use crate::connection::escape;
use crate::output::{Format, Rows, remark, say};

pub(super) async fn run(desk: &Desk, order: Device) -> Result<()> {
    match order {
        Device::List { query } => list(desk, query).await,
        Device::Revoke(order) => revoke(desk, order).await,
        Device::Reevaluate { dn } => reevaluate(desk, &dn).await,
        Device::RevokeSpaKey { dn } => revoke_spa_key(desk, &dn).await,
        Device::Remove { dn } => remove(desk, &dn).await,
    }
}

async fn list(desk: &Desk, query: Option<String>) -> Result<()> {
    let query = query.map_or_else(String::new, |query| format!("?query={}", escape(&query)));
    let list: List<OnBoardedDevice> = desk.api.get(&format!("/on-boarded-devices{query}")).await?;
    desk.output.print(&list.data, |devices| rows(devices))
}

async fn revoke(desk: &Desk, order: Revoke) -> Result<()> {
    let site_id = match &order.site {
        Some(site) => Some(find_id(desk, ObjectKind::Site, site).await?.parse()?),
        None => None,
    };
    let mode = if order.cut {
        "cut"
    } else if order.delay.is_some() || order.rate.is_some() {
        "renewWindow"
    } else {
        "renewNow"
    };
    let request = RevokeRequest {
        distinguished_name_filter: order.dn.unwrap_or_default(),
        site_id,
        token_type: order.token_type,
        revocation_reason: order.reason,
        delay_minutes: order.delay.unwrap_or(0),
        devices_per_second: order.rate.unwrap_or(20.0),
        mode: Some(mode.to_owned()),
        wait: order.wait.map(|_| "enforced".to_owned()),
        command_id: Some(ringwall_protocol::id::CommandId::new(uuid::Uuid::new_v4())),
        ..RevokeRequest::default()
    };
    let answer: RevokeAnswer = desk.api.post("/on-boarded-devices/revoke-tokens", &request).await?;
    if desk.output != Format::Table {
        return desk.output.print(&answer, |_| Rows::default());
    }
    let indexes: Vec<_> = answer.indexes.iter().map(ToString::to_string).collect();
    say(&format!("{mode}: {} device(s), log index {}", answer.data.len(), indexes.join(", ")))?;
    if request.wait.is_some() {
        say(&enforcement(&answer).to_string())?;
    }
    Ok(())
}

fn enforcement(answer: &RevokeAnswer) -> Rows {
    let row = |it: &ringwall_protocol::wire::admin::GatewayEnforcement| {
        let outcome = match (it.enforced_after_ms, &it.lease_ends) {
            (Some(ms), _) => format!("enforced after {ms:.1} ms"),
            (None, Some(end)) => format!("not reached; its lease ends at {end}"),
            (None, None) => "not reached; it holds no lease".to_owned(),
        };
        vec![it.name.clone(), outcome]
    };
    Rows { titles: vec!["gateway", "enforced"], rows: answer.enforced.iter().map(row).collect() }
}

async fn reevaluate(desk: &Desk, dn: &str) -> Result<()> {
    let path = format!("/on-boarded-devices/reevaluate/{}", escape(dn));
    let answer: ReevaluateAnswer = desk.api.post(&path, &json!({})).await?;
    desk.output.print(&answer, |answer| Rows {
        titles: vec!["reevaluated"],
        rows: answer.reevaluated.iter().map(|dn| vec![dn.to_string()]).collect(),
    })
}

async fn revoke_spa_key(desk: &Desk, dn: &str) -> Result<()> {
    let path = format!("/on-boarded-devices/revoke-spa-key/{}", escape(dn));
    let _: serde_json::Value = desk.api.post(&path, &json!({})).await?;
    remark(&format!("{dn} knocks with its profile's key at its next sign-in, and is given a new one"));
    Ok(())
}

async fn remove(desk: &Desk, dn: &str) -> Result<()> {
    desk.api.delete(&format!("/on-boarded-devices/{}", escape(dn))).await?;
    remark(&format!("removed {dn}; its tokens are revoked"));
    Ok(())
}

fn rows(devices: &[OnBoardedDevice]) -> Rows {
    let row = |it: &OnBoardedDevice| {
        let (name, last) = (it.distinguished_name.to_string(), it.last_seen_at.to_string());
        vec![it.username.clone(), it.provider_name.clone(), it.hostname.clone(), last, name]
    };
    Rows {
        titles: vec!["user", "provider", "hostname", "last seen", "distinguished name"],
        rows: devices.iter().map(row).collect(),
    }
}
