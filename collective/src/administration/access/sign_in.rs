//! How administrators sign in: users of a provider with `adminProvider` to whom Admin policies give roles.
//!
//! The order of checks, their time and the one answer to a failure are those of Clients' sign-in (T39). Another
//! factor is wanted wherever the provider has `onBoarding2FA`: an administrator's machine is never registered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::id::{RoleId, Thumbprint};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{AdminUser, LoginAnswer, LoginRequest, ProviderOffer};
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;
use ringwall_raft::state::admin_session::AdminSession;

use super::authority::{Administrator, Authority};
use super::session::{Opening, life, new_id};
use crate::administration::access::Access;
use crate::administration::denial::Denial;
use crate::audit::event::{Event, collective};
use crate::identity::directory::{Attempt, Claimed, Directory, KnownUser, Proof};
use crate::refusal::Refusal;
use crate::sign_in::REFUSAL_FLOOR;

mod factor;

/// Whether a sign-in may pause for another factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// `POST /login`: whoever needs another factor is refused.
    One,
    /// `POST /authentication`: the answer may be a token that wants another factor first.
    Two,
}

/// An administrator whose password was right.
struct AuthenticatedAdministrator {
    user: KnownUser,
    provider: IdentityProvider,
    dn: SessionDn,
    state: Arc<State>,
    now: UnixMillis,
}

