//! How administrators sign in: users of a provider with `adminProvider` to whom Admin policies give roles.
//!
//! The order of checks, their time and the one answer to a failure are those of Clients' sign-in (T39). Another
//! factor is wanted wherever the provider has `onBoarding2FA`: an administrator's machine is never registered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::id::{AdminSessionId, RoleId, Thumbprint};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{BREAK_GLASS, IdentityProviderKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{AdminUser, LoginAnswer, LoginRequest, ProviderOffer};
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;
use ringwall_raft::state::admin_session::AdminSession;

use super::authority::{Administrator, Authority};
use super::break_glass::notice;
use super::credentials::{Credentials, check_source};
use super::session::{life, new_id};
use crate::administration::access::Access;
use crate::administration::denial::Denial;
use crate::audit::event::{Event, collective};
use crate::identity::directory::{Attempt, Claimed, Directory, KnownUser, Proof};
use crate::refusal::Refusal;
use crate::sign_in::REFUSAL_FLOOR;
use crate::sign_in::attempter::Attempter;

mod factor;

pub(crate) use factor::FactorOffer;

/// Whether a sign-in may pause for another factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// `POST /login`: whoever needs another factor is refused.
    One,
    /// `POST /authentication`: the answer may be a token that wants another factor first.
    Two,
}

/// Who tries to sign in, with which key, from where.
#[derive(Debug, Clone, Copy)]
struct Tries {
    attempter: Attempter,
    key: Option<Thumbprint>,
    from: IpAddr,
}

/// An administrator whose password was right.
struct AuthenticatedAdministrator {
    user: KnownUser,
    provider: IdentityProvider,
    dn: SessionDn,
    /// The key to which the session is to be bound.
    key: Option<Thumbprint>,
    from: IpAddr,
    state: Arc<State>,
    now: UnixMillis,
}

