//! A tunnel connection to the Gateway that holds the session: dial with the same certificate, then hand it over to the worker.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use ringwall_protocol::id::SiteId;
use ringwall_protocol::token::GatewayOffer;
use ringwall_trust::tls::Alpn;
use ringwall_tunnel::frame::ATTACH_TOKEN_LEN;

use super::attempt::line;
use super::{LinkContext, SiteCredentials};
use crate::dial::DialError;
use crate::tunnel::{SiteTunnel, Stopped};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelDialError {
    #[error("cannot connect the tunnel")]
    Dial(#[from] DialError),
    #[error("expected an attach token of {ATTACH_TOKEN_LEN} bytes")]
    Token,
    #[error("cannot use the tunnel's socket")]
    Socket(#[source] std::io::Error),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A tunnel to be made.
pub(super) struct TunnelDial {
    pub(super) context: Arc<LinkContext>,
    pub(super) credentials: SiteCredentials,
    pub(super) gateway: GatewayOffer,
    pub(super) address: SocketAddr,
    pub(super) routes: Vec<IpNet>,
    pub(super) attach_token: String,
}

impl TunnelDial {
    /// Dials and hands over; whether the Gateway takes the token is told by a tunnel event.
    pub(super) async fn open(self) -> Result<(), TunnelDialError> {
        let attach_token = decode(&self.attach_token).ok_or(TunnelDialError::Token)?;
        let line = line(&self.context, &self.credentials, &self.gateway, Alpn::Tunnel);
        let (stream, connection) = line.dial(self.address).await?.into_inner();
        let stream = stream.into_std().map_err(TunnelDialError::Socket)?;
        let claims = &self.credentials.claims;
        let v4 = claims.tun_ipv4.map(IpAddr::V4);
        let v6 = claims.tun_ipv6.map(IpAddr::V6);
        Ok(self.context.tunnel.add_site(SiteTunnel {
            site: SiteId::new(self.credentials.entitlement.head.aud),
            stream,
            connection,
            attach_token,
            addresses: v4.into_iter().chain(v6).collect(),
            routes: self.routes,
            primary: false,
        })?)
    }
}

fn decode(token: &str) -> Option<[u8; ATTACH_TOKEN_LEN]> {
    data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?.try_into().ok()
}
