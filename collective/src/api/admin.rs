//! Routes of the admin API.

use actix_web::web::ServiceConfig;

/// Registers the routes of the admin API.
pub fn configure(_routes: &mut ServiceConfig) {}
