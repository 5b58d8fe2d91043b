//! Calls that are repeated while no Controller is available.

use std::time::Duration;

use ringwall_protocol::wire::error::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::controller::{CallError, Controllers, Plane};
use crate::core::back_off;
use crate::failure::Failure;

/// For how long calls are repeated.
const RETRY_TIME: Duration = Duration::from_secs(30);

/// Posts `question` to one Controller after the other until one replies or 30 s have passed. A refusal is a reply.
pub(super) async fn post_with_retry<Q, A>(
    controllers: &Controllers,
    plane: Plane,
    path: &str,
    question: &Q,
) -> Result<Result<A, ErrorBody>, Failure>
where
    Q: Serialize + Sync,
    A: DeserializeOwned,
{
    retry(|| controllers.post(plane, path, question)).await
}

/// The same, for a request that differs on each connection.
pub(super) async fn retry<A, F>(ask: impl Fn() -> F + Send + Sync) -> Result<Result<A, ErrorBody>, Failure>
where
    F: Future<Output = Result<A, CallError>>,
{
    let give_up = tokio::time::Instant::now() + RETRY_TIME;
    let mut failures = 0;
    loop {
        failures += 1;
        let error = match ask().await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(CallError::Refused(body)) => return Ok(Err(body)),
            Err(error) => error,
        };
        let wait = back_off::between_calls(failures, clock::chance()).max(error.retry_after().unwrap_or_default());
        if !error.may_recover() || tokio::time::Instant::now() + wait >= give_up {
            return Err(error.into());
        }
        tracing::info!(cause = %error, again_in_ms = wait.as_millis(), "no Controller available; retrying the sign-in");
        tokio::time::sleep(wait).await;
    }
}
