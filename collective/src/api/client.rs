//! The client API (`/client/v1`): what runs before a certificate, and what needs one.

use actix_web::error::JsonPayloadError;
use actix_web::web::{Data, Json, JsonConfig, ServiceConfig, post, scope};
use actix_web::{HttpRequest, HttpResponse};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{
    BeginSignIn, CertificateAnswer, CertificateRequest, ClaimsAnswer, EntitlementsAnswer, EntitlementsRequest,
    MAX_CLIENT_BODY, MAX_SIGN_IN_BODY, MfaAnswer, RenewRequest, SignInAnswer, SignInRequest, SignInWay, SignOutRequest,
    StepUpAnswer, StepUpRequest,
};
use ringwall_protocol::wire::error::ErrorCode;

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
            .app_data(json(MAX_SIGN_IN_BODY))
            .route("", post().to(sign_in))
            .route("/begin", post().to(begin_sign_in))
            .route("/mfa", post().to(sign_in_mfa)),
    );
    routes.service(
        scope("/client/v1")
            .app_data(json(MAX_CLIENT_BODY))
            .route("/certificate", post().to(certificate))
            .route("/certificate/renew", post().to(renew_certificate))
            .route("/entitlements", post().to(entitlements))
            .route("/renew", post().to(renew))
            .route("/step-up", post().to(step_up))
            .route("/step-up/mfa", post().to(step_up_mfa))
            .route("/sign-out", post().to(sign_out)),
    );
}

/// JSON bodies of at most `limit` bytes; what does not parse is answered in the form of every refusal.
#[must_use]
pub(crate) fn json(limit: usize) -> JsonConfig {
    JsonConfig::default().limit(limit).error_handler(refuse_body)
}

fn refuse_body(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let text = match &error {
        JsonPayloadError::ContentType => "expected content type application/json".to_owned(),
        // serde's text may repeat a value of the body, which may be a secret: only the place is told.
        JsonPayloadError::Deserialize(error) => {
            format!("body is not what this request takes (line {}, column {})", error.line(), error.column())
        }
        JsonPayloadError::OverflowKnownLength { limit, .. } | JsonPayloadError::Overflow { limit } => {
            format!("expected a body of at most {limit} bytes")
        }
        _ => "body could not be read".to_owned(),
    };
    Refusal::invalid(text).into()
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
    body: Json<BeginSignIn>,
) -> Answer<SignInWay> {
    controller.sign_in.begin_sign_in(&caller, &body, time(&controller)?).await.map(Json)
}

async fn sign_in(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    body: Json<SignInRequest>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_sign_in(&controller.sign_in.sign_in(&caller, body.into_inner(), time(&controller)?).await?))
}

async fn sign_in_mfa(
    controller: Data<Controller>,
    caller: UnauthenticatedClient,
    body: Json<MfaAnswer>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_sign_in(&controller.sign_in.finish_sign_in(&caller, body.into_inner(), time(&controller)?).await?))
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
    body: Json<CertificateRequest>,
) -> Answer<CertificateAnswer> {
    controller.issuing.issue_certificate(&body, caller.address, None, time(&controller)?).await.map(Json)
}

async fn renew_certificate(
    controller: Data<Controller>,
    caller: CertifiedClient,
    body: Json<CertificateRequest>,
) -> Answer<CertificateAnswer> {
    controller.issuing.issue_certificate(&body, caller.address, Some(&caller), time(&controller)?).await.map(Json)
}

async fn entitlements(
    controller: Data<Controller>,
    caller: CertifiedClient,
    body: Json<EntitlementsRequest>,
) -> Answer<EntitlementsAnswer> {
    controller.issuing.entitle(&caller, &body, time(&controller)?).await.map(Json)
}

async fn renew(
    controller: Data<Controller>,
    caller: CertifiedClient,
    body: Json<RenewRequest>,
) -> Answer<ClaimsAnswer> {
    controller.issuing.renew(&caller, &body, time(&controller)?).await.map(Json)
}

async fn step_up(
    controller: Data<Controller>,
    caller: CertifiedClient,
    body: Json<StepUpRequest>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_step_up(&controller.step_up.step_up(&caller, body.into_inner(), time(&controller)?).await?))
}

async fn step_up_mfa(
    controller: Data<Controller>,
    caller: CertifiedClient,
    body: Json<MfaAnswer>,
) -> Result<HttpResponse, Refusal> {
    Ok(answer_step_up(&controller.step_up.finish_step_up(&caller, body.into_inner(), time(&controller)?).await?))
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
    body: Json<SignOutRequest>,
) -> Result<HttpResponse, Refusal> {
    controller.revocation.sign_out(&caller, &body, time(&controller)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
