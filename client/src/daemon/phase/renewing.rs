//! New tokens from a Controller, and what the engine does with them.

use std::sync::Arc;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::id::SiteId;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::wire::client::{
    CertificateAnswer, ClaimsAnswer, EntitlementsAnswer, EntitlementsRequest, RenewRequest,
};
use ringwall_trust::identity::PrivateKey;

use super::calls::Done;
use super::engine::Engine;
use crate::advice;
use crate::clock;
use crate::controller::{CallError, Controllers, Plane};
use crate::core::renewal::Renewal;
use crate::failure::Failure;
use crate::sign_in::{certificate_request, stored_sites, why_none};

/// What a renewal brought until it was done, or failed.
#[derive(Default)]
pub(super) struct Fruits {
    claims: Option<String>,
    chain: Option<Vec<String>>,
    entitlements: Option<EntitlementsAnswer>,
    error: Option<RenewalError>,
}

enum RenewalError {
    Call(CallError),
    Own(Failure),
}

/// A renewal that runs beside the engine.
struct Task {
    controllers: Controllers,
    claims_token: String,
    device_claims: UntrustedClaims,
    key: Arc<PrivateKey>,
    due: Renewal,
}

impl Task {
    async fn run(mut self) -> Fruits {
        let mut fruits = Fruits::default();
        if let Err(error) = self.harvest(&mut fruits).await {
            fruits.error = Some(error);
        }
        fruits
    }

    async fn harvest(&mut self, fruits: &mut Fruits) -> Result<(), RenewalError> {
        if self.due.claims {
            let request =
                RenewRequest { claims_token: self.claims_token.clone(), device_claims: self.device_claims.clone() };
            let answer: ClaimsAnswer = self.post("/client/v1/renew", &request).await?;
            self.claims_token.clone_from(&answer.claims_token);
            fruits.claims = Some(answer.claims_token);
        }
        if self.due.certificate {
            let request = certificate_request(&self.claims_token, &self.key).map_err(RenewalError::Own)?;
            let answer: CertificateAnswer = self.post("/client/v1/certificate/renew", &request).await?;
            fruits.chain = Some(answer.chain);
        }
        if self.due.entitlements {
            let (claims_token, device_claims) = (self.claims_token.clone(), self.device_claims.clone());
            let request = EntitlementsRequest { claims_token, device_claims, sites: vec![] };
            fruits.entitlements = Some(self.post("/client/v1/entitlements", &request).await?);
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

impl Engine {
    /// Starts what is due, one renewal at a time.
    pub(super) fn renew_what_is_due(&mut self) {
        if self.renewing || self.signing_in || self.sign_in_wanted.is_some() {
            return;
        }
        let Some(session) = &self.session else { return };
        let due = self.plan.due(clock::now());
        if due.is_empty() {
            return;
        }
        tracing::info!(claims = due.claims, certificate = due.certificate, entitlements = due.entitlements, "renewing");
        let task = Task {
            controllers: session.controllers.clone(),
            claims_token: session.claims.expose().to_owned(),
            device_claims: self.device_claims.borrow().as_ref().clone(),
            key: Arc::clone(&self.key),
            due,
        };
        self.renewing = true;
        self.plan.begin(clock::now());
        self.tasks.spawn(async move { Done::Renewed(task.run().await) });
    }

    /// A renewal has ended.
    pub(super) async fn renewed(&mut self, fruits: Fruits) -> Result<(), Failure> {
        self.renewing = false;
        let error = fruits.error;
        let taken = self.take(fruits.claims, fruits.chain, fruits.entitlements).await;
        match (taken, error) {
            (Err(failure), _) | (Ok(()), Some(RenewalError::Own(failure))) => {
                let wait = self.plan.failed(clock::now(), clock::chance());
                self.note_failure("renewal", &failure);
                tracing::warn!(cause = %failure, again_in_ms = wait.as_millis(), "renewal");
            }
            (Ok(()), Some(RenewalError::Call(error))) => self.renewal_refused(&error),
            (Ok(()), None) => {
                self.plan.succeeded(clock::now());
                self.troubles.mended("renewal");
            }
        }
        Ok(())
    }

    fn renewal_refused(&mut self, error: &CallError) {
        if let CallError::Refused(body) = error
            && advice::wants_sign_in(body.code)
        {
            self.want_sign_in(error.to_string());
            return;
        }
        let now = clock::now();
        let wait = self.plan.failed(now, clock::chance());
        tracing::warn!(cause = %error, again_in_ms = wait.as_millis(), "renewal");
        self.note("renewal", error.to_string(), error.next_step());
    }

    /// Takes new tokens into use: on disk, in the plan, at the Gateways.
    pub(super) async fn take(
        &mut self,
        claims: Option<String>,
        chain: Option<Vec<String>>,
        entitlements: Option<EntitlementsAnswer>,
    ) -> Result<(), Failure> {
        let Some(session) = &mut self.session else { return Ok(()) };
        if claims.is_none() && chain.is_none() && entitlements.is_none() {
            return Ok(());
        }
        if let Some(token) = claims {
            session.renew_claims(&token)?;
            self.plan.hold_claims(session.claims.life());
        }
        if let Some(chain) = chain {
            session.renew_certificate(chain, &self.key)?;
            self.plan.hold_certificate(session.certificate);
        }
        if let Some(answer) = entitlements {
            let why_none = why_none(&answer);
            session.renew_sites(stored_sites(answer), why_none)?;
            self.plan.hold_entitlements(session.sites.values().map(|token| token.life()));
        }
        self.store.keep_session(&session.stored)?;
        self.settle_sites().await;
        Ok(())
    }

    /// A Gateway tells, or shows, that tokens have to be renewed out of turn.
    pub(super) fn want_tokens(&mut self, site: SiteId, kinds: &[TokenKind]) {
        tracing::info!(%site, ?kinds, "tokens wanted");
        let what = Renewal {
            claims: kinds.contains(&TokenKind::Claims),
            certificate: false,
            entitlements: kinds.contains(&TokenKind::Entitlement),
        };
        self.plan.want(what, clock::now());
    }
}
