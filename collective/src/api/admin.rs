//! The admin API (`/admin`): which version is spoken, who calls, then a service (T40).
//!
//! Paths, names and codes are those of the vendor's API, so that its tools can drive a Collective; `/collective`, `/apply`,
//! `/explain`, `mode` and `wait` are Ringwall's own.

mod accept;
mod answer;
mod body;
mod call;
mod collective;
mod devices;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod objects;
mod profiles;
mod providers;
mod questions;
mod resources;
mod routes;
mod sign_in;

use actix_web::HttpResponse;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig, scope};

use crate::administration::Denial;

pub(crate) use routes::SPECIAL;

/// Registers the routes of the admin API.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(
        scope("/admin").configure(routes::register).default_service(web::to(unknown)).wrap(from_fn(accept::check)),
    );
}

async fn unknown() -> Result<HttpResponse, Denial> {
    Err(Denial::NotFound("there is no such resource; see GET /admin/openapi.json".to_owned()))
}
