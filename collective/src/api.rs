//! HTTP: handlers decode, call a service, encode.

pub mod admin;
pub mod client;
pub mod extract;
pub mod health;
mod on_boarding;
pub mod openapi;
mod refusal;
mod server;
pub(crate) mod servers;

use actix_web::web::ServiceConfig;

/// Routes of the admin port: the admin API, health, and the on-boarding page.
pub fn admin_routes(routes: &mut ServiceConfig) {
    health::configure(routes);
    on_boarding::configure(routes);
    admin::configure(routes);
}
