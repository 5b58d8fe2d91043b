//! HTTP: handlers decode, call a service, encode.
//!
//! The only room that knows statuses and headers: services refuse with a code and a text, and this says them. Owns the
//! servers and their thread. Who is at the other end was proved by the gates in `listener`.

pub(crate) mod admin;
pub(crate) mod client;
mod client_body;
pub(crate) mod extract;
pub(crate) mod health;
mod on_boarding;
pub(crate) mod openapi;
mod refusal;
mod server;
pub(crate) mod servers;

use actix_web::web::ServiceConfig;

/// Routes of the admin port: the admin API, health, and the on-boarding page.
pub(crate) fn admin_routes(routes: &mut ServiceConfig) {
    health::configure(routes);
    on_boarding::configure(routes);
    admin::configure(routes);
}
