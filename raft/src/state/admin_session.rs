//! Sessions of administrators: the record is the authority, the token only names it (T40).

use std::collections::BTreeSet;
use std::time::Duration;

use ringwall_protocol::id::{AdminSessionId, LogIndex, ProviderId, RoleId, Thumbprint, UserId};
use ringwall_protocol::name::{DnScope, UserDn};
use ringwall_protocol::object::settings::MAX_ADMIN_MINUTES;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// A session ends after this long without a request.
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
/// `last_used` is kept to the minute: no write for every request.
pub(crate) const USED_STEP: Duration = Duration::from_secs(60);
/// Most sessions at a time.
pub(crate) const MAX_ADMIN_SESSIONS: usize = 10_000;

/// An administrator's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminSession {
    /// Names it in the token.
    pub id: AdminSessionId,
    /// Id of the user.
    pub user_id: UserId,
    /// Whose user.
    pub provider_id: ProviderId,
    /// For people, and for revocations of the user.
    pub user: UserDn,
    /// Roles that policies gave at sign-in.
    pub roles: BTreeSet<RoleId>,
    /// Key to which it is bound; absent: a bearer token's session.
    #[serde(default)]
    pub key: Option<Thumbprint>,
    /// State of the first check.
    pub started_idx: LogIndex,
    /// Set by the state: when it began.
    #[serde(default)]
    pub created_at: UnixMillis,
    /// Set by the state: last request, to the minute.
    #[serde(default)]
    pub last_used_at: UnixMillis,
    /// Its end, at most 12 h after it began.
    pub expires_at: UnixMillis,
}

/// An administrator signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAdminSession {
    /// The session.
    pub session: AdminSession,
}

/// A session was used; propose it when [`AdminSession::wants_touch`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchAdminSession {
    /// Id of the administrator's session.
    pub session: AdminSessionId,
}

/// A session ended; absent is fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndAdminSession {
    /// Id of the administrator's session.
    pub session: AdminSessionId,
}

impl AdminSession {
    /// Whether it holds at `now`: neither ended nor idle for too long.
    #[must_use]
    pub fn is_live(&self, now: UnixMillis) -> bool {
        now < self.expires_at && now < self.last_used_at.plus(IDLE)
    }

    /// Whether its last use is worth a write.
    #[must_use]
    pub fn wants_touch(&self, now: UnixMillis) -> bool {
        self.last_used_at.plus(USED_STEP) <= now
    }
}

impl OpenAdminSession {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let new = &self.session;
        if step.state.blocked(&new.user).is_some() {
            return Err(Rejection::Blocked);
        }
        if step.state.admin_sessions.contains(&new.id) {
            return Err(Rejection::exists("administrator session", new.id));
        }
        if step.state.admin_sessions.len() >= MAX_ADMIN_SESSIONS {
            return Err(Rejection::too_many("administrator sessions", MAX_ADMIN_SESSIONS));
        }
        let longest = Duration::from_secs(u64::from(MAX_ADMIN_MINUTES) * 60);
        let session = AdminSession {
            created_at: step.now,
            last_used_at: step.now,
            expires_at: new.expires_at.min(step.now.plus(longest)),
            ..new.clone()
        };
        step.state.admin_sessions.insert(new.id, session);
        Ok(Reply::Done)
    }
}

impl TouchAdminSession {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let now = step.now;
        match step.state.admin_sessions.find_mut(&self.session) {
            Some(session) if session.is_live(now) => {
                session.last_used_at = session.last_used_at.max(now);
                Ok(Reply::Done)
            }
            _ => Err(Rejection::not_found("administrator session", self.session)),
        }
    }
}

impl EndAdminSession {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.state.admin_sessions.remove(&self.session);
        Ok(Reply::Done)
    }
}

impl State {
    /// Ends the sessions of administrators whom a cut concerns.
    pub(crate) fn end_admin_sessions(&mut self, revocation: &Revocation) {
        if revocation.mode != RevocationMode::Cut || !revocation.kinds.contains(&TokenKind::Administration) {
            return;
        }
        let RevocationScope::Dn(scope) = &revocation.scope else { return };
        let gone: Vec<_> = self.admin_sessions().filter(|one| covers(scope, &one.user)).map(|one| one.id).collect();
        for id in gone {
            self.admin_sessions.remove(&id);
        }
    }

    /// An administrator's session; ask [`AdminSession::is_live`].
    #[must_use]
    pub fn admin_session(&self, id: AdminSessionId) -> Option<&AdminSession> {
        self.admin_sessions.find(&id)
    }

    /// All sessions of administrators.
    pub(crate) fn admin_sessions(&self) -> impl DoubleEndedIterator<Item = &AdminSession> {
        self.admin_sessions.values()
    }
}

/// Whether all sessions of a user are concerned. A scope of one device leaves the user's authority alone.
fn covers(scope: &DnScope, user: &UserDn) -> bool {
    match scope {
        DnScope::Everyone => true,
        DnScope::Provider(provider) => *provider == user.provider,
        DnScope::User(one) => one == user,
        DnScope::Device(_) => false,
    }
}
