//! Health and metrics over plain HTTP, on an address of their own; nothing here is secret and nothing can be changed.

use std::net::TcpListener;
use std::sync::OnceLock;

use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::controller::Controller;

/// What `/healthz` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    /// This Controller can decide now.
    ready: bool,
    node: u64,
    leader: Option<u64>,
    applied: u64,
    term: u64,
    /// What the other Controllers' clocks say about this one: `alone`, `agrees`, `off`, `undecided` or `unconfirmed`.
    clock: &'static str,
    /// Nothing is forgotten by this clock.
    clock_suspect: bool,
    /// How far it is off, as far as that is known.
    clock_offset_ms: Option<i64>,
    /// Audit records of Gateways can be written.
    audit_writable: bool,
}

/// The process's metrics; the first call installs the recorder.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder is installed, which then keeps its figures for itself.
        drop(metrics::set_global_recorder(recorder));
        handle
    })
}

/// Registers `/healthz`, also on the admin API.
pub(crate) fn configure(routes: &mut web::ServiceConfig) {
    routes.route("/healthz", web::get().to(health));
}

/// Serves health and metrics. The server must be awaited inside an actix system.
///
/// # Errors
/// If the listener cannot be registered.
pub(crate) fn serve(listener: TcpListener, controller: Data<Controller>) -> std::io::Result<actix_server::Server> {
    recorder();
    let app =
        move || App::new().app_data(controller.clone()).configure(configure).route("/metrics", web::get().to(render));
    Ok(HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

/// 200 if this Controller can decide, otherwise 503.
async fn health(controller: Data<Controller>) -> HttpResponse {
    let ready = controller.replica.current().await.is_ok_and(|state| state.collective().is_some());
    let status = controller.replica.status();
    let clock = controller.clock.state();
    let health = Health {
        ready,
        node: controller.replica.me().0,
        leader: status.leader.map(|node| node.0),
        applied: status.applied.0,
        term: status.term,
        clock: clock.verdict.name(),
        clock_suspect: clock.is_suspect(),
        clock_offset_ms: clock.offset_ms(),
        audit_writable: controller.peers.gateway_audit.writable(),
    };
    if ready { HttpResponse::Ok().json(health) } else { HttpResponse::ServiceUnavailable().json(health) }
}

async fn render(controller: Data<Controller>) -> HttpResponse {
    let status = controller.replica.status();
    let figure = |number: u64| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    metrics::gauge!("ringwall_raft_leader").set(f64::from(u8::from(status.leader == Some(status.node))));
    metrics::gauge!("ringwall_raft_term").set(figure(status.term));
    metrics::gauge!("ringwall_raft_applied_index").set(figure(status.applied.0));
    metrics::gauge!("ringwall_raft_voters").set(figure(status.voters.len() as u64));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(recorder().render())
}
