//! What handlers ask of a connection: where it comes from, and whether it is of the kind that the route is for.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use ringwall_protocol::wire::error::ErrorCode;

use crate::issuing::CertifiedClient;
use crate::listener::connection::{Channel, Connection};
use crate::refusal::Refusal;
use crate::sign_in::UnauthenticatedClient;

impl FromRequest for UnauthenticatedClient {
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
