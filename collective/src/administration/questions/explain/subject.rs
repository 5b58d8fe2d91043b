//! Whom a question is about: a user by name or DN, with what is known of his session.

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{DeviceId, UserId};
use ringwall_protocol::name::{DnScope, SessionDn, UserDn, UserName};
use ringwall_protocol::object::IdentityProvider;
use ringwall_raft::State;
use uuid::Uuid;

use crate::administration::denial::Denial;
use crate::administration::questions::Questions;
use crate::identity::directory::{Directory, LookUp, spelled};

/// The user that a question is about, with what is known of his session.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// User and device; the device is nil where no session is live.
    pub(crate) dn: SessionDn,
    /// The user.
    pub(crate) user: UserId,
    /// His provider.
    pub(crate) provider: IdentityProvider,
    /// His claims.
    pub(crate) claims: ClaimMap,
    /// His session, as a Gateway reported it.
    pub(crate) session: Option<SessionSummary>,
}

impl Questions {
    /// Finds a user by session DN, user DN, or a bare name that only one user has; his session wherever its feed ends.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a bare name that several users have.
    pub(crate) async fn subject(&self, state: &State, text: &str) -> Result<Subject, Denial> {
        let nobody = || Denial::NotFound(format!("there is no user {text:?}"));
        let (user_dn, device) = match named(text).ok_or_else(nobody)? {
            Named::User(user, device) => (spelled(state, user), device),
            Named::Bare(name) => (self.user_of_name(state, &name).await?, None),
        };
        let provider = state.identity_provider_named(user_dn.provider.as_str()).ok_or_else(nobody)?.clone();
        let scope = match device {
            Some(device) => DnScope::Device(SessionDn { device, user: user_dn.clone() }),
            None => DnScope::User(user_dn.clone()),
        };
        let session =
            self.peers.sessions_everywhere(state, &scope).await.sessions.into_iter().max_by_key(|one| one.since);
        let device = session.as_ref().map(|session| session.dn.device).or(device);
        let dn = SessionDn { device: device.unwrap_or(DeviceId::new(Uuid::nil())), user: user_dn };
        let id = self.providers.directories.id_of(state, &provider, &dn.user.user);
        let id = id.or_else(|| registered(state, &dn.user)).ok_or_else(nobody)?;
        let claims = self.claims_of(state, &provider, &dn, session.as_ref()).await?;
        let claims = claims.ok_or_else(|| Denial::NotFound(format!("the user {} is disabled or gone", dn.user)))?;
        Ok(Subject { dn, user: id, provider, claims, session })
    }

    /// A user's claims as his provider knows them now, or, where it cannot tell, as his session has them. `None` if he is
    /// gone or disabled.
    ///
    /// # Errors
    /// If his provider cannot tell and no session does.
    pub(in crate::administration) async fn claims_of(
        &self,
        state: &State,
        provider: &IdentityProvider,
        dn: &SessionDn,
        session: Option<&SessionSummary>,
    ) -> Result<Option<ClaimMap>, Denial> {
        let told = self.providers.directories.look_up(state, provider, &dn.user.user).await;
        let kept = session.map(|session| &session.user).filter(|claims| !claims.0.is_empty());
        match (told, kept) {
            (Ok(LookUp::Known(known)), _) => Ok(Some(known.claims)),
            (Ok(LookUp::Gone), _) => Ok(None),
            (Ok(LookUp::Unreadable) | Err(_), Some(claims)) => Ok(Some(claims.clone())),
            (Ok(LookUp::Unreadable), None) => {
                let why = format!("{} tells nothing of a user but at his sign-in", dn.user.provider);
                Err(Denial::Conflict(why))
            }
            (Err(refusal), None) => Err(refusal.into()),
        }
    }
}

/// The id under which a user of this name has a registered device.
fn registered(state: &State, user: &UserDn) -> Option<UserId> {
    state.devices().find(|device| device.dn.user == *user).map(|device| device.user_id)
}

/// What a text names.
enum Named {
    /// A user, and a device if it names one.
    User(UserDn, Option<DeviceId>),
    /// A name without a provider.
    Bare(UserName),
}

fn named(text: &str) -> Option<Named> {
    match text.parse::<DnScope>() {
        Ok(DnScope::Device(dn)) => Some(Named::User(dn.user, Some(dn.device))),
        Ok(DnScope::User(user)) => Some(Named::User(user, None)),
        Ok(DnScope::Everyone | DnScope::Provider(_)) => None,
        Err(_) => UserName::parse(text).ok().map(Named::Bare),
    }
}
