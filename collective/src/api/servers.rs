//! The thread in which HTTP servers and links of Gateways live: an actix system beside the runtime.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web::Data;
use anyhow::Context;
use tokio::sync::oneshot;

use super::{admin_routes, client, health, server};
use crate::controller::Controller;
use crate::listener::gates::Gates;
use crate::setup::config::Config;

/// The thread in which HTTP servers and links live.
pub(crate) struct HttpServers {
    handles: Vec<actix_server::ServerHandle>,
    thread: std::thread::JoinHandle<()>,
}

impl HttpServers {
    /// Starts the servers in an actix system of their own; answers when they serve, with an arbiter for links.
    pub(crate) async fn start(
        (client, admin, metrics): (TcpListener, TcpListener, Option<TcpListener>),
        config: &Config,
        gates: &Arc<Gates>,
        controller: &Arc<Controller>,
    ) -> anyhow::Result<(Self, actix_rt::ArbiterHandle)> {
        let (ready, started) = oneshot::channel();
        let workers = config.http_workers;
        let (client_gates, admin_gates) = (Arc::clone(gates), Arc::clone(gates));
        let data = Data::from(Arc::clone(controller));
        let serve = move || -> std::io::Result<Vec<actix_server::Server>> {
            let client_gate = move |stream| {
                let gates = Arc::clone(&client_gates);
                async move { gates.client(stream).await }
            };
            let admin_gate = move |stream| {
                let gates = Arc::clone(&admin_gates);
                async move { gates.admin(stream).await }
            };
            let mut servers = vec![
                server::serve("client-api", client, workers, client_gate, client::configure, data.clone())?,
                server::serve("admin-api", admin, 1, admin_gate, admin_routes, data.clone())?,
            ];
            if let Some(metrics) = metrics {
                servers.push(health::serve(metrics, data)?);
            }
            Ok(servers)
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(async move {
                let arbiter = actix_rt::Arbiter::new();
                match serve() {
                    Ok(servers) => {
                        let handles = servers.iter().map(actix_server::Server::handle).collect();
                        if ready.send(Ok((handles, arbiter.handle()))).is_ok() {
                            futures_util::future::join_all(servers).await;
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
                arbiter.stop();
            });
        })?;
        let (handles, arbiter) = started.await.context("the HTTP thread ended")??;
        Ok((Self { handles, thread }, arbiter))
    }

    /// Takes no more connections; those that are open finish what they do.
    pub(crate) async fn stop(&self) {
        for handle in &self.handles {
            handle.stop(true).await;
        }
    }

    /// Waits for the thread, which ends by itself once its servers have. Blocks no runtime thread.
    pub(crate) async fn join(self) {
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}
