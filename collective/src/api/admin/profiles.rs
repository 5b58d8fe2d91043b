//! Routes of client profiles' links. All of them give out what may be a secret: no cache keeps it.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use ringwall_protocol::wire::admin::{BarcodeFormat, OnBoardingRequest, ProfileUrl};
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::objects::parse_id;
use crate::administration::Denial;

type Answer = Result<HttpResponse, Denial>;

/// `?format=`
#[derive(Deserialize)]
struct Picture {
    #[serde(default)]
    format: BarcodeFormat,
}

pub(super) async fn url(call: Call, id: Path<String>) -> Answer {
    let url = call.controller.administration.profiles.profile_link(&call.who, parse_id(&id)?).await?;
    Ok(unkept(&ProfileUrl { url }))
}

pub(super) async fn barcode(call: Call, id: Path<String>) -> Answer {
    let Picture { format } = call.query()?;
    Ok(unkept(&call.controller.administration.profiles.profile_barcode(&call.who, parse_id(&id)?, format).await?))
}

pub(super) async fn email(call: Call, id: Path<String>) -> Answer {
    Ok(unkept(&call.controller.administration.profiles.profile_email(&call.who, parse_id(&id)?).await?))
}

pub(super) async fn page(call: Call, id: Path<String>) -> Answer {
    Ok(unkept(&call.controller.administration.profiles.profile_page(&call.who, parse_id(&id)?).await?))
}

pub(super) async fn on_boarding(call: Call, id: Path<String>) -> Answer {
    let request: OnBoardingRequest = call.strict_json()?;
    Ok(unkept(&call.controller.administration.profiles.profile_on_boarding(&call.who, parse_id(&id)?, &request).await?))
}

fn unkept(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}
