//! Routes of questions: why, what if, which names, and what this API is.

use actix_web::HttpResponse;
use ringwall_protocol::wire::admin::ExplainRequest;

use super::answer::json;
use super::call::Call;
use crate::openapi;
use crate::service::administer::Denial;
use crate::service::administer::claim_names::claim_names as names_of;
use crate::service::administer::rehearsal::Rehearsal;

type Answer = Result<HttpResponse, Denial>;

pub(super) async fn explain(call: Call) -> Answer {
    let request: ExplainRequest = call.strict_json()?;
    Ok(json(&call.controller.explain_flow(&call.who, &request).await?))
}

pub(super) async fn rehearse(call: Call) -> Answer {
    let rehearsal: Rehearsal = call.json()?;
    Ok(json(&rehearsal.run(&call.who)?))
}

/// Every administrator may know how claims are called.
pub(super) async fn claim_names(call: Call) -> Answer {
    Ok(json(&names_of(&call.who.state)))
}

pub(super) async fn openapi() -> HttpResponse {
    json(openapi::document())
}
