//! Client certificates: built fresh for the key that the claims token is bound to; of the request only the key counts.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use ringwall_protocol::object::settings::MAX_CERTIFICATE_MINUTES;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{CertificateAnswer, CertificateRequest};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::ca::SessionSubject;
use ringwall_trust::identity::VerifiedRequest;
use ringwall_trust::secret::SystemRandom;

use super::mint::minutes;
use super::{Issuing, check};
use crate::issuing::{CertifiedClient, DeviceRequest};
use crate::refusal::Refusal;

impl Issuing {
    /// Issues a certificate for a claims token's session. Without a former certificate the request's own signature
    /// proves the key; with one, the connection does too.
    ///
    /// # Errors
    /// Token errors; `tokenMismatch` if the request is for another key; `busy` while this Controller has no issuer.
    pub(crate) async fn issue_certificate(
        &self,
        request: &CertificateRequest,
        from: IpAddr,
        caller: Option<&CertifiedClient>,
        now: UnixMillis,
    ) -> Result<CertificateAnswer, Refusal> {
        let state = self.replica.current().await?;
        let token = match caller {
            Some(caller) => check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?,
            None => check::claims_token(&state, &request.claims_token, now)?,
        };
        self.count_request(&token.head, DeviceRequest::Certificate, now)?;
        let der = BASE64URL_NOPAD
            .decode(request.csr.as_bytes())
            .map_err(|_| Refusal::invalid("csr: expected base64url without padding"))?;
        let csr = VerifiedRequest::verify(&der).map_err(|error| Refusal::invalid(format!("csr: {error}")))?;
        if csr.thumbprint() != token.head.cnf.jkt {
            return Err(Refusal::new(ErrorCode::TokenMismatch, "the request is for another key than the token"));
        }
        let configured = check::collective(&state)?.settings.vpn_certificate_expiration;
        let life = minutes(configured, MAX_CERTIFICATE_MINUTES);
        let issuer = self.intermediates.client(&state)?;
        let who =
            SessionSubject { dn: token.head.sub.clone(), user: token.head.user_id, provider: token.head.provider_id };
        let leaf = issuer.issue_session(&csr, token.head.cnf.jkt, &who, life, now, &SystemRandom).map_err(|error| {
            tracing::error!(%error, "client certificate was not issued");
            Refusal::internal()
        })?;
        self.audit.event("certificate_issued", Some(&token.head.sub), from).at(state.index()).emit();
        let chain = [leaf.as_ref(), issuer.certificate().as_ref()];
        Ok(CertificateAnswer { chain: chain.map(|der| BASE64URL_NOPAD.encode(der)).to_vec() })
    }
}
