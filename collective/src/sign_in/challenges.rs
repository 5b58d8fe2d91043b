//! Another factor, or a further answer of a provider, as sign-in and step-up alike ask for it and judge it. What the
//! provider needs with the next answer waits sealed in the transaction; who may be asked or heard, and how often, is
//! counted here. What a right answer is good for is left to the callers.

use std::sync::Arc;

use ringwall_protocol::id::{MfaProviderId, TransactionId, UserId};
use ringwall_protocol::interaction::InteractionKind;
use ringwall_protocol::object::MfaProvider;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::MfaWanted;
use ringwall_raft::state::secret::Sealed;
use ringwall_raft::state::transaction::{FinishTransaction, Transaction, UpdateTransaction};
use ringwall_raft::{Command, Reply, State};
use zeroize::Zeroizing;

use super::failures::Failures;
use crate::identity::Providers;
use crate::identity::directory::Further;
use crate::identity::factor::{Disturbs, Factor, FactorUser, Given, Verdict, refused};
use crate::refusal::Refusal;
use crate::replica::Replica;
use crate::replica::vault::{Purpose, Vault};

/// Opens questions to users and judges the answers.
pub(crate) struct Challenges {
    replica: Replica,
    vault: Arc<Vault>,
    providers: Arc<Providers>,
    failures: Arc<Failures>,
}

impl Challenges {
    /// Questions of these providers, counted in `failures`.
    pub(crate) const fn new(
        replica: Replica,
        vault: Arc<Vault>,
        providers: Arc<Providers>,
        failures: Arc<Failures>,
    ) -> Self {
        Self { replica, vault, providers, failures }
    }

    /// What a provider needs again, sealed; nothing if it needs nothing.
    pub(crate) fn seal_kept(&self, id: TransactionId, further: &Further) -> Option<Sealed> {
        (!further.kept.is_empty()).then(|| self.vault.seal(Purpose::TransactionState(id), &further.kept))
    }

    /// What a provider kept with a transaction.
    pub(crate) fn kept(&self, transaction: &Transaction) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        match &transaction.provider_state {
            Some(sealed) => self.vault.open(Purpose::TransactionState(transaction.id), sealed.as_str()),
            None => Ok(Zeroizing::new(Vec::new())),
        }
    }

    /// Keeps what a provider needs with its next answer.
    pub(crate) async fn keep_further(&self, id: TransactionId, further: &Further) -> Result<(), Refusal> {
        let provider_state = self.seal_kept(id, further);
        let on_page = further.challenge.is_page();
        self.replica.change(UpdateTransaction { transaction: id, provider_state, on_page }).await.map(|_| ())
    }

    /// Has an MFA provider ask the user, as often as a user may be asked.
    pub(crate) async fn begin_factor(
        &self,
        state: &State,
        provider: &MfaProvider,
        bearer: FactorUser<'_>,
    ) -> Result<Further, Refusal> {
        if self.providers.factors.disturbs(provider) == Disturbs::WhenAsked {
            self.failures.may_disturb(bearer.user, self.replica.now())?;
        }
        self.providers.factors.begin(state, provider, bearer).await
    }

    /// Takes an answer to a factor whose attempt was counted. A right one is spent, and its transaction over, before this
    /// answers.
    pub(crate) async fn answer_factor(
        &self,
        state: &State,
        transaction: &Transaction,
        answer: &str,
        now: UnixMillis,
    ) -> Result<Answered, Refusal> {
        let spend = match self.judge_factor(state, transaction, answer, now).await? {
            Verdict::Right { spend } => spend,
            Verdict::Wrong => return Err(refused()),
            Verdict::Further(further) => {
                self.keep_further(transaction.id, &further).await?;
                return Ok(Answered::Further(further));
            }
        };
        let mut parts = spend;
        parts.push(FinishTransaction { transaction: transaction.id }.into());
        match self.replica.change(Command::Group(parts)).await? {
            Reply::Group(mut replies) => match replies.pop() {
                Some(Reply::Transaction(finished)) => Ok(Answered::Finished(finished)),
                _ => Err(Refusal::internal()),
            },
            _ => Err(Refusal::internal()),
        }
    }

    /// What an MFA provider says of an answer. A user whose answers were wrong too often is not listened to for a while:
    /// whoever has the password has not all the tries in the world.
    pub(crate) async fn judge_factor(
        &self,
        state: &State,
        transaction: &Transaction,
        answer: &str,
        now: UnixMillis,
    ) -> Result<Verdict, Refusal> {
        let user: UserId = transaction.user_id;
        self.failures.may_answer(user, now)?;
        let provider = MfaProviderId::new(transaction.factor_provider_id);
        let provider = state.mfa_provider(provider).ok_or_else(refused)?;
        if self.providers.factors.disturbs(provider) == Disturbs::WhenAnswered {
            self.failures.may_disturb(user, now)?;
        }
        let bearer = FactorUser { user, dn: &transaction.dn.user };
        let kept = self.kept(transaction)?;
        let verdict =
            self.providers.factors.verify(state, provider, bearer, Given { kept: &kept, answer, now }).await?;
        if matches!(verdict, Verdict::Wrong) {
            self.failures.count_answer(user, now);
        }
        Ok(verdict)
    }
}

/// What became of an answer to a factor.
pub(crate) enum Answered {
    /// It was right; the transaction as it was at its end.
    Finished(Box<Transaction>),
    /// Another answer is wanted in the same transaction.
    Further(Further),
}

/// What a Client is told of a further answer.
pub(crate) fn wanted(transaction: TransactionId, kind: InteractionKind, further: Further) -> MfaWanted {
    MfaWanted { transaction, kind, message: further.message, challenge: further.challenge }
}
