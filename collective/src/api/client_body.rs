//! Bodies of the client API: JSON, read within bounds of size, time and pace, before anything looks at them (T52).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// A body must be complete by then. The longest one needs some 70 kB/s.
const WHOLE: Duration = Duration::from_secs(15);
/// Nothing of it may take longer than this.
const SILENCE: Duration = Duration::from_secs(5);

/// Longest body of a scope of routes, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

/// A body that was read and has the right form.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let BodyLimit(limit) = *request.app_data().expect("every scope states the longest body");
        let is_json = request.headers().get(CONTENT_TYPE).is_some_and(|value| is_json(value.as_bytes()));
        let payload = payload.take();
        Box::pin(async move {
            if !is_json {
                return Err(Refusal::invalid("expected content type application/json"));
            }
            let bytes = timeout(WHOLE, read(payload, limit)).await.map_err(|_| late())??;
            // serde's text may repeat a value of the body, which may be a secret: only the place is told.
            serde_json::from_slice(&bytes).map(Self).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                Refusal::invalid(format!("body is not what this request takes (line {line}, column {column})"))
            })
        })
    }
}

async fn read(mut payload: Payload, limit: usize) -> Result<BytesMut, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = timeout(SILENCE, payload.next()).await.map_err(|_| late())? {
        let chunk = chunk.map_err(|_| Refusal::invalid("body could not be read"))?;
        if body.len() + chunk.len() > limit {
            return Err(Refusal::invalid(format!("expected a body of at most {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn late() -> Refusal {
    metrics::counter!("ringwall_connections_refused_total", "why" => "slow body").increment(1);
    Refusal::invalid("body did not come in time")
}

/// `application/json`, whatever parameters follow.
fn is_json(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type_whatever_follows() {
        for right in ["application/json", "Application/JSON; charset=utf-8", " application/json ;"] {
            assert!(is_json(right.as_bytes()), "{right}");
        }
        for wrong in ["", "text/json", "application/json-patch+json", "text/plain; application/json"] {
            assert!(!is_json(wrong.as_bytes()), "{wrong}");
        }
    }
}