impl Access {
    /// Signs an administrator in. With a proof of a key, the session is bound to the key.
    ///
    /// # Errors
    /// `signInRefused` for whatever is wrong with name, password or provider; [`Denial::Forbidden`] for a user without
    /// roles; `mfaRequired` if [`Steps::One`] does not suffice; `proofInvalid`, `sourceRefused`; `busy`, `noQuorum`.
    pub(crate) async fn sign_in_administrator(
        &self,
        (credentials, from): (Credentials<'_>, IpAddr),
        request: LoginRequest,
        steps: Steps,
        now: UnixMillis,
    ) -> Result<LoginAnswer, Denial> {
        let key = credentials.key(now)?;
        let tries = Tries { attempter: self.attempter(&self.replica.state(), (key, from), &request), key, from };
        let _place = self.places.take(tries.attempter)?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_sign_in_administrator(tries, request, steps, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_sign_in_administrator(
        &self,
        tries: Tries,
        request: LoginRequest,
        steps: Steps,
        now: UnixMillis,
    ) -> Result<LoginAnswer, Denial> {
        if request.provider_name == BREAK_GLASS {
            return self.break_glass_sign_in((tries.key, tries.from), request, now).await;
        }
        let Tries { attempter, key, from } = tries;
        self.lockout.failures.may_try(attempter, now)?;
        let state = self.replica.current().await?;
        if key.is_none() {
            check_source(state.settings(), from)?;
        }
        let authenticated = self.prove_administrator(state, tries, request, now).await?;
        let roles = self.roles_of(&authenticated.state, &authenticated.user.claims, &authenticated.dn, from, now);
        if roles.is_empty() {
            event("admin_authorization_failed", &authenticated.state, &authenticated.dn, from)
                .with("reason", "no roles")
                .emit();
            return Err(Denial::Forbidden("no policy gives this user an administrative role".to_owned()));
        }
        let wanted = authenticated.provider.on_boarding_2fa.as_ref().map(|wanted| wanted.mfa_provider_id);
        match (wanted, steps) {
            (None, _) => self.let_in(&authenticated, &roles).await,
            (Some(_), Steps::One) => Err(Denial::NotSignedIn {
                id: "mfaRequired",
                message: "this administrator needs another factor: use /authentication".to_owned(),
            }),
            (Some(factor), Steps::Two) => self.ask_factor(&authenticated, factor).await,
        }
    }

    async fn prove_administrator(
        &self,
        state: Arc<State>,
        Tries { attempter, key, from }: Tries,
        request: LoginRequest,
        now: UnixMillis,
    ) -> Result<AuthenticatedAdministrator, Denial> {
        let lane = attempter.lane();
        let provider = state.identity_provider_named(&request.provider_name).filter(|provider| provider.admin_provider);
        let provider = provider.cloned();
        let device = request.device_id;
        let credential = Credential::Password { username: request.username, password: request.password };
        let user = provider.as_ref().and_then(|provider| {
            let Claimed::Name(user) = self.providers.directories.claimed(provider, &credential) else { return None };
            Some(UserDn { user, provider: ProviderName::parse(provider.base.name.clone()).ok()? })
        });
        if let (Some(provider), None) = (&provider, &user) {
            self.providers.directories.report_unusable_name(provider, &credential);
        }
        let (Some(provider), Some(user)) = (provider, user) else {
            self.providers.directories.prove_nobody(&state, None, &credential, lane).await?;
            self.lockout.failures.count(attempter, now);
            return Err(Refusal::sign_in().into());
        };
        let dn = SessionDn { device, user };
        let proof = if self.lockout.may_not_try(&state, &dn, attempter.is_known(), now) {
            self.providers.directories.prove_nobody(&state, Some(&provider), &credential, lane).await?;
            Proof::Nobody
        } else {
            let key = Thumbprint([0; 32]);
            let attempt = Attempt { credential: &credential, device, key, exporter: None, lane };
            self.providers.directories.prove(&state, &provider, &attempt).await?
        };
        let user = match proof {
            Proof::User(user) if user.name == dn.user.user => Some(*user),
            // The admin API has no place for another question of an identity provider.
            Proof::User(_) | Proof::Nobody | Proof::Incomplete { .. } | Proof::Further(_) => None,
        };
        let Some(user) = user else {
            self.lockout.failed((attempter, from), &dn, attempter.is_known(), &provider, now).await;
            event("authentication_failed", &state, &dn, from).emit();
            return Err(Refusal::sign_in().into());
        };
        event("authentication_succeeded", &state, &dn, from).with("authentication_type", "Password").emit();
        Ok(AuthenticatedAdministrator { user, provider, dn, key, from, state, now })
    }

    /// Who tries: whoever holds a key with which this administrator signed in before, or somebody at an address.
    fn attempter(&self, state: &State, (key, from): (Option<Thumbprint>, IpAddr), request: &LoginRequest) -> Attempter {
        let known = || {
            let provider = state.identity_provider_named(&request.provider_name)?;
            let (username, password) = (request.username.clone(), String::new());
            let credential = Credential::Password { username, password };
            let Claimed::Name(name) = self.providers.directories.claimed(provider, &credential) else { return None };
            let (user, key) = (self.providers.directories.id_of(state, provider, &name)?, key?);
            state.knows_admin_key(user, key).then_some(Attempter::AdminKey(user, key))
        };
        known().unwrap_or(Attempter::AdminSource(from))
    }

    /// Roles that policies give now.
    pub(super) fn roles_of(
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
        roles: &BTreeSet<RoleId>,
    ) -> Result<LoginAnswer, Denial> {
        let session = self.session_of(authenticated, new_id())?;
        self.open_session(&session, None).await?;
        let state = self.replica.current().await?;
        let (token, expires) = self.admin_token(&state, &session, authenticated.now)?;
        let event = event("admin_authorization_succeeded", &state, &authenticated.dn, authenticated.from);
        event.with("key_bound", session.key.is_some()).emit();
        let user = admin_user(&session, &Authority::of(&state, roles), false);
        Ok(answer(&state, user, (token, expires), authenticated.now))
    }

    /// The session that an administrator is about to get.
    fn session_of(&self, it: &AuthenticatedAdministrator, id: AdminSessionId) -> Result<AdminSession, Refusal> {
        Ok(AdminSession {
            id,
            user_id: it.user.id,
            provider_id: it.provider.base.id,
            dn: it.dn.clone(),
            claims: self.kept_claims(id, it.provider.kind(), &it.user.claims)?,
            key: it.key,
            source: it.from,
            started_idx: it.state.index(),
            created_at: UnixMillis(0),
            last_used_at: UnixMillis(0),
            expires_at: it.now.plus(life(&it.state)),
        })
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
    let user = admin_user(&administrator.session, &administrator.authority, false);
    answer(&administrator.state, user, (token.to_owned(), administrator.expires), administrator.now)
}

/// The Collective's name, as authenticators show it.
pub(in crate::administration) fn issuer(state: &State) -> String {
    state.collective().map_or_else(|| "Ringwall".to_owned(), |collective| format!("Ringwall {}", collective.name))
}

pub(super) fn answer(
    state: &State,
    user: AdminUser,
    (token, expires): (String, UnixMillis),
    now: UnixMillis,
) -> LoginAnswer {
    let message = state.settings().message_of_the_day.clone();
    let told = [notice(state, now).unwrap_or_default(), message];
    let told: Vec<String> = told.into_iter().filter(|text| !text.is_empty()).collect();
    LoginAnswer { user, token, expires, message_of_the_day: told.join("\n") }
}

pub(super) fn admin_user(session: &AdminSession, authority: &Authority, need_two_factor_auth: bool) -> AdminUser {
    use ringwall_protocol::object::role::{PrivilegeTarget, PrivilegeType};
    AdminUser {
        name: session.dn.user.user.to_string(),
        need_two_factor_auth,
        can_access_audit_logs: authority.permits_some(PrivilegeType::View, PrivilegeTarget::AuditLog),
        privileges: authority.privileges().to_vec(),
    }
}

pub(super) fn event(kind: &'static str, state: &State, dn: &SessionDn, from: IpAddr) -> Event {
    Event::new(kind, collective(state), Some(dn), from)
}
