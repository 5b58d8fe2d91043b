//! Resources by their path: what is served under a path with other methods is refused with 405 and what is allowed
//! (RFC 9110 §15.5.6).

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};

use crate::administration::Denial;

/// Resources in the order in which their paths were first named: an earlier one wins where both match.
#[derive(Default)]
pub(super) struct Resources(Vec<Served>);

struct Served {
    path: String,
    allowed: Vec<String>,
    resource: Resource,
}

impl Resources {
    /// Serves a method of a path.
    pub(super) fn add(&mut self, path: &str, method: &str, route: Route) {
        let at = self.0.iter().position(|served| served.path == path).unwrap_or_else(|| {
            self.0.push(Served { path: path.to_owned(), allowed: Vec::new(), resource: web::resource(path) });
            self.0.len() - 1
        });
        let served = self.0.swap_remove(at);
        let mut allowed = served.allowed;
        allowed.push(method.to_ascii_uppercase());
        self.0.push(Served { path: served.path, allowed, resource: served.resource.route(route) });
        let last = self.0.len() - 1;
        self.0.swap(at, last);
    }

    /// Registers all of them.
    pub(super) fn register(self, routes: &mut ServiceConfig) {
        for Served { allowed, resource, .. } in self.0 {
            let allowed = allowed.join(", ");
            let refuse = move || {
                let allowed = allowed.clone();
                async move { Err::<HttpResponse, _>(Denial::MethodNotAllowed(allowed)) }
            };
            routes.service(resource.default_service(web::to(refuse)));
        }
    }
}
