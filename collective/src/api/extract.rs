//! What handlers ask of a connection: where it comes from, and whether it is of the kind that the route is for.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::identity::Leaf;
use ringwall_trust::spa::KeyOwner;

use crate::listener::http::{Channel, Connection};
use crate::refusal::Refusal;

/// A caller without a certificate, on a sign-in connection.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// Where the connection comes from.
    pub address: IpAddr,
    /// Whose key knocked.
    pub knock: Option<KeyOwner>,
    /// Exporter of the connection, to which a certificate's proof is bound.
    pub exporter: Option<[u8; 32]>,
}

/// A caller with a client certificate of a current issuer. Its tokens must be bound to the certificate's key.
#[derive(Debug, Clone)]
pub struct CertifiedClient {
    /// Where the connection comes from.
    pub address: IpAddr,
    /// The proved certificate.
    pub leaf: Arc<Leaf>,
}

impl FromRequest for Stranger {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.conn_data::<Connection>() {
            Some(Connection { peer, channel: Channel::SignIn { exporter }, knock }) => {
                Ok(Self { address: peer.ip(), knock: knock.clone(), exporter: Some(*exporter) })
            }
            _ => Err(wrong_channel()),
        })
    }
}

impl FromRequest for CertifiedClient {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.conn_data::<Connection>() {
            Some(Connection { peer, channel: Channel::Client(leaf), .. }) => {
                Ok(Self { address: peer.ip(), leaf: Arc::clone(leaf) })
            }
            _ => Err(wrong_channel()),
        })
    }
}

fn wrong_channel() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "no such resource on a connection of this protocol")
}
