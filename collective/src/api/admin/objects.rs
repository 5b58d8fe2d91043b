//! Routes of administered objects: the same five for every kind, and one for several together.

use actix_web::HttpResponse;
use actix_web::web::{self, Path};
use ringwall_protocol::object::ObjectKind;
use ringwall_protocol::wire::apply::ApplyRequest;
use uuid::Uuid;

use super::answer::{json, nothing, versioned};
use super::call::Call;
use super::resources::Resources;
use crate::administration::Denial;

type Answer = Result<HttpResponse, Denial>;

/// Serves list, create, read, replace and delete.
pub(super) fn register(resources: &mut Resources, kind: ObjectKind) {
    let all = format!("/{}", kind.collection());
    let one = format!("/{}/{{id}}", kind.collection());
    resources.add(&all, "get", web::get().to(move |call: Call| list(call, kind)));
    resources.add(&all, "post", web::post().to(move |call: Call| create(call, kind)));
    resources.add(&one, "get", web::get().to(move |call: Call, id: Path<String>| read(call, kind, id)));
    resources.add(&one, "put", web::put().to(move |call: Call, id: Path<String>| replace(call, kind, id)));
    resources.add(&one, "delete", web::delete().to(move |call: Call, id: Path<String>| delete(call, kind, id)));
}

#[expect(clippy::unused_async, reason = "handlers are async")]
async fn list(call: Call, kind: ObjectKind) -> Answer {
    Ok(json(&call.controller.administration.objects.list_objects(&call.who, kind, &call.wanted()?)?))
}

async fn create(call: Call, kind: ObjectKind) -> Answer {
    let written =
        call.controller.administration.objects.create_object(&call.who, kind, call.value()?, &call.repeat()?).await?;
    Ok(versioned(&written.object, written.version.0))
}

#[expect(clippy::unused_async, reason = "handlers are async")]
async fn read(call: Call, kind: ObjectKind, id: Path<String>) -> Answer {
    let written = call.controller.administration.objects.read_object(&call.who, kind, parse_id(&id)?)?;
    Ok(versioned(&written.object, written.version.0))
}

async fn replace(call: Call, kind: ObjectKind, id: Path<String>) -> Answer {
    let (body, expected, repeat) = (call.value()?, call.expected()?, call.repeat()?);
    let which = (kind, parse_id(&id)?);
    let written =
        call.controller.administration.objects.replace_object(&call.who, which, body, expected, &repeat).await?;
    Ok(versioned(&written.object, written.version.0))
}

async fn delete(call: Call, kind: ObjectKind, id: Path<String>) -> Answer {
    let which = (kind, parse_id(&id)?);
    call.controller.administration.objects.delete_object(&call.who, which, call.expected()?, &call.repeat()?).await?;
    Ok(nothing())
}

pub(super) async fn apply(call: Call) -> Answer {
    let (request, repeat): (ApplyRequest, _) = (call.strict_json()?, call.repeat()?);
    Ok(json(&call.controller.administration.objects.apply_objects(&call.who, request, &repeat).await?))
}

/// The id in a path.
pub(super) fn parse_id(text: &str) -> Result<Uuid, Denial> {
    text.parse().map_err(|_| Denial::NotFound(format!("{:?} is no id", text.chars().take(64).collect::<String>())))
}
