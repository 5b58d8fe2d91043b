//! Transactions of step-ups: opened with an answer, whose attempt is counted at once, or with a question.

use ringwall_protocol::id::{PromptId, TransactionId};
use ringwall_protocol::interaction::InteractionRef;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::ClaimsToken;
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_raft::Reply;
use ringwall_raft::state::transaction::{
    CountAttempt, FinishTransaction, OpenTransaction, Transaction, TransactionKind,
};
use ringwall_trust::token::Verified;
use uuid::Uuid;

use super::StepUps;
use crate::identity::directory::Further;
use crate::refusal::Refusal;

/// What a step-up answers, and for which prompt.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) interaction: InteractionRef,
    pub(super) prompt: PromptId,
}

/// How a step-up's transaction begins.
#[derive(Clone, Copy)]
pub(super) enum Opening<'a> {
    /// With an answer, whose attempt is counted at once.
    Answered,
    /// With a question.
    Asked(&'a Further),
}

impl StepUps {
    /// A transaction for a step-up.
    pub(super) async fn open_step_up(
        &self,
        claims: &Verified<ClaimsToken>,
        asked: Asked,
        factor: Uuid,
        opening: Opening<'_>,
    ) -> Result<Box<Transaction>, Refusal> {
        let id = TransactionId::new(Uuid::new_v4());
        tracing::debug!(transaction = %id, prompt = %asked.prompt, "step-up");
        let provider_state = match opening {
            Opening::Asked(further) => self.challenges.seal_kept(id, further),
            Opening::Answered => None,
        };
        let transaction = Transaction {
            id,
            kind: TransactionKind::StepUp,
            user_id: claims.head.user_id,
            provider_id: claims.head.provider_id,
            dn: claims.head.sub.clone(),
            device_id: claims.head.device_id,
            key: claims.head.cnf.jkt,
            profile_id: None,
            started_idx: claims.head.idx,
            factor_provider_id: factor,
            interaction: Some(asked.interaction),
            provider_state,
            context: None,
            on_page: matches!(opening, Opening::Asked(further) if further.challenge.is_page()),
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        let mut parts = vec![OpenTransaction { transaction }.into()];
        if matches!(opening, Opening::Answered) {
            parts.push(CountAttempt { transaction: id }.into());
        }
        let reply = self.replica.change(ringwall_raft::Command::Group(parts)).await.map_err(|refusal| match refusal
            .code
        {
            ErrorCode::Busy => {
                Refusal::new(ErrorCode::MfaRefused, "too many tries are open; wait for their end, at most ten minutes")
            }
            _ => refusal,
        })?;
        let Reply::Group(mut replies) = reply else { return Err(Refusal::internal()) };
        match replies.pop() {
            Some(Reply::Transaction(transaction)) => Ok(transaction),
            _ => Err(Refusal::internal()),
        }
    }

    /// Ends a transaction; an answer counts once.
    pub(super) async fn finish(&self, transaction: TransactionId) -> Result<Box<Transaction>, Refusal> {
        match self.replica.change(FinishTransaction { transaction }).await? {
            Reply::Transaction(finished) => Ok(finished),
            _ => Err(Refusal::internal()),
        }
    }
}
