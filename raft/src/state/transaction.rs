//! Transactions: sign-ins and step-ups that wait for another factor. Any Controller may finish one.

use std::time::Duration;

use ringwall_protocol::id::{DeviceId, LogIndex, ProfileId, ProviderId, Thumbprint, TransactionId, UserId};
use ringwall_protocol::interaction::InteractionRef;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::step::Step;

/// How long a transaction is kept that waits for something typed, or for another device.
pub const LIFE: Duration = Duration::from_secs(120);
/// How long one is kept from the moment at which the user was sent to a page: finding the browser, signing in there,
/// fetching the security key. As long as a Client keeps the page, and no longer.
pub const PAGE_LIFE: Duration = Duration::from_secs(600);
/// Attempts that it has.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// Open transactions of a user.
pub(crate) const MAX_OPEN: usize = 3;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TransactionKind {
    /// A user's sign-in.
    SignIn,
    /// Another proof for a condition.
    StepUp,
    /// An administrator's sign-in.
    Admin,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// 128 random bits.
    pub id: TransactionId,
    /// For what.
    pub kind: TransactionKind,
    /// The user, whose first credential was right.
    pub user_id: UserId,
    /// The user's provider.
    pub provider_id: ProviderId,
    /// User and device.
    pub dn: SessionDn,
    /// The device.
    pub device_id: DeviceId,
    /// Key to which it is bound: the answer must come with it.
    pub key: Thumbprint,
    /// Profile whose knock was accepted.
    #[serde(default)]
    pub profile_id: Option<ProfileId>,
    /// State of the first check: becomes the `idx` of what is minted (T4).
    pub started_idx: LogIndex,
    /// Who verifies the factor: an MFA provider, or for passwords an identity provider.
    pub factor_provider_id: Uuid,
    /// The interaction that asked, for step-ups.
    #[serde(default)]
    pub interaction: Option<InteractionRef>,
    /// What the factor's provider needs again (RADIUS state, FIDO2 challenge), sealed.
    #[serde(default)]
    pub provider_state: Option<Sealed>,
    /// What the Controller needs to go on (claims read from the provider, device claims, cookie hash), sealed.
    #[serde(default)]
    pub context: Option<Sealed>,
    /// The user was sent to a page, on which people take their time. Never taken back.
    #[serde(default)]
    pub on_page: bool,
    /// Set by the state: attempts made.
    #[serde(default)]
    pub attempts: u32,
    /// Set by the state: its end.
    #[serde(default)]
    pub expires_at: UnixMillis,
}

/// Opens a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransaction {
    /// It; `attempts` and `expiresAt` are disregarded.
    pub transaction: Transaction,
}

/// Counts an attempt *before* the code is checked. Refused: do not check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountAttempt {
    /// Id of the transaction.
    pub transaction: TransactionId,
}

/// The factor's provider has new state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTransaction {
    /// Id of the transaction.
    pub transaction: TransactionId,
    /// Sealed.
    pub provider_state: Option<Sealed>,
    /// The user is sent to a page from now on.
    #[serde(default)]
    pub on_page: bool,
}

/// Ends a transaction; a second time is refused, so that one answer mints once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishTransaction {
    /// Id of the transaction.
    pub transaction: TransactionId,
}

/// Forgets transactions that expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropTransactions {
    /// Which; those that live are left.
    pub transactions: Vec<TransactionId>,
}

impl Transaction {
    /// A page that was left before anything was tried gives way to the next one of the same session and purpose: whoever
    /// closes his browser must not wait for its end. Attempts are never forgotten by it.
    fn replaces(&self, former: &Self) -> bool {
        let purpose = |one: &Self| (one.kind, one.key, one.device_id, one.factor_provider_id, one.interaction);
        former.on_page && former.attempts == 0 && purpose(self) == purpose(former)
    }
}

impl OpenTransaction {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let new = &self.transaction;
        for (field, sealed) in [("providerState", &new.provider_state), ("context", &new.context)] {
            if let Some(sealed) = sealed {
                sealed.check(field, &step.state.kek)?;
            }
        }
        if step.state.transactions.contains(&new.id) {
            return Err(Rejection::exists("transaction", new.id));
        }
        let of_user = step.state.transactions.values().filter(|one| one.user_id == new.user_id);
        let (over, open): (Vec<_>, Vec<_>) =
            of_user.map(|one| (one.id, one.expires_at <= step.now || new.replaces(one))).partition(|(_, over)| *over);
        for (id, _) in over {
            step.state.transactions.remove(&id);
        }
        if open.len() >= MAX_OPEN {
            return Err(Rejection::too_many("open transactions of a user", MAX_OPEN));
        }
        let life = if new.on_page { PAGE_LIFE } else { LIFE };
        let transaction = Transaction { attempts: 0, expires_at: step.now.plus(life), ..new.clone() };
        step.state.transactions.insert(new.id, transaction.clone());
        Ok(Reply::Transaction(Box::new(transaction)))
    }
}

impl CountAttempt {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let transaction = step.living_transaction(self.transaction)?;
        if transaction.attempts >= MAX_ATTEMPTS {
            return Err(Rejection::NoAttemptLeft);
        }
        transaction.attempts += 1;
        Ok(Reply::Transaction(Box::new(transaction.clone())))
    }
}

impl UpdateTransaction {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if let Some(sealed) = &self.provider_state {
            sealed.check("providerState", &step.state.kek)?;
        }
        let now = step.now;
        let transaction = step.living_transaction(self.transaction)?;
        transaction.provider_state.clone_from(&self.provider_state);
        // Once: nobody keeps a transaction alive by asking for page after page.
        if self.on_page && !transaction.on_page {
            transaction.on_page = true;
            transaction.expires_at = now.plus(PAGE_LIFE);
        }
        Ok(Reply::Transaction(Box::new(transaction.clone())))
    }
}

impl FinishTransaction {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let transaction = step.living_transaction(self.transaction)?.clone();
        step.state.transactions.remove(&self.transaction);
        Ok(Reply::Transaction(Box::new(transaction)))
    }
}

impl DropTransactions {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        for id in &self.transactions {
            if step.state.transactions.find(id).is_some_and(|one| one.expires_at <= step.now) {
                step.state.transactions.remove(id);
            }
        }
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    fn living_transaction(&mut self, id: TransactionId) -> Result<&mut Transaction, Rejection> {
        let now = self.now;
        match self.state.transactions.find_mut(&id) {
            Some(transaction) if transaction.expires_at > now => Ok(transaction),
            _ => Err(Rejection::TransactionOver),
        }
    }
}

impl State {
    /// A transaction that is open; whether its time has passed is for the caller to see.
    #[must_use]
    pub fn transaction(&self, id: TransactionId) -> Option<&Transaction> {
        self.transactions.find(&id)
    }
}
