//! actix-web behind our own gate: actix-server accepts and owns the workers, the gate proves the peer, then HTTP.
//!
//! A handler learns from [`Connection`](crate::listener::connection::Connection) who is at the other end. A panic in a
//! handler ends that connection only.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions};
use actix_web::{App, web};
use tokio::net::TcpStream;

use crate::controller::Controller;
use crate::listener::connection::Secured;

/// A request's head must be complete within this.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection to an API is closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves routes on a listener behind `gate`, which turns a TCP connection into a proved one or drops it silently.
/// The returned server must be awaited inside an actix system.
///
/// # Errors
/// If the listener cannot be registered.
pub(super) fn serve<G, F>(
    name: &'static str,
    listener: TcpListener,
    workers: usize,
    gate: G,
    routes: fn(&mut web::ServiceConfig),
    data: web::Data<Controller>,
) -> io::Result<actix_server::Server>
where
    G: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Secured>> + 'static,
{
    let server = actix_server::Server::build().workers(workers).disable_signals().shutdown_timeout(3).listen(
        name,
        listener,
        move || {
            let data = data.clone();
            let app = App::new().app_data(data).configure(routes);
            let app =
                IntoServiceFactory::<_, actix_http::Request>::into_factory(app).map_err(|error| error.error_response());
            let http = HttpService::<Secured, _, _>::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(REQUEST_HEAD_TIMEOUT)
                .on_connect_ext(remember)
                .finish(map_config(app, |()| AppConfig::default()));
            let gate = gate.clone();
            fn_service(move |stream: TcpStream| {
                let proving = gate(stream);
                async move {
                    let secured = proving.await?;
                    let peer = secured.connection().peer;
                    Ok::<_, io::Error>((secured, Protocol::Http1, Some(peer)))
                }
            })
            .map_err(|_: io::Error| ())
            .and_then(http.map_err(|_| ()))
        },
    )?;
    Ok(server.run())
}

fn remember(secured: &Secured, extensions: &mut Extensions) {
    extensions.insert(secured.connection().clone());
}
