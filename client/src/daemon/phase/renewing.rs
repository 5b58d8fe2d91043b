//! Renewing: a task gets what is due from a Controller; the session goes on with the tokens it has meanwhile.

use std::sync::Arc;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::wire::client::{CertificateAnswer, ClaimsAnswer, EntitlementsRequest, RenewRequest};
use ringwall_trust::identity::PrivateKey;

use crate::advice;
use crate::clock;
use crate::controller::{CallError, Controllers, Plane};
use crate::core::renewal::Renewal;
use crate::daemon::active_session::{ActiveSession, NewTokens};
use crate::daemon::shared::Shared;
use crate::failure::Failure;
use crate::sign_in::certificate_request;

/// A renewal is running.
pub(in crate::daemon) struct Renewing {
    pub(super) active: ActiveSession,
}

/// What a renewal received until it was done, or failed.
#[derive(Default)]
pub(in crate::daemon) struct RenewalOutcome {
    tokens: NewTokens,
    error: Option<RenewalError>,
}

enum RenewalError {
    /// The Controllers refused it, or none could be reached.
    Call(CallError),
    /// This device could not make its request.
    Own(Failure),
}

/// A renewal that runs beside the engine.
pub(super) struct RenewalTask {
    pub(super) controllers: Controllers,
    pub(super) claims_token: String,
    pub(super) device_claims: UntrustedClaims,
    pub(super) key: Arc<PrivateKey>,
    pub(super) due: Renewal,
}

impl RenewalTask {
    pub(super) async fn run(mut self) -> RenewalOutcome {
        let mut tokens = NewTokens::default();
        let error = self.run_renewal(&mut tokens).await.err();
        RenewalOutcome { tokens, error }
    }

    async fn run_renewal(&mut self, tokens: &mut NewTokens) -> Result<(), RenewalError> {
        if self.due.claims {
            let request =
                RenewRequest { claims_token: self.claims_token.clone(), device_claims: self.device_claims.clone() };
            let answer: ClaimsAnswer = self.post("/client/v1/renew", &request).await?;
            self.claims_token.clone_from(&answer.claims_token);
            tokens.claims = Some(answer.claims_token);
        }
        if self.due.certificate {
            let request = certificate_request(&self.claims_token, &self.key).map_err(RenewalError::Own)?;
            let answer: CertificateAnswer = self.post("/client/v1/certificate/renew", &request).await?;
            tokens.chain = Some(answer.chain);
        }
        if self.due.entitlements {
            let (claims_token, device_claims) = (self.claims_token.clone(), self.device_claims.clone());
            let request = EntitlementsRequest { claims_token, device_claims, sites: vec![] };
            tokens.entitlements = Some(self.post("/client/v1/entitlements", &request).await?);
        }
        Ok(())
    }

    async fn post<Q, A>(&self, path: &str, question: &Q) -> Result<A, RenewalError>
    where
        Q: serde::Serialize + Sync,
        A: serde::de::DeserializeOwned,
    {
        self.controllers.post(Plane::Client, path, question).await.map_err(RenewalError::Call)
    }
}

impl RenewalOutcome {
    /// Puts the new tokens into use and plans the next renewal. Returns the cause if only a new sign-in can help.
    pub(super) async fn apply(self, active: &mut ActiveSession, shared: &mut Shared) -> Option<String> {
        let used = active.use_tokens(shared, self.tokens).await;
        let (cause, next_step) = match (used, self.error) {
            (Ok(()), None) => {
                active.renewal_succeeded(clock::now());
                shared.troubles.resolve("renewal");
                return None;
            }
            (Ok(()), Some(RenewalError::Call(CallError::Refused(body)))) if advice::wants_sign_in(body.code) => {
                return Some(CallError::Refused(body).to_string());
            }
            (Ok(()), Some(RenewalError::Call(error))) => (error.to_string(), error.next_step().to_owned()),
            (Err(failure), _) | (Ok(()), Some(RenewalError::Own(failure))) => {
                (format!("{:#}", failure.cause), failure.next_step)
            }
        };
        let wait = active.renewal_failed(clock::now());
        tracing::warn!(cause, again_in_ms = wait.as_millis(), "renewal failed");
        shared.troubles.note("renewal", cause, &next_step);
        None
    }
}
