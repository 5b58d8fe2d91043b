//! Routes of the Collective itself: settings, appliances, status.

use actix_web::HttpResponse;
use actix_web::web::Path;
use ringwall_protocol::id::NodeId;
use ringwall_protocol::wire::admin::{AdmitRequest, ExportRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{json, nothing, versioned};
use super::call::Call;
use super::objects::parse_id;
use crate::administration::Denial;
use crate::administration::repeat::Repeat;

type Answer = Result<HttpResponse, Denial>;

/// `POST /collective/transfer`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Transfer {
    node: NodeId,
}

/// Its answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct Transferred {
    /// Who leads now.
    leader: NodeId,
}

/// Answer to an admission.
#[derive(Serialize, JsonSchema)]
pub(super) struct Admitted {
    /// As which node the Controller joined.
    node: NodeId,
}

pub(super) async fn settings(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.read_settings(&call.who)?))
}

pub(super) async fn change_settings(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.replace_settings(&call.who, call.value()?, &call.repeat()?).await?))
}

pub(super) async fn reset_settings(call: Call) -> Answer {
    call.controller.administration.members.reset_settings(&call.who, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn appliances(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.appliances_status(&call.who, &call.wanted()?)?))
}

pub(super) async fn export(call: Call, id: Path<String>) -> Answer {
    let request: ExportRequest = call.strict_json()?;
    // Never repeated: the first answer alone has the token that was kept.
    let repeat = Repeat::once();
    Ok(json(&call.controller.administration.members.export_seed(&call.who, parse_id(&id)?, &request, &repeat).await?))
}

pub(super) async fn suspend(call: Call, id: Path<String>) -> Answer {
    set_suspended(call, &id, true).await
}

pub(super) async fn resume(call: Call, id: Path<String>) -> Answer {
    set_suspended(call, &id, false).await
}

pub(super) async fn retire(call: Call, id: Path<String>) -> Answer {
    let members = &call.controller.administration.members;
    let written = members.retire(&call.who, parse_id(&id)?, &call.repeat()?).await?;
    Ok(versioned(&written.object, written.version.0))
}

async fn set_suspended(call: Call, id: &str, suspended: bool) -> Answer {
    let written = call
        .controller
        .administration
        .members
        .set_suspended(&call.who, parse_id(id)?, suspended, &call.repeat()?)
        .await?;
    Ok(versioned(&written.object, written.version.0))
}

pub(super) async fn sites(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.sites_status(&call.who, &call.wanted()?)?))
}

pub(super) async fn status(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.collective_status(&call.who)?))
}

pub(super) async fn approvals(call: Call) -> Answer {
    Ok(json(&call.controller.administration.approvals.list_orders(&call.who, &call.wanted()?)))
}

pub(super) async fn approve(call: Call, id: Path<String>) -> Answer {
    let administration = &call.controller.administration;
    let (id, repeat) = (parse_id(&id)?, call.repeat()?);
    Ok(json(&administration.approvals.approve(&administration.access, &call.who, id, &repeat).await?))
}

pub(super) async fn withdraw(call: Call, id: Path<String>) -> Answer {
    call.controller.administration.approvals.withdraw(&call.who, parse_id(&id)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn waiting(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.list_waiting(&call.who, &call.wanted()?)?))
}

pub(super) async fn admit(call: Call, id: Path<String>) -> Answer {
    let (id, request): (_, AdmitRequest) = (parse_id(&id)?, call.strict_json()?);
    let node = call.controller.administration.members.admit(&call.who, id, &request, &call.repeat()?).await?;
    Ok(json(&Admitted { node }))
}

pub(super) async fn turn_away(call: Call, id: Path<String>) -> Answer {
    call.controller.administration.members.turn_away(&call.who, parse_id(&id)?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn transfer(call: Call) -> Answer {
    let order: Transfer = call.json()?;
    call.controller.administration.members.transfer_leadership(&call.who, order.node).await?;
    Ok(json(&Transferred { leader: order.node }))
}

pub(super) async fn rotate_keys(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.rotate_keys(&call.who, &call.repeat()?).await?))
}

pub(super) async fn end_former_keys(call: Call) -> Answer {
    Ok(json(&call.controller.administration.members.end_former_keys(&call.who, &call.repeat()?).await?))
}
