//! Routes of questions about providers: does one answer, what does it know of a user.

use actix_web::HttpResponse;
use actix_web::web::Path;
use ringwall_protocol::object::ObjectKind;

use super::answer::json;
use super::call::Call;
use super::objects::parse_id;
use crate::administration::Denial;
use crate::administration::objects::provider_test::AttributesRequest;

type Answer = Result<HttpResponse, Denial>;

pub(super) async fn test_identity(call: Call) -> Answer {
    let (kind, body) = (ObjectKind::IdentityProvider, call.value()?);
    Ok(json(&call.controller.administration.objects.test_provider(&call.who, kind, body).await?))
}

pub(super) async fn test_factor(call: Call) -> Answer {
    let (kind, body) = (ObjectKind::MfaProvider, call.value()?);
    Ok(json(&call.controller.administration.objects.test_provider(&call.who, kind, body).await?))
}

pub(super) async fn attributes(call: Call, id: Path<String>) -> Answer {
    let request: AttributesRequest = call.json()?;
    Ok(json(&call.controller.administration.objects.user_attributes(&call.who, parse_id(&id)?, &request).await?))
}
