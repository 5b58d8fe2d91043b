//! Routes of signing in and out.

use actix_web::HttpResponse;
use actix_web::web::Path;
use ringwall_protocol::id::AdminSessionId;
use ringwall_protocol::wire::admin::{LOWEST_VERSION, LoginRequest, ProviderOffer, VERSION, VersionAnswer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{json, nothing};
use super::call::{Call, StrangersCall};
use super::objects::parse_id;
use crate::administration::Denial;
use crate::administration::access::session::{Caller, PendingSignIn};
use crate::administration::access::sign_in::{Steps, again, offers};
use crate::administration::repeat::Repeat;
use crate::clock;

type Answer = Result<HttpResponse, Denial>;

/// `POST /authentication/otp`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Otp {
    otp: String,
}

/// `POST /authentication/otp/initialize`; other tools send more.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialize {
    #[serde(default)]
    enrolment_code: Option<String>,
}

/// Providers at which administrators sign in.
#[derive(Serialize, JsonSchema)]
pub(super) struct ProviderOffers {
    data: Vec<ProviderOffer>,
}

pub(super) async fn version() -> HttpResponse {
    json(&VersionAnswer { peer_version: VERSION, lowest_peer_version_supported: LOWEST_VERSION })
}

pub(super) async fn providers(call: StrangersCall) -> Answer {
    let state = call.controller.replica.current().await?;
    Ok(json(&ProviderOffers { data: offers(&state) }))
}

pub(super) async fn login(call: StrangersCall) -> Answer {
    enter(call, Steps::One).await
}

pub(super) async fn authenticate(call: StrangersCall) -> Answer {
    enter(call, Steps::Two).await
}

async fn enter(call: StrangersCall, steps: Steps) -> Answer {
    let request: LoginRequest = call.json()?;
    let url = call.url();
    let from = (call.credentials(&url), call.address);
    let access = &call.controller.administration.access;
    Ok(json(&access.sign_in_administrator(from, request, steps, clock::now()).await?))
}

pub(super) async fn initialize(call: StrangersCall) -> Answer {
    let Initialize { enrolment_code } = call.json()?;
    let pending = pending(&call).await?;
    let access = &call.controller.administration.access;
    Ok(json(&access.offer_factor(&pending, enrolment_code.as_deref()).await?))
}

pub(super) async fn otp(call: StrangersCall) -> Answer {
    let answer: Otp = call.json()?;
    let pending = pending(&call).await?;
    Ok(json(&call.controller.administration.access.take_factor(&pending, answer.otp.trim()).await?))
}

/// Whoever is signed in already needs no other factor.
async fn pending(call: &StrangersCall) -> Result<Box<PendingSignIn>, Denial> {
    let url = call.url();
    match call.controller.administration.access.caller(call.credentials(&url), call.address, clock::now()).await? {
        Caller::PendingFactor(pending) => Ok(pending),
        Caller::SignedIn(_) => Err(Denial::Conflict("no other factor is wanted: this session is complete".to_owned())),
    }
}

pub(super) async fn authorization(call: Call) -> Answer {
    Ok(json(&again(&call.who, call.token())))
}

pub(super) async fn knock_key(call: Call) -> Answer {
    Ok(json(&call.controller.administration.access.knock_key(&call.who)?))
}

pub(super) async fn sessions(call: Call) -> Answer {
    let wanted = call.wanted()?;
    Ok(json(&call.controller.administration.access.list_administrator_sessions(&call.who, &wanted)?))
}

pub(super) async fn end_session(call: Call, id: Path<String>) -> Answer {
    let id = AdminSessionId::new(parse_id(&id)?);
    call.controller.administration.access.end_administrator_session(&call.who, id, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn renew_break_glass(call: Call) -> Answer {
    // Never repeated: the first answer alone has the code that was kept.
    Ok(json(&call.controller.administration.access.renew_break_glass(&call.who, &Repeat::once()).await?))
}

pub(super) async fn logout(call: Call) -> Answer {
    call.controller.administration.access.end_session(&call.who).await?;
    Ok(nothing())
}