impl Access {
    /// Signs an administrator in.
    ///
    /// # Errors
    /// `signInRefused` for whatever is wrong with name, password or provider; [`Denial::Forbidden`] for a user without
    /// roles; `mfaRequired` if [`Steps::One`] does not suffice; `busy`, `noQuorum`.
    pub(crate) async fn sign_in_administrator(
        &self,
        from: IpAddr,
        request: LoginRequest,
        steps: Steps,
        now: UnixMillis,
    ) -> Result<LoginAnswer, Denial> {
        let _place = self.places.try_acquire().map_err(|_| Refusal::busy())?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_sign_in_administrator(from, request, steps, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_sign_in_administrator(
        &self,
        from: IpAddr,
        request: LoginRequest,
        steps: Steps,
        now: UnixMillis,
    ) -> Result<LoginAnswer, Denial> {
        self.lockout.failures.may_try(from, now)?;
        let state = self.replica.current().await?;
        let authenticated = self.prove_administrator(state, from, request, now).await?;
        let roles = self.roles_of(&authenticated.state, &authenticated.user.claims, &authenticated.dn, from, now);
        if roles.is_empty() {
            event("admin_authorization_failed", &authenticated.state, &authenticated.dn, from)
                .with("reason", "no roles")
                .emit();
            return Err(Denial::Forbidden("no policy gives this user an administrative role".to_owned()));
        }
        let wanted = authenticated.provider.on_boarding_2fa.as_ref().map(|wanted| wanted.mfa_provider_id);
        match (wanted, steps) {
            (None, _) => self.let_in(&authenticated, roles, from).await,
            (Some(_), Steps::One) => Err(Denial::NotSignedIn {
                id: "mfaRequired",
                message: "this administrator needs another factor: use /authentication".to_owned(),
            }),
            (Some(factor), Steps::Two) => self.ask_factor(&authenticated, factor, from).await,
        }
    }

    async fn prove_administrator(
        &self,
        state: Arc<State>,
        from: IpAddr,
        request: LoginRequest,
        now: UnixMillis,
    ) -> Result<AuthenticatedAdministrator, Denial> {
        let provider = state.identity_provider_named(&request.provider_name).filter(|provider| provider.admin_provider);
        let provider = provider.cloned();
        let device = request.device_id;
        let credential = Credential::Password { username: request.username, password: request.password };
        let user = provider.as_ref().and_then(|provider| {
            let Claimed::Name(user) = self.providers.directories.claimed(provider, &credential) else { return None };
            Some(UserDn { user, provider: ProviderName::parse(provider.base.name.clone()).ok()? })
        });
        let (Some(provider), Some(user)) = (provider, user) else {
            self.providers.directories.prove_nobody(&state, None, &credential).await?;
            self.lockout.failures.count_source(from, now);
            return Err(Refusal::sign_in().into());
        };
        let dn = SessionDn { device, user };
        let proof = if self.lockout.may_not_try(&state, &dn, false, now) {
            self.providers.directories.prove_nobody(&state, Some(&provider), &credential).await?;
            Proof::Nobody
        } else {
            let attempt = Attempt { credential: &credential, device, key: Thumbprint([0; 32]), exporter: None };
            self.providers.directories.prove(&state, &provider, &attempt).await?
        };
        let user = match proof {
            Proof::User(user) if user.name == dn.user.user => Some(*user),
            // The admin API has no place for another question of an identity provider.
            Proof::User(_) | Proof::Nobody | Proof::Further(_) => None,
        };
        let Some(user) = user else {
            self.lockout.failed(from, &dn, false, &provider, now).await;
            event("authentication_failed", &state, &dn, from).emit();
            return Err(Refusal::sign_in().into());
        };
        event("authentication_succeeded", &state, &dn, from).with("authentication_type", "Password").emit();
        Ok(AuthenticatedAdministrator { user, provider, dn, state, now })
    }

    /// Roles that policies give now.
    fn roles_of(
        &self,
        state: &State,
        user: &ClaimMap,
        dn: &SessionDn,
        from: IpAddr,
        now: UnixMillis,
    ) -> BTreeSet<RoleId> {
        let system: ClaimMap = [
            ("clientSrcIP".to_owned(), from.to_canonical().to_string().into()),
            ("deviceId".to_owned(), dn.device.simple().into()),
            ("distinguishedName".to_owned(), dn.to_string().into()),
        ]
        .into_iter()
        .collect();
        let (step_ups, reasons) = (BTreeMap::new(), BTreeMap::new());
        let facts = Facts { user, device: None, system: &system, step_ups: &step_ups, reasons: &reasons, now };
        // Roles are given by policies alone; entitlements need not be looked at.
        let assignment = self.policies.of(state).assign(&facts, std::iter::empty());
        let there = |role: &RoleId| state.administrative_role(*role).is_some();
        assignment.roles.into_iter().filter(there).collect()
    }

    async fn let_in(
        &self,
        authenticated: &AuthenticatedAdministrator,
        roles: BTreeSet<RoleId>,
        from: IpAddr,
    ) -> Result<LoginAnswer, Denial> {
        let opening = opening(authenticated, new_id(), roles);
        self.open_session(&opening, None).await?;
        let state = self.replica.current().await?;
        let (token, expires) = self.admin_token(&state, &opening, authenticated.now)?;
        event("admin_authorization_succeeded", &state, &authenticated.dn, from).emit();
        Ok(answer(&state, &opening, token, expires, false))
    }
}

/// Providers at which administrators can sign in.
#[must_use]
pub(crate) fn offers(state: &State) -> Vec<ProviderOffer> {
    let admin = state.identity_providers().filter(|provider| provider.admin_provider);
    admin
        .map(|provider| ProviderOffer {
            name: provider.base.name.clone(),
            display_name: provider.base.name.clone(),
            kind: match provider.kind() {
                IdentityProviderKind::Oidc => "Oidc",
                IdentityProviderKind::Saml => "Saml",
                _ => "Credentials",
            }
            .to_owned(),
        })
        .collect()
}

/// What a signed-in administrator is told of himself.
#[must_use]
pub(crate) fn again(administrator: &Administrator, token: &str) -> LoginAnswer {
    LoginAnswer {
        user: admin_user(&administrator.session, &administrator.authority, false),
        token: token.to_owned(),
        expires: administrator.expires,
        message_of_the_day: administrator.state.settings().message_of_the_day.clone(),
    }
}

/// The Collective's name, as authenticators show it.
pub(in crate::administration) fn issuer(state: &State) -> String {
    state.collective().map_or_else(|| "Ringwall".to_owned(), |collective| format!("Ringwall {}", collective.name))
}

fn opening(
    authenticated: &AuthenticatedAdministrator,
    id: ringwall_protocol::id::AdminSessionId,
    roles: BTreeSet<RoleId>,
) -> Opening {
    let session = AdminSession {
        id,
        user_id: authenticated.user.id,
        provider_id: authenticated.provider.base.id,
        user: authenticated.dn.user.clone(),
        roles,
        key: None,
        started_idx: authenticated.state.index(),
        created_at: UnixMillis(0),
        last_used_at: UnixMillis(0),
        expires_at: authenticated.now.plus(life(&authenticated.state)),
    };
    Opening { session, dn: authenticated.dn.clone() }
}

fn answer(state: &State, opening: &Opening, token: String, expires: UnixMillis, pending: bool) -> LoginAnswer {
    let authority = Authority::of(state, &opening.session.roles);
    LoginAnswer {
        user: admin_user(&opening.session, &authority, pending),
        token,
        expires,
        message_of_the_day: state.settings().message_of_the_day.clone(),
    }
}

fn admin_user(session: &AdminSession, authority: &Authority, need_two_factor_auth: bool) -> AdminUser {
    use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
    AdminUser {
        name: session.user.user.to_string(),
        need_two_factor_auth,
        can_access_audit_logs: authority.permits_some(PrivilegeType::View, PrivilegeTarget::AuditLog),
        privileges: authority.privileges().to_vec(),
    }
}

fn event(kind: &'static str, state: &State, dn: &SessionDn, from: IpAddr) -> Event {
    Event::new(kind, collective(state), Some(dn), from)
}
