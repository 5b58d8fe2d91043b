//! One attempt at one Gateway: dial, websocket, `hello`, `welcome`, and whether the welcome may be believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::connection::ConnectionStatement;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::spa::Service;
use ringwall_protocol::token::GatewayOffer;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{FromClient, FromGateway, Hello, SESSION_VERSION, Welcome};
use ringwall_trust::connection_proof;
use ringwall_trust::identity::KeyError;
use ringwall_trust::tls::Alpn;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::websocket::{Received, SessionSocket, SocketError};
use super::{LinkContext, SiteCredentials};
use crate::clock;
use crate::dial::{DialError, Knock, Line, resolve};
use crate::routes::plan::within;
use crate::store::StoreError;

/// The Gateway may wait 5 s for its feed and 2 s for its firewall.
const WELCOME_TIME: Duration = Duration::from_secs(9);
/// Smallest MTU that IPv6 allows; a Gateway that offers less is defective.
const MIN_MTU: u16 = 1_280;

/// A session that a Gateway admitted.
pub(super) struct Connected {
    pub(super) gateway: GatewayOffer,
    pub(super) address: SocketAddr,
    pub(super) socket: SessionSocket,
    pub(super) welcome: Welcome,
    /// With what it was opened.
    pub(super) credentials: SiteCredentials,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("cannot resolve {0}")]
    Resolve(String, #[source] std::io::Error),
    #[error("{0}")]
    Dial(SocketAddr, #[source] DialError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("no welcome within {} s", WELCOME_TIME.as_secs())]
    Silent,
    #[error("{1}")]
    Refused(ErrorCode, String),
    #[error("the Gateway's welcome exceeds the entitlement token: {0}")]
    Untrustworthy(&'static str),
    #[error("cannot store the connection's sequence number")]
    Sequence(#[from] StoreError),
    #[error("cannot sign the connection's sequence number")]
    Proof(#[from] KeyError),
    #[error("the Gateway has no address")]
    NoAddress,
    #[error("another Gateway connected first")]
    TooLate,
}

impl AttemptError {
    /// Whether nothing came back at all: a host that is gone, or one that refuses the knock.
    pub(super) fn is_silence(&self) -> bool {
        use std::io::ErrorKind::TimedOut;
        matches!(self, Self::Dial(_, DialError::Connect(error) | DialError::Tls(error)) if error.kind() == TimedOut)
    }
}

/// What an attempt needs.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) context: Arc<LinkContext>,
    pub(super) credentials: SiteCredentials,
    pub(super) device_claims: Arc<UntrustedClaims>,
    pub(super) gateway: GatewayOffer,
    /// The session to go on with, if it was there.
    pub(super) resume: Option<SessionId>,
}

impl Attempt {
    /// Tries all addresses of the Gateway. Once cancelled, it says goodbye instead of becoming a session.
    pub(super) async fn run(self, cancelled: CancellationToken) -> Result<Connected, AttemptError> {
        let mut last = AttemptError::NoAddress;
        for authority in &self.gateway.addresses {
            let addresses = match resolve(authority).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    last = AttemptError::Resolve(authority.clone(), error);
                    continue;
                }
            };
            for address in addresses {
                if cancelled.is_cancelled() {
                    return Err(AttemptError::TooLate);
                }
                match self.at(authority, address, &cancelled).await {
                    Err(error @ (AttemptError::Dial(..) | AttemptError::Socket(_))) => last = error,
                    done => return done,
                }
            }
        }
        Err(last)
    }

    async fn at(
        &self,
        authority: &str,
        address: SocketAddr,
        cancelled: &CancellationToken,
    ) -> Result<Connected, AttemptError> {
        let line = line(&self.context, &self.credentials, &self.gateway, Alpn::Http);
        let stream = line.dial(address).await.map_err(|error| AttemptError::Dial(address, error))?;
        let mut socket = SessionSocket::open(stream, authority).await?;
        if cancelled.is_cancelled() {
            return Err(AttemptError::TooLate);
        }
        socket.say(&self.hello().await?).await?;
        let welcome = tokio::select! {
            welcome = timeout(WELCOME_TIME, wait_for_welcome(&mut socket)) => welcome.map_err(|_| AttemptError::Silent)?,
            () = cancelled.cancelled() => {
                socket.goodbye().await;
                return Err(AttemptError::TooLate);
            }
        }?;
        if let Err(reason) = check_welcome(&welcome, &self.credentials) {
            socket.goodbye().await;
            return Err(AttemptError::Untrustworthy(reason));
        }
        let (gateway, credentials) = (self.gateway.clone(), self.credentials.clone());
        Ok(Connected { gateway, address, socket, welcome, credentials })
    }

    async fn hello(&self) -> Result<FromClient, AttemptError> {
        let connect_seq = self.context.sequence.next().await?;
        let claims = &self.credentials.claims;
        let statement = ConnectionStatement {
            collective: claims.head.iss,
            incarnation: claims.head.incarnation(),
            gateway: self.gateway.id,
            dn: &claims.head.sub,
            sid: claims.head.sid,
            sign_in_idx: claims.sign_in_idx,
            connect_seq,
        };
        Ok(FromClient::Hello(Hello {
            versions: vec![SESSION_VERSION],
            connect_seq,
            proof: connection_proof::sign(&statement, clock::now(), &self.context.key)?,
            claims_token: self.credentials.claims.expose().to_owned(),
            entitlement_token: self.credentials.entitlement.expose().to_owned(),
            device_claims: self.device_claims.as_ref().clone(),
            last_session_id: self.resume,
        }))
    }
}

/// How to dial a Gateway.
pub(super) fn line(context: &LinkContext, credentials: &SiteCredentials, gateway: &GatewayOffer, alpn: Alpn) -> Line {
    let config = context.tls.gateway_client(gateway.id, gateway.spki_sha256.clone(), &credentials.own);
    let key = gateway.spa_key.as_ref().and_then(|key| key.parse().ok());
    let mode = gateway.spa_mode.unwrap_or(context.spa_mode);
    let knock = key.map(|key| Knock { key, service: Service::Tunnel, mode });
    Line { config, alpn, knock }
}

async fn wait_for_welcome(socket: &mut SessionSocket) -> Result<Welcome, AttemptError> {
    loop {
        match socket.receive().await? {
            Received::Message(FromGateway::Welcome(welcome)) => return Ok(welcome),
            Received::Message(FromGateway::End { code, message } | FromGateway::Refused { code, message }) => {
                return Err(AttemptError::Refused(code, message));
            }
            Received::Message(_) | Received::Answer(_) | Received::Alive => {}
        }
    }
}

/// A Gateway may give less than the tokens say, never more or other.
fn check_welcome(welcome: &Welcome, credentials: &SiteCredentials) -> Result<(), &'static str> {
    let (claims, entitlement) = (&credentials.claims, &credentials.entitlement);
    if !within(&welcome.routes, &entitlement.routes) {
        return Err("routes");
    }
    if welcome.tun_ipv4.is_some_and(|v4| claims.tun_ipv4 != Some(v4))
        || welcome.tun_ipv6.is_some_and(|v6| claims.tun_ipv6 != Some(v6))
    {
        return Err("tunnel addresses");
    }
    if !welcome.dns.iter().all(|setting| entitlement.dns.contains(setting)) {
        return Err("resolvers");
    }
    if welcome.mtu < MIN_MTU {
        return Err("an MTU below 1280");
    }
    if welcome.version != SESSION_VERSION {
        return Err("another version of the protocol");
    }
    Ok(())
}
