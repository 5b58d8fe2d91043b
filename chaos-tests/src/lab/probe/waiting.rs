//! A request that hangs until somebody lets it through, and can prove that it was the same connection all the time.
//!
//! The kernel goes on repeating the connection's first packet, as for any program that waits; the probe
//! holds one socket with one local port from the beginning to the answer.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{
    namespace::Namespace,
    probe::http::{HttpReply, Url, exchange},
};

/// A page that was asked for and is being waited for.
#[derive(Debug)]
pub struct WaitingRequest {
    url: Url,
    started: Instant,
    local_port: u16,
    outcome: Receiver<Result<HttpReply>>,
}

impl WaitingRequest {
    /// Begins to connect; the attempt is given up after `patience`.
    pub fn start(from: &Namespace, url: &Url, patience: Duration) -> Result<Self> {
        let (send_port, port) = mpsc::sync_channel(1);
        let (send_outcome, outcome) = mpsc::sync_channel(1);
        let (started, target) = (Instant::now(), url.clone());
        from.spawn("waiting-request", move || {
            let result = bound_socket(target.address).and_then(|(socket, local_port)| {
                // The receivers live in the probe; if it is dropped nobody wants to know.
                let _ = send_port.send(local_port);
                socket.connect_timeout(&target.address.into(), patience).context("connect")?;
                exchange(TcpStream::from(socket), &target, started, patience)
            });
            let _ = send_outcome.send(result);
        })?;
        let local_port = port.recv().context("the waiting request has no socket")?;
        Ok(Self { url: url.clone(), started, local_port, outcome })
    }

    /// The port it connects from: one connection, one port.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.local_port
    }

    /// Watches for a while and fails if the request gets an answer, or fails, in that time.
    pub fn must_hang_for(&self, time: Duration) -> Result<()> {
        match self.outcome.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(Ok(reply)) => bail!("http://{} answered with {} instead of hanging", self.url.address, reply.status),
            Ok(Err(error)) => Err(error.context("the request failed instead of hanging")),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the waiting request ended without a word")
            }
        }
    }

    /// Waits for the answer.
    pub fn answer(self, timeout: Duration) -> Result<HttpReply> {
        self.outcome
            .recv_timeout(timeout)
            .map_err(|_| anyhow!("http://{} still hangs after {:?}", self.url.address, self.started.elapsed()))?
    }
}

/// A socket that has its port before it connects.
fn bound_socket(to: SocketAddr) -> Result<(Socket, u16)> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    socket.bind(&any.into())?;
    let local = socket.local_addr()?.as_socket().context("the socket has an address")?;
    ensure!(local.port() != 0, "the kernel gave no port");
    Ok((socket, local.port()))
}
