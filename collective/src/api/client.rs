//! The client API (`/client/v1`): what runs before a certificate, and what needs one.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, ServiceConfig, post, scope};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{
    BeginSignIn, CertificateAnswer, CertificateRequest, ClaimsAnswer, EntitlementsAnswer, EntitlementsRequest,
    MAX_CLIENT_BODY, MAX_SIGN_IN_BODY, MfaAnswer, RenewRequest, SignInAnswer, SignInRequest, SignInWay, SignOutRequest,
    StepUpAnswer, StepUpRequest,
};
use ringwall_protocol::wire::error::ErrorCode;

use super::client_body::{Body, BodyLimit};
use crate::clock;
use crate::clock::agreement::Verdict;
use crate::controller::Controller;
use crate::issuing::CertifiedClient;
use crate::refusal::Refusal;
use crate::sign_in::UnauthenticatedClient;

type Answer<T> = Result<Json<T>, Refusal>;

/// Registers the routes of the client API.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(
        scope("/client/v1/sign-in")
            .app_data(BodyLimit(MAX_SIGN_IN_BODY))
            .route("", post().to(sign_in))
            .route("/begin", post().to(begin_sign_in))
            .route("/mfa", post().to(sign_in_mfa)),
    );
    routes.service(
        scope("/client/v1")
            .app_data(BodyLimit(MAX_CLIENT_BODY))
            .route("/certificate", post().to(certificate))
            .route("/certificate/renew", post().to(renew_certificate))
            .route("/entitlements", post().to(entitlements))
            .route("/renew", post().to(renew))
            .route("/step-up", post().to(step_up))
            .route("/step-up/mfa", post().to(step_up_mfa))
            .route("/sign-out", post().to(sign_out)),
    );
}

/// The time at which a Client's request is judged.
///
/// # Errors
/// `clockSuspect` while the majority's clocks say that this one is off: they serve, and what is minted here would be of
/// another time.
fn time(controller: &Controller) -> Result<UnixMillis, Refusal> {
    match controller.clock.state().verdict {
        Verdict::Off(_) => {
            Err(Refusal::new(ErrorCode::ClockSuspect, "this controller's clock is off; try another controller"))
        }
        _ => Ok(clock::now()),
    }
}

async fn begin_sign_in(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    Body(body): Body<BeginSignIn>,
) -> Answer<SignInWay> {
    controller.sign_in.begin_sign_in(&caller, &body, time(&controller)?).await.map(Json)
}

async fn sign_in(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    Body(body): Body<SignInRequest>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_sign_in(&controller.sign_in.sign_in(&caller, body, time(&controller)?).await?))
}

async fn sign_in_mfa(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    Body(body): Body<MfaAnswer>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_sign_in(&controller.sign_in.finish_sign_in(&caller, body, time(&controller)?).await?))
}

fn answer_sign_in(answer: &SignInAnswer) -> HttpResponse {
    match answer {
        SignInAnswer::SignedIn(_) => HttpResponse::Ok().json(answer),
        SignInAnswer::MfaWanted(_) => HttpResponse::Accepted().json(answer),
    }
}

async fn certificate(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    Body(body): Body<CertificateRequest>,
) -> Answer<CertificateAnswer> {
    controller.issuing.issue_certificate(&body, caller.address, None, time(&controller)?).await.map(Json)
}

async fn renew_certificate(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<CertificateRequest>,
) -> Answer<CertificateAnswer> {
    controller.issuing.issue_certificate(&body, caller.address, Some(&caller), time(&controller)?).await.map(Json)
}

async fn entitlements(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<EntitlementsRequest>,
) -> Answer<EntitlementsAnswer> {
    controller.issuing.entitle(&caller, &body, time(&controller)?).await.map(Json)
}

async fn renew(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<RenewRequest>,
) -> Answer<ClaimsAnswer> {
    controller.issuing.renew(&caller, &body, time(&controller)?).await.map(Json)
}

async fn step_up(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<StepUpRequest>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_step_up(&controller.step_up.step_up(&caller, body, time(&controller)?).await?))
}

async fn step_up_mfa(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<MfaAnswer>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_step_up(&controller.step_up.finish_step_up(&caller, body, time(&controller)?).await?))
}

fn answer_step_up(answer: &StepUpAnswer) -> HttpResponse {
    match answer {
        StepUpAnswer::Claims(_) => HttpResponse::Ok().json(answer),
        StepUpAnswer::Wanted(_) => HttpResponse::Accepted().json(answer),
    }
}

async fn sign_out(
    controller: Data<Controller>,
    caller: CertifiedClient,
    Body(body): Body<SignOutRequest>,
) -> Result<HttpResponse, Refusal> {
    controller.revocation.sign_out(&caller, &body, time(&controller)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
