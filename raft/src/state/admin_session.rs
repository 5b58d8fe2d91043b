//! Sessions of administrators: the record is the authority, the token only names it (T40).
//!
//! A record holds no roles: what an administrator may do follows from the policies of the moment. Whatever opened a session
//! ends it when it changes: the password, the seed, the provider (T57).

use std::net::IpAddr;
use std::time::Duration;

use ringwall_protocol::id::{AdminSessionId, LogIndex, ProviderId, Thumbprint, UserId};
use ringwall_protocol::name::{DnScope, SessionDn, UserDn};
use ringwall_protocol::object::GlobalSettings;
use ringwall_protocol::object::settings::MAX_ADMIN_MINUTES;
use ringwall_protocol::revocation::{Revocation, RevocationMode, RevocationScope, TokenKind};
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::rejection::Rejection;
use super::reply::Reply;
use super::secret::Sealed;
use super::step::Step;
use super::transaction::{Transaction, TransactionKind};

/// A session that is bound to a key ends after this long without a request.
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
/// `last_used` is kept to the minute: no write for every request.
pub(crate) const USED_STEP: Duration = Duration::from_secs(60);
/// Most sessions at a time.
pub(crate) const MAX_ADMIN_SESSIONS: usize = 10_000;
/// Most sessions of one administrator: the oldest gives way, so that nobody takes the room of all (T63).
pub const MAX_SESSIONS_OF_ONE: usize = 32;

/// Keys of one administrator that are remembered.
const MAX_KEYS_OF_ONE: usize = 8;

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
    /// User and device.
    pub dn: SessionDn,
    /// What the identity provider said of the user at sign-in, sealed; absent where the state itself knows the user.
    #[serde(default)]
    pub claims: Option<Sealed>,
    /// Key to which it is bound (RFC 7638 thumbprint); absent: a bearer token's session.
    #[serde(default)]
    pub key: Option<Thumbprint>,
    /// Where the sign-in came from.
    pub source: IpAddr,
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

/// A secret of a provider changed, which the state cannot see in its objects: what it opened ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndAdminSessionsOf {
    /// An identity provider, or an MFA provider that verifies another factor of administrators.
    pub provider: uuid::Uuid,
}

impl AdminSession {
    /// Whether the break-glass code opened it: it has no user and no provider, and everything is permitted.
    #[must_use]
    pub fn is_break_glass(&self) -> bool {
        self.provider_id.uuid().is_nil()
    }

    /// Whether both are of one administrator.
    #[must_use]
    pub fn is_of_same_user(&self, other: &Self) -> bool {
        self.dn.user == other.dn.user || (self.user_id == other.user_id && !self.is_break_glass())
    }

    /// Whether it holds at `now`: neither ended nor idle for too long. Bearer tokens are idle sooner.
    #[must_use]
    pub fn is_live(&self, settings: &GlobalSettings, now: UnixMillis) -> bool {
        let idle = match self.key {
            Some(_) => IDLE,
            None => Duration::from_secs(u64::from(settings.bearer_idle_minutes) * 60).min(IDLE),
        };
        now < self.expires_at && now < self.last_used_at.plus(idle)
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
        if step.state.blocked(&new.dn.user).is_some() {
            return Err(Rejection::Blocked);
        }
        if step.state.admin_sessions.contains(&new.id) {
            return Err(Rejection::exists("administrator session", new.id));
        }
        if let Some(claims) = &new.claims {
            claims.check("claims", &step.state.kek)?;
        }
        step.make_room_for(&new.dn.user);
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
        if let Some(key) = session.key.filter(|_| !session.is_break_glass()) {
            step.remember_admin_key(session.user_id, key);
        }
        step.state.admin_sessions.insert(new.id, session);
        Ok(Reply::Done)
    }
}

