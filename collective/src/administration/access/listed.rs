//! Sessions of administrators as they are shown and ended by order (T57).

use std::sync::Arc;

use ringwall_protocol::id::AdminSessionId;
use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
use ringwall_protocol::wire::admin::{AdministratorSession, List};
use ringwall_raft::State;
use ringwall_raft::state::admin_session::{AdminSession, EndAdminSession};
use serde_json::Value;

use super::authority::{Administrator, Authority};
use crate::administration::access::Access;
use crate::administration::denial::Denial;
use crate::administration::objects::listing::{Habits, Wanted};
use crate::administration::repeat::Repeat;
use crate::audit::event::Event;
use crate::refusal::Refusal;

/// How sessions are searched and sorted.
const HABITS: Habits = Habits { searched: &["distinguishedName", "source"], order_by: "distinguishedName" };

impl Access {
    /// Live sessions of administrators: all for whoever may see them, else the caller's own.
    ///
    /// # Errors
    /// `internal` for a session that was kept damaged.
    pub(crate) fn list_administrator_sessions(
        &self,
        who: &Administrator,
        wanted: &Wanted,
    ) -> Result<List<Value>, Denial> {
        let all = who.authority.permits(PrivilegeType::View, PrivilegeTarget::AdministratorSession, None);
        let live = who.state.admin_sessions().filter(|one| one.is_live(who.state.settings(), who.now));
        let shown = live.filter(|one| all || one.dn.user == who.dn.user).map(|one| self.shown(who, one));
        let rows: Result<Vec<_>, Refusal> = shown.collect();
        let rows = rows?.into_iter().filter_map(|row| serde_json::to_value(row).ok());
        Ok(wanted.of(rows.collect(), HABITS))
    }

    /// Ends a session, at once and everywhere.
    ///
    /// # Errors
    /// `Forbidden` for another administrator's without the privilege; `NotFound`.
    pub(crate) async fn end_administrator_session(
        &self,
        who: &Administrator,
        id: AdminSessionId,
        repeat: &Repeat,
    ) -> Result<(), Denial> {
        let session = found(&who.state, who, id)?;
        let outcome = repeat.propose(&self.replica, EndAdminSession { session: id }).await?;
        let event = Event::by(who, "admin_session_ended").with("session_of", session.dn.to_string());
        event.with("reason", "ended by an administrator").at(outcome.index).emit();
        Ok(())
    }

    /// The administrator of another session, with what he may do in the caller's state; absent if the session has ended.
    ///
    /// # Errors
    /// `internal` for a session that was kept damaged.
    pub(crate) fn administrator_of(
        &self,
        who: &Administrator,
        session: AdminSessionId,
    ) -> Result<Option<Administrator>, Refusal> {
        let (state, now) = (&who.state, who.now);
        let session = state.admin_session(session).filter(|one| one.is_live(state.settings(), now));
        let Some(session) = session.filter(|one| state.blocked(&one.dn.user).is_none()) else { return Ok(None) };
        let authority = match session.is_break_glass() {
            true => Authority::everything(),
            // Where the policies look at the place, the last request may have come from another one than the sign-in.
            false => Authority::of(state, &self.present_roles(state, session, session.source, now)?),
        };
        Ok(Some(Administrator {
            session: session.clone(),
            dn: session.dn.clone(),
            expires: session.expires_at,
            address: session.source,
            authority,
            state: Arc::clone(state),
            now,
        }))
    }

    fn shown(&self, who: &Administrator, session: &AdminSession) -> Result<AdministratorSession, Refusal> {
        // Where the policies look at the place, the last request may have come from another one than the sign-in.
        let roles = self.present_roles(&who.state, session, session.source, who.now)?;
        let named =
            roles.iter().filter_map(|role| who.state.administrative_role(*role)).map(|role| role.base.name.clone());
        let everything = session.is_break_glass().then(|| "everything (break-glass)".to_owned());
        Ok(AdministratorSession {
            id: session.id,
            distinguished_name: session.dn.clone(),
            key_bound: session.key.is_some(),
            source: session.source.to_canonical(),
            created: session.created_at,
            last_used: session.last_used_at,
            expires: session.expires_at,
            roles: everything.into_iter().chain(named).collect(),
            current: session.id == who.session.id,
        })
    }
}

/// The session, if the caller may end it.
fn found<'a>(state: &'a State, who: &Administrator, id: AdminSessionId) -> Result<&'a AdminSession, Denial> {
    let session = state.admin_session(id);
    if session.is_none_or(|session| session.dn.user != who.dn.user) {
        who.authority.require(PrivilegeType::Delete, PrivilegeTarget::AdministratorSession, None)?;
    }
    session.ok_or_else(|| Denial::NotFound(format!("there is no administrator's session {id}")))
}
