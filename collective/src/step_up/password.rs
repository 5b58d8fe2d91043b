//! Passwords as answers to interactions: verified by the provider that the condition names, for the session's user only.

use ringwall_protocol::id::{ProviderId, TransactionId};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;
use ringwall_raft::state::transaction::Transaction;

use super::StepUps;
use crate::identity::directory::{Attempt, Directory, Further, Proof};
use crate::identity::factor::refused;
use crate::identity::hashing::Lane;
use crate::refusal::Refusal;
use crate::sign_in::challenges::Answered;

impl StepUps {
    /// Judges a password.
    pub(super) async fn verify_password(
        &self,
        state: &State,
        claims: &ClaimsToken,
        transaction: &Transaction,
        password: &str,
    ) -> Result<Answered, Refusal> {
        let provider = ProviderId::new(transaction.factor_provider_id);
        let provider = state.identity_provider(provider).ok_or_else(refused)?;
        let name = claims.head.sub.user.user.as_str().to_owned();
        let credential = Credential::Password { username: name, password: password.to_owned() };
        let (device, key) = (claims.head.device_id, claims.head.cnf.jkt);
        let attempt = Attempt { credential: &credential, device, key, exporter: None, lane: Lane::Known };
        let proof = self.providers.directories.prove(state, provider, &attempt).await?;
        self.settle_password(transaction.id, right_user(proof, provider, claims)?).await
    }

    /// Ends a transaction whose password was right, or keeps what the provider wants besides it.
    async fn settle_password(&self, id: TransactionId, further: Option<Further>) -> Result<Answered, Refusal> {
        match further {
            None => self.finish(id).await.map(Answered::Finished),
            Some(further) => {
                self.challenges.keep_further(id, &further).await?;
                Ok(Answered::Further(further))
            }
        }
    }

    /// The same for the answer to what the provider wanted besides.
    pub(super) async fn go_on_password(
        &self,
        state: &State,
        claims: &ClaimsToken,
        transaction: &Transaction,
        answer: &str,
    ) -> Result<Answered, Refusal> {
        let provider = ProviderId::new(transaction.factor_provider_id);
        let provider = state.identity_provider(provider).ok_or_else(refused)?;
        let (kept, name) = (self.challenges.kept(transaction)?, &claims.head.sub.user.user);
        let proof = self.providers.directories.go_on(state, provider, name, &kept, answer).await?;
        self.settle_password(transaction.id, right_user(proof, provider, claims)?).await
    }
}

/// At the sign-in's own provider the same user must answer; at another one the same name must.
fn right_user(proof: Proof, provider: &IdentityProvider, claims: &ClaimsToken) -> Result<Option<Further>, Refusal> {
    let head = &claims.head;
    match proof {
        Proof::User(user) if provider.base.id == head.provider_id && user.id == head.user_id => Ok(None),
        Proof::User(user) if provider.base.id != head.provider_id && user.name == head.sub.user.user => Ok(None),
        Proof::Further(further) => Ok(Some(further)),
        Proof::User(_) | Proof::Nobody | Proof::Incomplete { .. } => Err(refused()),
    }
}
