//! A call of the admin API: who calls is proved first, then the body is read.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::wire::admin::MAX_ADMIN_BODY;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body;
use crate::administration::access::credentials::Credentials;
use crate::administration::objects::decode::{find_unknown, locate, without_nulls};
use crate::administration::objects::listing::Wanted;
use crate::administration::repeat::Repeat;
use crate::administration::{Administrator, Denial};
use crate::clock;
use crate::controller::Controller;
use crate::listener::connection::Connection;
use crate::refusal::Refusal;

/// A request by a signed-in administrator.
pub(super) struct Call {
    /// Who calls.
    pub(super) who: Administrator,
    /// Where the order goes.
    pub(super) controller: Arc<Controller>,
    request: HttpRequest,
    body: BytesMut,
}

/// A request by somebody who has not proved himself, or is about to.
pub(super) struct StrangersCall {
    /// Where the order goes.
    pub(super) controller: Arc<Controller>,
    /// Where it comes from.
    pub(super) address: IpAddr,
    request: HttpRequest,
    body: BytesMut,
}

impl FromRequest for Call {
    type Error = Denial;
    type Future = LocalBoxFuture<'static, Result<Self, Denial>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        async move {
            let controller = controller(&request)?;
            let address = address(&request)?;
            let url = url(&request);
            let credentials = credentials(&request, &url);
            let who = controller.administration.access.administrator(credentials, address, clock::now()).await?;
            let body = body::read(payload, MAX_ADMIN_BODY).await?;
            Ok(Self { who, controller, request, body })
        }
        .boxed_local()
    }
}

impl FromRequest for StrangersCall {
    type Error = Denial;
    type Future = LocalBoxFuture<'static, Result<Self, Denial>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        async move {
            let controller = controller(&request)?;
            let address = address(&request)?;
            let body = body::read(payload, body::MAX_STRANGERS_BODY).await?;
            Ok(Self { controller, address, request, body })
        }
        .boxed_local()
    }
}

impl Call {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`Denial::Malformed`].
    pub(super) fn value(&self) -> Result<Value, Denial> {
        body::parse(&self.body)
    }

    /// The body as what the request takes; an empty one is what `T` makes of `{}`.
    ///
    /// # Errors
    /// [`Denial::Malformed`]; [`Denial::Invalid`] with the field that does not fit.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        decode(self.value()?)
    }

    /// The same, refusing fields that `T` does not have: whoever sends one counts on it.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub(super) fn strict_json<T: DeserializeOwned + Serialize>(&self) -> Result<T, Denial> {
        let value = self.value()?;
        let decoded: T = decode(value.clone())?;
        let mut unknown = Vec::new();
        find_unknown(&value, &serde_json::to_value(&decoded).unwrap_or_default(), "", &mut unknown);
        Denial::unless_empty(unknown).map(|()| decoded)
    }

    /// What is wanted of a list.
    ///
    /// # Errors
    /// [`Denial::Invalid`].
    pub(super) fn wanted(&self) -> Result<Wanted, Denial> {
        let parameters = actix_web::web::Query::<Vec<(String, String)>>::from_query(self.request.query_string());
        let parameters = parameters.map_err(|error| Denial::Malformed(format!("query cannot be read: {error}")))?;
        Wanted::parse(&parameters).map_err(Denial::Invalid)
    }

    /// The query as what the request takes.
    ///
    /// # Errors
    /// [`Denial::Invalid`].
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        let query = actix_web::web::Query::<T>::from_query(self.request.query_string());
        query.map(actix_web::web::Query::into_inner).map_err(|error| Denial::field("query", error.to_string()))
    }

    /// Whether the order may come twice.
    ///
    /// # Errors
    /// [`Denial::Invalid`] for an unusable `Idempotency-Key`.
    pub(super) fn repeat(&self) -> Result<Repeat, Denial> {
        let Some(key) = self.request.headers().get("idempotency-key") else { return Ok(Repeat::once()) };
        let key = key.to_str().map_err(|_| Denial::field("Idempotency-Key", "is no text"))?;
        Repeat::under_key(&self.who.dn, key, &self.fingerprint())
    }

    /// What tells this request from another one under the same key.
    pub(super) fn fingerprint(&self) -> [&[u8]; 3] {
        [self.request.method().as_str().as_bytes(), self.request.path().as_bytes(), &self.body]
    }

    /// The version that the caller has read (`If-Match`, RFC 9110 §13.1.1).
    ///
    /// # Errors
    /// [`Denial::Invalid`] if it is no `ETag` of ours.
    pub(super) fn expected(&self) -> Result<Option<LogIndex>, Denial> {
        let Some(value) = self.request.headers().get(header::IF_MATCH) else { return Ok(None) };
        let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
        if text == "*" {
            return Ok(None);
        }
        let index = text.parse().map_err(|_| Denial::field("If-Match", "is no ETag of this API"))?;
        Ok(Some(LogIndex(index)))
    }

    /// The token itself.
    pub(super) fn token(&self) -> &str {
        authorization(&self.request).and_then(|header| header.split_once(' ')).map_or("", |(_, token)| token.trim())
    }
}

impl StrangersCall {
    /// The body as what the request takes.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        decode(body::parse(&self.body)?)
    }

    /// What the request is proved with; `url` is [`StrangersCall::url`].
    pub(super) fn credentials<'a>(&'a self, url: &'a str) -> Credentials<'a> {
        credentials(&self.request, url)
    }

    /// The URL as the sender wrote it, without query.
    pub(super) fn url(&self) -> String {
        url(&self.request)
    }
}

fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Denial> {
    // As of objects: `null` stands for what is absent.
    let value = match value {
        Value::Object(mut fields) => {
            without_nulls(&mut fields);
            Value::Object(fields)
        }
        other => other,
    };
    let decode = |value: &Value| serde_json::from_value::<T>(value.clone());
    decode(&value).map_err(|_| Denial::Invalid(vec![without_content(locate(&value, &|value| decode(value).map(drop)))]))
}

/// Decoders repeat what they could not take; in a login that is a password.
fn without_content(
    mut error: ringwall_protocol::wire::admin::FieldError,
) -> ringwall_protocol::wire::admin::FieldError {
    if error.field.to_ascii_lowercase().contains("password") || error.field == "otp" {
        error.message = "expected a text".to_owned();
    }
    error
}

fn controller(request: &HttpRequest) -> Result<Arc<Controller>, Denial> {
    let data = request.app_data::<Data<Controller>>();
    data.map(|data| Arc::clone(data)).ok_or_else(|| Refusal::internal().into())
}

fn address(request: &HttpRequest) -> Result<IpAddr, Denial> {
    let connection = request.conn_data::<Connection>();
    connection.map(|connection| connection.peer.ip()).ok_or_else(|| Refusal::internal().into())
}

fn credentials<'a>(request: &'a HttpRequest, url: &'a str) -> Credentials<'a> {
    let proof = request.headers().get("dpop").and_then(|value| value.to_str().ok());
    Credentials { authorization: authorization(request), proof, method: request.method().as_str(), url }
}

/// The admin API is served over TLS only; the authority is what the sender dialled.
fn url(request: &HttpRequest) -> String {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    format!("https://{host}{}", request.uri().path())
}

fn authorization(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}
