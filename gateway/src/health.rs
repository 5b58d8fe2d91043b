//! Health and metrics over plain HTTP: `GET /healthz` (200 if new sessions would be admitted, else 503) and
//! `GET /metrics` (Prometheus). Bind it to an address that only operators reach.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use actix::Addr;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusHandle;
use ringwall_actors::registry::AskHealth;
use ringwall_actors::registry::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::firewall::Enforcer;

/// One request, from connect to answer.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// The registry's answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Serves until the socket breaks. To be run in an arbiter.
///
/// # Errors
/// If the address is not to be had.
pub(crate) async fn serve(
    address: SocketAddr,
    registry: Addr<Registry>,
    enforcer: Enforcer,
    metrics: PrometheusHandle,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (registry, enforcer, metrics) = (registry.clone(), enforcer.clone(), metrics.clone());
        actix_rt::spawn(async move {
            let service = service_fn(move |request| {
                let (registry, enforcer, metrics) = (registry.clone(), enforcer.clone(), metrics.clone());
                async move { Ok::<_, Infallible>(answer(&request, &registry, &enforcer, &metrics).await) }
            });
            let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            // Whoever asked has gone, or was too slow.
            let _ = timeout(REQUEST_TIME, connection).await;
        });
    }
}

async fn answer(
    request: &Request<Incoming>,
    registry: &Addr<Registry>,
    enforcer: &Enforcer,
    metrics: &PrometheusHandle,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            metrics.run_upkeep();
            response(StatusCode::OK, "text/plain; version=0.0.4", metrics.render())
        }
        (&Method::GET, "/healthz") => match timeout(ANSWER_TIME, registry.send(AskHealth)).await {
            Ok(Ok(health)) => {
                let status = if health.lease_held { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let body = json!({
                    "sessions": health.sessions,
                    "ruleSets": enforcer.rule_sets(),
                    "feedIndex": health.complete,
                    "leaseHeld": health.lease_held,
                });
                response(status, "application/json", body.to_string())
            }
            Ok(Err(_)) | Err(_) => response(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{}".to_owned()),
        },
        _ => response(StatusCode::NOT_FOUND, "text/plain", String::new()),
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a header value"));
    response
}
