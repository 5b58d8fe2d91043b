//! The key with which an administrator's tools knock on the admin port: his own, and for one machine (T53).

use ringwall_protocol::wire::admin::KnockKeyAnswer;

use super::Access;
use super::authority::Administrator;
use crate::listener::spa;
use crate::refusal::Refusal;

impl Access {
    /// A new key of the caller's. It counts until he is cut off or blocked.
    ///
    /// # Errors
    /// `noQuorum` before the founding is known; `internal` if the master key does not open.
    pub(crate) fn knock_key(&self, who: &Administrator) -> Result<KnockKeyAnswer, Refusal> {
        let master = spa::master(&who.state, &self.vault)?;
        let key = spa::administrators_key(&master, &who.dn, who.state.index());
        Ok(KnockKeyAnswer { knock_key: key.expose_text().to_string().into() })
    }
}
