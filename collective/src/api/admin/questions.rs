//! Routes of questions: why, what if, which names, and what this API is.

use actix_web::HttpResponse;
use ringwall_protocol::wire::admin::ExplainRequest;
use ringwall_protocol::wire::what_if::Draft;

use super::answer::json;
use super::call::Call;
use crate::administration::Denial;
use crate::administration::questions::claim_names::claim_names as names_of;
use crate::administration::questions::lint::lint as lint_of;
use crate::administration::questions::rehearsal::Rehearsal;
use crate::api::openapi;
use crate::refusal::Refusal;

type Answer = Result<HttpResponse, Denial>;

pub(super) async fn explain(call: Call) -> Answer {
    let request: ExplainRequest = call.strict_json()?;
    Ok(json(&call.controller.administration.questions.explain_flow(&call.who, &request).await?))
}

pub(super) async fn simulate(call: Call) -> Answer {
    let draft: Draft = call.strict_json()?;
    Ok(json(&call.controller.administration.questions.simulate(&call.who, &draft).await?))
}

pub(super) async fn lint(call: Call) -> Answer {
    let draft: Draft = call.strict_json()?;
    let who = call.who.clone();
    // Rules compare every entitlement with every other: not on a thread that answers requests.
    let answer = tokio::task::spawn_blocking(move || lint_of(&who, &draft)).await;
    let answer = answer.map_err(|error| {
        tracing::error!(%error, "the linter panicked");
        Refusal::internal()
    })?;
    Ok(json(&answer?))
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
