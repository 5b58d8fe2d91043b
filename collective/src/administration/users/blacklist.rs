//! The blacklist: users who may not sign in (S18).

use ringwall_protocol::name::UserDn;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{BlacklistEntry, BlockRequest, List, REASON};
use ringwall_raft::state::blocklist::{BlockEntry, BlockUser, UnblockUser};
use serde_json::Value;

use crate::administration::access::authority::Administrator;
use crate::administration::access::lasting;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::administration::users::Users;
use crate::audit::event::Event;
use crate::identity::directory::spelled;

/// How entries are searched and sorted.
const HABITS: Habits = Habits { searched: &["userDistinguishedName", "reason"], order_by: "userDistinguishedName" };
impl Users {
    /// Blocked users.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(crate) fn list_blacklist(&self, who: &Administrator, wanted: &Wanted) -> Result<List<Value>, Denial> {
        who.authority.require(PrivilegeType::View, PrivilegeTarget::Blacklist, None)?;
        let entries = who.state.blocklist().map(|entry| serde_json::to_value(shown(entry)).unwrap_or_default());
        Ok(wanted.of(entries.collect(), HABITS))
    }

    /// Blocks a user; sessions are cut in the same entry.
    ///
    /// # Errors
    /// `Forbidden`; `Conflict` for whoever would block himself, or the last administrator.
    pub(crate) async fn blacklist(
        &self,
        who: &Administrator,
        entry: BlockRequest,
        repeat: &Repeat,
    ) -> Result<BlacklistEntry, Denial> {
        let order = decide(who, entry)?;
        lasting::check(who, &order.clone().into())?;
        let outcome = repeat.propose(&self.replica, order.clone()).await?;
        Event::by(who, "user_blacklisted")
            .with("user", order.user.to_string())
            .with("reason", order.reason)
            .at(outcome.index)
            .emit();
        let state = self.replica.current().await?;
        let gone = || Denial::Conflict("the user was blocked, and unblocked by somebody else since".to_owned());
        state.blocked(&order.user).map(shown).ok_or_else(gone)
    }

    /// Lets a user sign in again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub(crate) async fn unblock_user(&self, who: &Administrator, user: UserDn, repeat: &Repeat) -> Result<(), Denial> {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::Blacklist, None)?;
        let user = spelled(&who.state, user);
        let outcome = repeat.propose(&self.replica, UnblockUser { user: user.clone() }).await?;
        Event::by(who, "user_pardoned").with("user", user.to_string()).at(outcome.index).emit();
        Ok(())
    }
}

/// The order that an administrator may give with this entry. Pure.
fn decide(who: &Administrator, entry: BlockRequest) -> Result<BlockUser, Denial> {
    who.authority.require(PrivilegeType::Create, PrivilegeTarget::Blacklist, None)?;
    let user = spelled(&who.state, entry.user_distinguished_name);
    if user == who.dn.user {
        return Err(Denial::Conflict("administrators do not block themselves".to_owned()));
    }
    if !REASON.fits(&entry.reason) {
        return Err(Denial::field("reason", REASON.rule));
    }
    if who.state.identity_provider_named(user.provider.as_str()).is_none() {
        return Err(Denial::contradiction(
            "userDistinguishedName",
            format!("there is no identity provider {}", user.provider),
        ));
    }
    Ok(BlockUser { user, reason: entry.reason })
}

fn shown(entry: &BlockEntry) -> BlacklistEntry {
    BlacklistEntry {
        username: entry.user.user.to_string(),
        provider_name: entry.user.provider.to_string(),
        user_distinguished_name: entry.user.clone(),
        blacklisted_at: entry.blocked_at,
        reason: entry.reason.clone(),
    }
}