impl TouchAdminSession {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        let (now, settings) = (step.now, step.state.settings().clone());
        match step.state.admin_sessions.find_mut(&self.session) {
            Some(session) if session.is_live(&settings, now) => {
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

impl EndAdminSessionsOf {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        step.end_sessions_proved_by(self.provider);
        Ok(Reply::Done)
    }
}

impl Step<'_> {
    /// Ends the sessions that a user's former password, seed or key opened, and the sign-ins that are on their way by it.
    pub(crate) fn end_sessions_of_user(&mut self, user: UserId) {
        self.state.end_sessions(|session| session.user_id == user);
        self.drop_admin_sign_ins(|transaction| transaction.user_id == user);
    }

    /// Ends the sessions that a provider opened: those of its users, or of users whose other factor it verifies.
    pub(crate) fn end_sessions_proved_by(&mut self, provider: uuid::Uuid) {
        let of_factor = |id: ProviderId| {
            let found = self.state.identity_provider(id).and_then(|one| one.on_boarding_2fa.as_ref());
            found.is_some_and(|factor| factor.mfa_provider_id.uuid() == provider)
        };
        let opened = |id: ProviderId| id.uuid() == provider || of_factor(id);
        let gone: Vec<_> =
            self.state.admin_sessions().filter(|one| opened(one.provider_id)).map(|one| one.id).collect();
        self.state.end_sessions(|session| gone.contains(&session.id));
        self.drop_admin_sign_ins(|transaction| {
            transaction.provider_id.uuid() == provider || transaction.factor_provider_id == provider
        });
    }

    fn drop_admin_sign_ins(&mut self, which: impl Fn(&Transaction) -> bool) {
        let open = self.state.transactions.values().filter(|one| one.kind == TransactionKind::Admin && which(one));
        let gone: Vec<_> = open.map(|one| one.id).collect();
        for id in gone {
            self.state.transactions.remove(&id);
        }
    }

    /// Remembers a key with which an administrator signed in; the oldest of the user gives way. Being known proves nothing: at
    /// the next sign-in it keeps guessers beside it from its budget (T64).
    fn remember_admin_key(&mut self, user: UserId, key: Thumbprint) {
        let known = self.state.admin_keys.find(&user).cloned().unwrap_or_default();
        let others = known.into_iter().filter(|one| *one != key);
        let keys = std::iter::once(key).chain(others).take(MAX_KEYS_OF_ONE).collect();
        self.state.admin_keys.insert(user, keys);
    }

    /// Ends what is over, and the oldest of a user who has as many sessions as one may have.
    fn make_room_for(&mut self, user: &UserDn) {
        let (now, settings) = (self.now, self.state.settings().clone());
        let mut held: Vec<_> = self.state.admin_sessions().filter(|one| one.dn.user == *user).cloned().collect();
        held.sort_by_key(|one| (one.is_live(&settings, now), one.created_at, one.id));
        let beyond = (held.len() + 1).saturating_sub(MAX_SESSIONS_OF_ONE);
        for one in held.iter().take(beyond) {
            self.state.admin_sessions.remove(&one.id);
        }
        if self.state.admin_sessions.len() >= MAX_ADMIN_SESSIONS {
            self.state.end_sessions(|session| !session.is_live(&settings, now));
        }
    }
}

impl State {
    /// Ends the sessions of administrators whom a cut concerns.
    pub(crate) fn end_admin_sessions(&mut self, revocation: &Revocation) {
        if revocation.mode != RevocationMode::Cut || !revocation.kinds.contains(&TokenKind::Administration) {
            return;
        }
        let RevocationScope::Dn(scope) = &revocation.scope else { return };
        self.end_sessions(|session| covers(scope, &session.dn.user));
    }

    pub(super) fn end_sessions(&mut self, which: impl Fn(&AdminSession) -> bool) {
        let gone: Vec<_> = self.admin_sessions().filter(|one| which(one)).map(|one| one.id).collect();
        for id in gone {
            self.admin_sessions.remove(&id);
        }
    }

    /// Whether this administrator signed in with this key before.
    #[must_use]
    pub fn knows_admin_key(&self, user: UserId, key: Thumbprint) -> bool {
        self.admin_keys.find(&user).is_some_and(|keys| keys.contains(&key))
    }

    /// An administrator's session; ask [`AdminSession::is_live`].
    #[must_use]
    pub fn admin_session(&self, id: AdminSessionId) -> Option<&AdminSession> {
        self.admin_sessions.find(&id)
    }

    /// All sessions of administrators, also those that are over and not removed yet.
    pub fn admin_sessions(&self) -> impl DoubleEndedIterator<Item = &AdminSession> {
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
