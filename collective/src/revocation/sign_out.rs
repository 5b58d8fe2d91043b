//! Sign-out: the owner of a session ends it, everywhere and at once.

use ringwall_protocol::name::DnScope;
use ringwall_protocol::revocation::{RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::SignOutRequest;
use ringwall_raft::state::revocation::Revoke;

use super::Revocation;
use crate::issuing::{CertifiedClient, check};
use crate::refusal::Refusal;

impl Revocation {
    /// Revokes every token of the caller's session.
    ///
    /// # Errors
    /// Token errors, `noQuorum`.
    pub async fn sign_out(
        &self,
        caller: &CertifiedClient,
        request: &SignOutRequest,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let state = self.replica.current().await?;
        let claims = check::bound_claims_token(&state, &request.claims_token, &caller.leaf, now)?;
        let revoke = Revoke {
            scope: RevocationScope::Dn(DnScope::Device(claims.head.sub.clone())),
            kinds: TokenKind::ALL.into(),
            site: None,
            mode: RevocationMode::Cut,
            reason: "signed out".to_owned(),
        };
        let index = self.replica.change(revoke).await?.revocation().ok_or_else(Refusal::internal)?;
        self.audit
            .event("revocation_added", Some(&claims.head.sub), caller.address)
            .at(index)
            .with("reason", "signed out")
            .emit();
        Ok(())
    }
}
