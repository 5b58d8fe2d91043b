//! Routes of signing in and out.

use actix_web::HttpResponse;
use ringwall_protocol::wire::admin::{LOWEST_VERSION, LoginRequest, VERSION, VersionAnswer};
use serde::Deserialize;
use serde_json::json;

use super::answer::{json, nothing};
use super::call::{Call, StrangersCall};
use crate::administration::Denial;
use crate::administration::access::session::{Caller, PendingSignIn};
use crate::administration::access::sign_in::{Steps, again, offers};
use crate::clock;

type Answer = Result<HttpResponse, Denial>;

/// `POST /authentication/otp`.
#[derive(Deserialize)]
struct Otp {
    otp: String,
}

pub(super) async fn version() -> HttpResponse {
    json(&VersionAnswer { peer_version: VERSION, lowest_peer_version_supported: LOWEST_VERSION })
}

pub(super) async fn providers(call: StrangersCall) -> Answer {
    let state = call.controller.replica.current().await?;
    Ok(json(&json!({ "data": offers(&state) })))
}

pub(super) async fn login(call: StrangersCall) -> Answer {
    enter(call, Steps::One).await
}

pub(super) async fn authenticate(call: StrangersCall) -> Answer {
    enter(call, Steps::Two).await
}

async fn enter(call: StrangersCall, steps: Steps) -> Answer {
    let request: LoginRequest = call.json()?;
    Ok(json(
        &call
            .controller
            .administration
            .access
            .sign_in_administrator(call.address, request, steps, clock::now())
            .await?,
    ))
}

pub(super) async fn initialize(call: StrangersCall) -> Answer {
    let pending = pending(&call).await?;
    Ok(json(&call.controller.administration.access.offer_factor(&pending).await?))
}

pub(super) async fn otp(call: StrangersCall) -> Answer {
    let answer: Otp = call.json()?;
    let pending = pending(&call).await?;
    Ok(json(&call.controller.administration.access.take_factor(&pending, answer.otp.trim()).await?))
}

/// Whoever is signed in already needs no other factor.
async fn pending(call: &StrangersCall) -> Result<Box<PendingSignIn>, Denial> {
    match call.controller.administration.access.caller(call.authorization(), call.address, clock::now()).await? {
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

pub(super) async fn logout(call: Call) -> Answer {
    call.controller.administration.access.end_session(&call.who).await?;
    Ok(nothing())
}
