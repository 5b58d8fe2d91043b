//! One question to RADIUS servers: sent again until somebody answers authentically, the servers in turn (RFC 5080
//! §2.2.1). A random identifier, a random port of the kernel, a socket that hears one server only.
//!
//! What is sent again is the same packet, from the same port: a server that waits for a person knows it, and asks nobody a
//! second time (RFC 5080 §2.2.2). A server that stays silent although it was given the time of a person may still have asked
//! one: nothing is asked anew for that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ringwall_trust::secret::{Random as Source, SystemRandom};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::packet::{Asked, MAX_PACKET, PacketError, Random, Request, Response, TooLong};
use crate::identity::outbound::{Outbound, OutboundError};
use crate::refusal::Refusal;

/// First wait before a request is sent again; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(1_200);
/// Longest such wait: MRT of RFC 5080 §2.2.1.
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// Whoever gives servers more time than this lets them ask people; machines take less.
const MACHINE_TIME: Duration = Duration::from_secs(15);
/// Least time that each server gets.
const LEAST_SHARE: Duration = Duration::from_millis(1_500);

/// Where servers are, and for how long they are asked.
pub(crate) struct Servers<'a> {
    /// In the order in which they are asked.
    pub(crate) hosts: &'a [String],
    /// Of all of them.
    pub(crate) port: u16,
    /// For all of them together; above [`MACHINE_TIME`], for the first that can be reached.
    pub(crate) timeout: Duration,
    /// Where they may be.
    pub(crate) outbound: &'a Outbound,
}

/// Why no server answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// No way there.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The socket failed.
    #[error("{host}: {cause}")]
    Socket {
        /// Which server.
        host: String,
        /// What the system says.
        cause: String,
    },
    /// Nothing came in time.
    #[error("{0} does not answer; is the shared secret the server's?")]
    Silent(String),
    /// Nothing came in the time that a person was given.
    #[error(
        "{host} does not answer within {} s; if it asks the user on another device, timeout must be longer than that takes",
        .waited.as_secs()
    )]
    Unconfirmed {
        /// Which server.
        host: String,
        /// How long it had.
        waited: Duration,
    },
    /// Only answers came that do not count.
    #[error("{host} sent {cause}")]
    Unauthentic {
        /// Which server.
        host: String,
        /// What was wrong with the last.
        cause: PacketError,
    },
    /// Nothing was sent.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// No secret was saved with the provider.
    #[error("a secret of the provider is not set")]
    NoSecret,
    /// The provider has no servers.
    #[error("hostnames is empty")]
    NoServers,
}

impl Trouble {
    /// The refusal for whoever signs in; the cause goes into the log.
    #[must_use]
    pub(crate) fn refuse(&self, provider: &str) -> Refusal {
        tracing::warn!(provider, cause = %self, "no RADIUS server can be asked");
        metrics::counter!("ringwall_provider_failures_total").increment(1);
        let refusal = Refusal::provider_unavailable();
        match self {
            // Another Controller would ask the same person again.
            Self::Unconfirmed { .. } => refusal.for_good(),
            _ => refusal,
        }
    }
}

/// Asks the servers in turn; answers which one answered.
///
/// # Errors
/// [`Trouble`] of the last one.
pub(crate) async fn ask(
    servers: &Servers<'_>,
    asked: &Asked<'_>,
    secret: &[u8],
) -> Result<(String, Response), Trouble> {
    let end = Instant::now() + servers.timeout;
    let count = u32::try_from(servers.hosts.len()).unwrap_or(u32::MAX).max(1);
    let people = servers.timeout > MACHINE_TIME;
    let share = if people { servers.timeout } else { (servers.timeout / count).max(LEAST_SHARE) };
    let mut last = Trouble::NoServers;
    for host in servers.hosts {
        let until = (Instant::now() + share).min(end);
        if until <= Instant::now() {
            break;
        }
        match ask_one(servers, host, asked, secret, until).await {
            Ok(response) => return Ok((host.clone(), response)),
            Err(trouble @ (Trouble::TooLong(_) | Trouble::Unconfirmed { .. })) => return Err(trouble),
            Err(trouble) => {
                tracing::info!(host, cause = %trouble, "the next RADIUS server is tried");
                last = trouble;
            }
        }
    }
    Err(last)
}

async fn ask_one(
    servers: &Servers<'_>,
    host: &str,
    asked: &Asked<'_>,
    secret: &[u8],
    until: Instant,
) -> Result<Response, Trouble> {
    let failed = |error: std::io::Error| Trouble::Socket { host: host.to_owned(), cause: error.to_string() };
    let addresses = timeout_at(until, servers.outbound.resolve(host, servers.port)).await;
    let addresses = addresses.map_err(|_| Trouble::Silent(host.to_owned()))??;
    let address = addresses.first().copied().ok_or(Trouble::NoServers)?;
    let socket = socket_to(address).await.map_err(failed)?;
    let request = Request::new(asked, secret, &random())?;
    let mut wait = FIRST_WAIT;
    let mut unauthentic = None;
    let mut buffer = vec![0; MAX_PACKET + 1];
    loop {
        socket.send(request.bytes()).await.map_err(failed)?;
        let again = (Instant::now() + wait).min(until);
        while let Ok(received) = timeout_at(again, socket.recv(&mut buffer)).await {
            let length = received.map_err(failed)?;
            match request.response(&buffer[..length], secret) {
                Ok(response) => return Ok(response),
                // Discarded silently, as RFC 2865 §3 has it: the server's own answer may still come.
                Err(cause) => unauthentic = Some(cause),
            }
        }
        if again >= until {
            return Err(match unauthentic {
                Some(cause) => Trouble::Unauthentic { host: host.to_owned(), cause },
                None if servers.timeout > MACHINE_TIME => {
                    Trouble::Unconfirmed { host: host.to_owned(), waited: servers.timeout }
                }
                None => Trouble::Silent(host.to_owned()),
            });
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// A socket on a port that the kernel chooses, which hears nobody but this server.
async fn socket_to(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket)
}

fn random() -> Random {
    let source: &dyn Source = &SystemRandom;
    let [identifier, chap] = source.array();
    Random { identifier, chap, authenticator: source.array() }
}
