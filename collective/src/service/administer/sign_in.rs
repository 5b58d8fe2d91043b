//! How administrators sign in: users of a provider with `adminProvider` to whom Admin policies give roles.
//!
//! The order of checks, their time and the one answer to a failure are those of Clients' sign-in (review 39). Another
//! factor is wanted wherever the provider has `onBoarding2FA`: an administrator's machine is never registered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_protocol::claims::{ClaimMap, Facts};
use ringwall_protocol::id::{MfaProviderId, RoleId, Thumbprint, TransactionId};
use ringwall_protocol::name::{ProviderName, SessionDn, UserDn};
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{IdentityProviderKind, MfaProviderKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::admin::{AdminUser, LoginAnswer, LoginRequest, ProviderOffer};
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::state::admin_session::AdminSession;
use ringwall_raft::state::totp::{ConfirmTotp, PutTotpSeed};
use ringwall_raft::state::transaction::{CountAttempt, OpenTransaction, Transaction, TransactionKind};
use ringwall_raft::{Command, State};
use ringwall_trust::secret::SystemRandom;
use ringwall_trust::totp::Seed;
use serde::Serialize;
use std::collections::BTreeSet;

use super::authority::{Administrator, Authority};
use super::denial::Denial;
use super::picture::barcode;
use super::session::{Halfway, Opening, life, new_id};
use super::trail::{Event, collective};
use crate::clock;
use crate::controller::Controller;
use crate::directory::{Attempt, Claimed, Directory, KnownUser, LookUp, Proof, Whom};
use crate::factor::{Bearer, Verdict, refused};
use crate::limits::REFUSAL_FLOOR;
use crate::refusal::Refusal;
use crate::vault::Purpose;

/// Whether a sign-in may stop halfway for another factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// `POST /login`: whoever needs another factor is refused.
    One,
    /// `POST /authentication`: the answer may be a token that wants another factor first.
    Two,
}

/// Answer to `POST /authentication/otp/initialize`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FactorOffer {
    /// `AlreadySeeded` or `Secret`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The seed, base32; only the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// `otpauth://…`; only the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    otp_auth_url: Option<String>,
    /// The link as a picture, PNG, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    barcode: Option<String>,
}

/// An administrator whose password was right.
struct Proved {
    user: KnownUser,
    provider: IdentityProvider,
    dn: SessionDn,
    state: Arc<State>,
    now: UnixMillis,
}

impl Controller {
    /// Signs an administrator in.
    ///
    /// # Errors
    /// `signInRefused` for whatever is wrong with name, password or provider; [`Denial::Forbidden`] for a user without
    /// roles; `mfaRequired` if [`Steps::One`] does not suffice; `busy`, `noQuorum`.
    pub async fn sign_in_administrator(
        &self,
        from: IpAddr,
        request: LoginRequest,
        steps: Steps,
    ) -> Result<LoginAnswer, Denial> {
        let _place = self.sign_ins.try_acquire().map_err(|_| Refusal::busy())?;
        let came = tokio::time::Instant::now();
        let outcome = self.try_sign_in_administrator(from, request, steps).await;
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
    ) -> Result<LoginAnswer, Denial> {
        let now = clock::now();
        self.failures.may_try(from, now)?;
        let state = self.current().await?;
        let proved = self.prove_administrator(state, from, request, now).await?;
        let roles = self.roles_of(&proved.state, &proved.user.claims, &proved.dn, from, now);
        if roles.is_empty() {
            event("admin_authorization_failed", &proved.state, &proved.dn, from).with("reason", "no roles").emit();
            return Err(Denial::Forbidden("no policy gives this user an administrative role".to_owned()));
        }
        let wanted = proved.provider.on_boarding_2fa.as_ref().map(|wanted| wanted.mfa_provider_id);
        match (wanted, steps) {
            (None, _) => self.let_in(&proved, roles, from).await,
            (Some(_), Steps::One) => Err(Denial::NotSignedIn {
                id: "mfaRequired",
                message: "this administrator needs another factor: use /authentication".to_owned(),
            }),
            (Some(factor), Steps::Two) => self.ask_factor(&proved, factor, from).await,
        }
    }

