//! Orders that may come twice: `Idempotency-Key` makes a repetition harmless.

use ringwall_protocol::id::CommandId;
use ringwall_protocol::name::SessionDn;
use ringwall_raft::{Command, Outcome, RequestDigest, State};
use uuid::Uuid;

use super::denial::Denial;
use crate::replica::{Replica, half, scoped_id};

/// Longest key, in bytes.
const MAX_KEY: usize = 128;

/// Under which id an order is proposed, and what tells it from another one under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    command: CommandId,
    digest: Option<RequestDigest>,
}

impl Repeat {
    /// An order that is not repeated.
    #[must_use]
    pub(crate) fn once() -> Self {
        Self { command: CommandId::new(Uuid::new_v4()), digest: None }
    }

    /// An order under a caller's key: the same caller's same key is the same order for 24 h.
    ///
    /// # Errors
    /// [`Denial::Invalid`] if the key is empty or too long.
    pub(crate) fn under_key(caller: &SessionDn, key: &str, request: &[&[u8]]) -> Result<Self, Denial> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(Denial::field("Idempotency-Key", format!("has 1 to {MAX_KEY} bytes")));
        }
        let id = half(&[b"idempotency key", caller.to_string().as_bytes(), key.as_bytes()]);
        Ok(Self { command: CommandId::from_random(id), digest: Some(RequestDigest(half(request))) })
    }

    /// An order under a command id that the caller chose. It is the caller's own: another one's choice of the same id is
    /// another order (T59).
    #[must_use]
    pub(crate) fn under_id(caller: &SessionDn, command: CommandId, request: &[&[u8]]) -> Self {
        let command = scoped_id(&caller.to_string(), command);
        Self { command, digest: Some(RequestDigest(half(request))) }
    }

    /// The same for the nth of several entries that one order makes; the first is the order itself.
    #[must_use]
    pub(crate) fn nth(&self, nth: usize) -> Self {
        if nth == 0 {
            return *self;
        }
        let bits = half(&[b"nth", self.command.uuid().as_bytes(), &(nth as u64).to_be_bytes()]);
        Self { command: CommandId::from_random(bits), digest: self.digest }
    }

    /// Proposes what an administrator ordered.
    ///
    /// # Errors
    /// The rejection as the caller must see it; `noQuorum`, `unknownOutcome`.
    pub(crate) async fn propose(&self, replica: &Replica, command: impl Into<Command>) -> Result<Outcome, Denial> {
        let outcome = replica.propose_as(self.command, self.digest, command.into()).await?;
        let reply = outcome.reply.accepted()?;
        Ok(Outcome { index: outcome.index, reply })
    }

    /// Whether it was proposed before, as far as `state` knows; proposed again, it gets its first answer.
    #[must_use]
    pub(crate) fn is_known(&self, state: &State) -> bool {
        state.results().find(self.command).is_some()
    }

    /// The id of what the order makes: the same for every repetition.
    #[must_use]
    pub(crate) fn new_id(&self, unix_millis: u64) -> Uuid {
        let bits = half(&[b"new object", self.command.uuid().as_bytes()]);
        let mut random = [0; 10];
        random.copy_from_slice(&bits[..10]);
        match self.digest {
            // A repetition comes at another time, and must not make another id.
            Some(_) => uuid::Builder::from_random_bytes(bits).into_uuid(),
            None => uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_callers_own_and_stands_for_one_request() {
        let alice: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=alice,OU=local".parse().expect("a DN");
        let bob: SessionDn = "CN=4c07bc6757ea42ddb702c2d6c45419fc,CN=bob,OU=local".parse().expect("a DN");
        let first = Repeat::under_key(&alice, "k", &[b"POST", b"/sites", b"{}"]).expect("a key");
        let again = Repeat::under_key(&alice, "k", &[b"POST", b"/sites", b"{}"]).expect("a key");
        let other = Repeat::under_key(&alice, "k", &[b"POST", b"/sites", b"[]"]).expect("a key");
        assert_eq!((first, first.new_id(1)), (again, again.new_id(2)));
        assert_eq!(first.command, other.command);
        assert_ne!(first.digest, other.digest);
        assert_ne!(first.command, Repeat::under_key(&bob, "k", &[b"POST", b"/sites", b"{}"]).expect("a key").command);
        let chosen = CommandId::from_random([7; 16]);
        let [mine, again, theirs] = [&alice, &alice, &bob].map(|who| Repeat::under_id(who, chosen, &[b"POST"]).command);
        assert_eq!(mine, again);
        assert!(mine != theirs && mine != chosen, "nobody takes an id away from somebody else");
        assert_ne!(Repeat::once().new_id(1), Repeat::once().new_id(1));
        assert!(Repeat::under_key(&alice, "", &[]).is_err());
    }
}
