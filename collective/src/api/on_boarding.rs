//! The on-boarding page over HTTP, at the admin port beside the admin API.

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::refusal::status_of;
use crate::administration::profiles::on_boarding::{PATH, page};
use crate::clock;
use crate::controller::Controller;
use crate::listener::connection::Connection;
use crate::refusal::Refusal;

/// Registers the page.
pub(super) fn configure(routes: &mut web::ServiceConfig) {
    routes.route(&format!("{PATH}/{{token}}"), web::get().to(show));
}

async fn show(controller: Data<Controller>, request: HttpRequest, token: Path<String>) -> HttpResponse {
    let shown = match request.conn_data::<Connection>() {
        Some(connection) => {
            controller.administration.profiles.on_boarding_page(connection.peer.ip(), &token, clock::now()).await
        }
        None => Err(Refusal::internal()),
    };
    match shown {
        Ok(html) => guarded(StatusCode::OK).content_type("text/html; charset=utf-8").body(html),
        Err(refusal) => {
            guarded(status_of(refusal.code)).content_type("text/plain; charset=utf-8").body(refusal.message)
        }
    }
}

/// What tells a browser to keep, frame, send and load nothing.
fn guarded(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, page::POLICY.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header(("x-robots-tag", "noindex, nofollow"));
    response
}