    async fn prove_administrator(
        &self,
        state: Arc<State>,
        from: IpAddr,
        request: LoginRequest,
        now: UnixMillis,
    ) -> Result<Proved, Denial> {
        let provider = state.identity_provider_named(&request.provider_name).filter(|provider| provider.admin_provider);
        let provider = provider.cloned();
        let device = request.device_id;
        let credential = Credential::Password { username: request.username, password: request.password };
        let user = provider.as_ref().and_then(|provider| {
            let Claimed::Name(user) = self.directories.claimed(provider, &credential) else { return None };
            Some(UserDn { user, provider: ProviderName::parse(provider.base.name.clone()).ok()? })
        });
        let (Some(provider), Some(user)) = (provider, user) else {
            self.directories.prove_nobody(&state, None, &credential).await?;
            self.failures.count_source(from, now);
            return Err(Refusal::sign_in().into());
        };
        let dn = SessionDn { device, user };
        let proof = if self.may_not_try(&state, &dn, false, now) {
            self.directories.prove_nobody(&state, Some(&provider), &credential).await?;
            Proof::Nobody
        } else {
            let attempt = Attempt { credential: &credential, device, key: Thumbprint([0; 32]), exporter: None };
            self.directories.prove(&state, &provider, &attempt).await?
        };
        let user = match proof {
            Proof::User(user) if user.name == dn.user.user => Some(*user),
            // The admin API has no place for another question of an identity provider.
            Proof::User(_) | Proof::Nobody | Proof::Further(_) => None,
        };
        let Some(user) = user else {
            self.failed(from, &dn, false, &provider, now).await;
            event("authentication_failed", &state, &dn, from).emit();
            return Err(Refusal::sign_in().into());
        };
        event("authentication_succeeded", &state, &dn, from).with("authentication_type", "Password").emit();
        Ok(Proved { user, provider, dn, state, now })
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

    async fn let_in(&self, proved: &Proved, roles: BTreeSet<RoleId>, from: IpAddr) -> Result<LoginAnswer, Denial> {
        let opening = opening(proved, new_id(), roles);
        self.open_session(&opening, None).await?;
        let state = self.current().await?;
        let (token, expires) = self.admin_token(&state, &opening, proved.now)?;
        event("admin_authorization_succeeded", &state, &proved.dn, from).emit();
        Ok(answer(&state, &opening, token, expires, false))
    }

    /// Opens the transaction in which the other factor is awaited; its id will be the session's.
    async fn ask_factor(&self, proved: &Proved, factor: MfaProviderId, from: IpAddr) -> Result<LoginAnswer, Denial> {
        let opening = opening(proved, new_id(), BTreeSet::new());
        let id = TransactionId::new(opening.session.id.uuid());
        let provider = proved.state.mfa_provider(factor).ok_or_else(refused)?;
        let bearer = Bearer { user: proved.user.id, dn: &proved.dn.user, device: proved.dn.device };
        let further = self.begin_factor(&proved.state, provider, bearer).await?;
        let transaction = Transaction {
            id,
            kind: TransactionKind::Admin,
            user_id: proved.user.id,
            provider_id: proved.provider.base.id,
            dn: proved.dn.clone(),
            device_id: proved.dn.device,
            key: Thumbprint([0; 32]),
            profile_id: None,
            started_idx: proved.state.index(),
            factor_provider_id: factor.uuid(),
            interaction: None,
            provider_state: self.seal_kept(id, &further),
            context: None,
            on_page: further.challenge.is_page(),
            attempts: 0,
            expires_at: UnixMillis(0),
        };
        self.change(OpenTransaction { transaction }).await?;
        let (token, expires) = self.admin_token(&proved.state, &opening, proved.now)?;
        event("admin_factor_wanted", &proved.state, &proved.dn, from).emit();
        Ok(answer(&proved.state, &opening, token, expires, true))
    }

    /// Says which factor is wanted; whoever has none yet is given a seed (trust at first use, as the vendor's tools have
    /// it).
    ///
    /// # Errors
    /// `noQuorum`, `unknownOutcome`.
    pub async fn offer_factor(&self, halfway: &Halfway) -> Result<FactorOffer, Denial> {
        let user = halfway.transaction.user_id;
        let factor = halfway.state.mfa_provider(MfaProviderId::new(halfway.transaction.factor_provider_id));
        let seeded_here = factor.is_some_and(|factor| factor.kind() == MfaProviderKind::DefaultTimeBased);
        if !seeded_here || halfway.state.totp_seed(user).is_some_and(|seed| seed.confirmed) {
            return Ok(FactorOffer { kind: "AlreadySeeded", secret: None, otp_auth_url: None, barcode: None });
        }
        let seed = Seed::generate(&SystemRandom);
        let sealed = self.vault.seal(Purpose::TotpSeed(user), seed.expose());
        self.change(PutTotpSeed { user, seed: sealed, confirmed: false }).await?;
        let url = seed.expose_url(&issuer(&halfway.state), &halfway.transaction.dn.user.user.to_string());
        Ok(FactorOffer {
            kind: "Secret",
            secret: Some(seed.expose_base32().to_string()),
            barcode: barcode(&url),
            otp_auth_url: Some(url.to_string()),
        })
    }

    /// Takes the other factor; the attempt is counted before the code is looked at.
    ///
    /// # Errors
    /// `mfaRefused` for a wrong code or a transaction that is over.
    pub async fn take_factor(&self, halfway: &Halfway, code: &str) -> Result<LoginAnswer, Denial> {
        let came = tokio::time::Instant::now();
        let outcome = self.try_take_factor(halfway, code).await;
        if outcome.is_err() {
            self.failures.count_source(halfway.address, clock::now());
            tokio::time::sleep_until(came + REFUSAL_FLOOR).await;
        }
        outcome
    }

    async fn try_take_factor(&self, halfway: &Halfway, code: &str) -> Result<LoginAnswer, Denial> {
        let (transaction, from, now) = (&halfway.transaction, halfway.address, clock::now());
        self.failures.may_try(from, now)?;
        self.change(CountAttempt { transaction: transaction.id }).await?;
        let state = self.current().await?;
        let spend = match self.judge_factor(&state, transaction, code, now).await? {
            Verdict::Right { spend } => spend,
            // The admin API has one question and one answer.
            Verdict::Wrong | Verdict::Further(_) => return Err(refused().into()),
        };
        if !spend.is_empty() {
            self.change(Command::Group(spend)).await?;
        }
        if state.totp_seed(transaction.user_id).is_some_and(|seed| !seed.confirmed) {
            self.change(ConfirmTotp { user: transaction.user_id }).await?;
        }
        let provider = state.identity_provider(transaction.provider_id).filter(|provider| provider.admin_provider);
        let provider = provider.cloned().ok_or_else(Refusal::sign_in)?;
        let whom = Whom { name: &transaction.dn.user.user, device: None };
        let LookUp::Known(user) = self.directories.look_up(&state, &provider, whom).await? else {
            return Err(Refusal::sign_in().into());
        };
        let roles = self.roles_of(&state, &user.claims, &transaction.dn, from, now);
        if roles.is_empty() {
            return Err(Denial::Forbidden("no policy gives this user an administrative role".to_owned()));
        }
        let dn = transaction.dn.clone();
        let proved = Proved { user: *user, provider, dn, state: Arc::clone(&halfway.state), now };
        let id = ringwall_protocol::id::AdminSessionId::new(transaction.id.uuid());
        let mut opening = opening(&proved, id, roles);
        opening.session.started_idx = transaction.started_idx;
        self.open_session(&opening, Some(transaction.id)).await?;
        event("otp_authentication_succeeded", &state, &proved.dn, from).emit();
        event("admin_authorization_succeeded", &state, &proved.dn, from).emit();
        Ok(answer(&state, &opening, halfway.token.clone(), halfway.expires, false))
    }
}

/// Providers at which administrators can sign in.
#[must_use]
pub fn offers(state: &State) -> Vec<ProviderOffer> {
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
pub fn again(administrator: &Administrator, token: &str) -> LoginAnswer {
    LoginAnswer {
        user: admin_user(&administrator.session, &administrator.authority, false),
        token: token.to_owned(),
        expires: administrator.expires,
        message_of_the_day: administrator.state.settings().message_of_the_day.clone(),
    }
}

/// The Collective's name, as authenticators show it.
pub(super) fn issuer(state: &State) -> String {
    state.collective().map_or_else(|| "Ringwall".to_owned(), |collective| format!("Ringwall {}", collective.name))
}

fn opening(proved: &Proved, id: ringwall_protocol::id::AdminSessionId, roles: BTreeSet<RoleId>) -> Opening {
    let session = AdminSession {
        id,
        user_id: proved.user.id,
        provider_id: proved.provider.base.id,
        user: proved.dn.user.clone(),
        roles,
        key: None,
        started_idx: proved.state.index(),
        created_at: UnixMillis(0),
        last_used_at: UnixMillis(0),
        expires_at: proved.now.plus(life(&proved.state)),
    };
    Opening { session, dn: proved.dn.clone() }
}

fn answer(state: &State, opening: &Opening, token: String, expires: UnixMillis, halfway: bool) -> LoginAnswer {
    let authority = Authority::of(state, &opening.session.roles);
    LoginAnswer {
        user: admin_user(&opening.session, &authority, halfway),
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
