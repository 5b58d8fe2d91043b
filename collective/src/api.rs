//! HTTP: handlers decode, call a service, encode.

pub mod admin;
pub mod client;
pub mod extract;
pub mod health;

use actix_web::web::ServiceConfig;

/// Routes of the admin port: the admin API, and health.
pub fn admin_routes(routes: &mut ServiceConfig) {
    health::configure(routes);
    admin::configure(routes);
}
