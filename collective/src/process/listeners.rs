//! The ports of a Controller: bound before anything runs, so that an address in use is found at once; open for connections
//! only when the guard stands that the state wants, so that a port is dark from the first moment (T53).

use std::net::{SocketAddr, TcpListener};

use ringwall_startup::CannotListen;
use socket2::{Domain, SockRef, Socket, Type};

use crate::setup::config::Config;

/// Connections that the kernel holds until they are accepted, as far as `net.core.somaxconn` allows.
const BACKLOG: i32 = 4_096;

/// Addresses of listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Client API.
    pub client: SocketAddr,
    /// Admin API.
    pub admin: SocketAddr,
    /// Peers.
    pub peer: SocketAddr,
    /// Metrics and health.
    pub metrics: Option<SocketAddr>,
}

/// Bound sockets, on which nothing listens before [`Listeners::listen`].
pub(super) struct Listeners {
    pub(super) client: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) peer: TcpListener,
    pub(super) metrics: Option<TcpListener>,
}

impl Listeners {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |what: &str, address: SocketAddr| -> anyhow::Result<TcpListener> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            let bound = socket.bind(&address.into());
            bound.map_err(|error| CannotListen::new(address, what, error))?;
            Ok(socket.into())
        };
        Ok(Self {
            client: bind("client API", config.listen_client)?,
            admin: bind("admin API", config.listen_admin)?,
            peer: bind("peers", config.listen_peer)?,
            metrics: config.listen_metrics.map(|address| bind("metrics", address)).transpose()?,
        })
    }

    /// From now on the kernel completes connections.
    pub(super) fn listen(&self) -> anyhow::Result<()> {
        let all = [("client API", &self.client), ("admin API", &self.admin), ("peers", &self.peer)];
        for (what, listener) in all.into_iter().chain(self.metrics.as_ref().map(|metrics| ("metrics", metrics))) {
            let address = listener.local_addr()?;
            // Two sockets may have the address as long as neither listens.
            SockRef::from(listener).listen(BACKLOG).map_err(|error| CannotListen::new(address, what, error))?;
        }
        Ok(())
    }

    pub(super) fn bound(&self) -> anyhow::Result<Bound> {
        Ok(Bound {
            client: self.client.local_addr()?,
            admin: self.admin.local_addr()?,
            peer: self.peer.local_addr()?,
            metrics: self.metrics.as_ref().map(TcpListener::local_addr).transpose()?,
        })
    }

    /// Second handles for the HTTP thread.
    pub(super) fn http(&self) -> anyhow::Result<(TcpListener, TcpListener, Option<TcpListener>)> {
        let metrics = self.metrics.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok((self.client.try_clone()?, self.admin.try_clone()?, metrics))
    }
}
