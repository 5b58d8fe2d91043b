//! Identity providers: who proves a user, and what is known of him.
//!
//! A [`Directory`] answers questions about credentials and about users; blocklist, devices, limits and further factors
//! are none of its affair. Which kinds exist is a closed set. Whatever is not certain is no proof: a provider that does
//! not answer is an error ([`Refusal::provider_unavailable`]), never a user.

mod certificate;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod ldap;
pub(crate) mod local;
pub(crate) mod mapping;
pub(crate) mod oidc;
pub(crate) mod radius;
pub(crate) mod scripts;
pub(crate) mod secrets;
pub(crate) mod user_name;

use std::future::Future;
use std::sync::Arc;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::{DeviceId, Thumbprint, UserId};
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::{IdentityProviderKind, ProviderSettings};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::wire::client::{Challenge, Credential};
use ringwall_raft::State;
use zeroize::Zeroizing;

pub(crate) use ldap::LdapDirectory;
pub(crate) use local::{LocalDirectory, claims_of_local_user};
pub(crate) use radius::RadiusDirectory;
pub(crate) use user_name::{canonical, checked_at, spelled, user_id_of};

use super::hashing::{HashingPool, Lane};
use super::outbound::Outbound;
use crate::refusal::Refusal;
use crate::replica::vault::Vault;
use oidc::OidcDirectory;

/// A user whom a provider knows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownUser {
    /// The user.
    pub(crate) id: UserId,
    /// The name, as it stands in the session's DN.
    pub(crate) name: UserName,
    /// User claims, mapped as the provider is configured.
    pub(crate) claims: ClaimMap,
    /// What the user should read after the sign-in.
    pub(crate) notices: Vec<String>,
    /// The sign-in ends no later than this (a certificate's end).
    pub(crate) until: Option<UnixMillis>,
}

/// What a credential comes with. No `Debug`: the credential holds secrets.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// What is to prove the user.
    pub(crate) credential: &'a Credential,
    /// The device that it comes from.
    pub(crate) device: DeviceId,
    /// The key that everything will be bound to.
    pub(crate) key: Thumbprint,
    /// Exporter of the TLS connection, where there is one: what is signed for another connection proves nothing.
    pub(crate) exporter: Option<&'a [u8; 32]>,
    /// Where password work waits.
    pub(crate) lane: Lane,
}

/// Whose name a credential claims, before anybody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// This one, in the only form that the provider has of it.
    Name(UserName),
    /// Only the provider can tell.
    Later,
    /// Nobody's: the name is none, or the credential is not of the provider's kind.
    Nobody,
}

/// What a credential came to.
#[derive(Debug)]
pub(crate) enum Proof {
    /// It proves this user.
    User(Box<KnownUser>),
    /// It proves nobody.
    Nobody,
    /// It proves a user of whom the provider does not say all that mappings read. He is refused: a Stop policy could be
    /// about what is missing. This is no failed attempt of his.
    Incomplete {
        /// Who it is.
        name: UserName,
        /// What is missing, for operators.
        cause: String,
    },
    /// The provider wants another answer first.
    Further(Further),
}

/// Another answer that a provider wants.
pub(crate) struct Further {
    /// What it is made of.
    pub(crate) challenge: Challenge,
    /// What the user reads; empty: the Client's own words.
    pub(crate) message: String,
    /// What the provider needs again with the answer. Sealed into the transaction, so that any Controller can go on.
    pub(crate) kept: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Further {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Further").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// What a provider says of a user without his credential.
#[derive(Debug)]
pub(crate) enum LookUp {
    /// He is this.
    Known(Box<KnownUser>),
    /// He is gone or disabled.
    Gone,
    /// It can only be asked with the user's credential: what it said then stays true until the sign-in ends.
    Unreadable,
}

/// What a provider must be able to do.
pub(crate) trait Directory {
    /// Whose name the credential claims.
    fn claimed(&self, provider: &IdentityProvider, credential: &Credential) -> Claimed;

    /// What the credential proves. Takes the same time whether the user exists or not.
    fn prove(
        &self,
        state: &State,
        provider: &IdentityProvider,
        attempt: &Attempt<'_>,
    ) -> impl Future<Output = Result<Proof, Refusal>> + Send;

    /// The answer to a [`Further`] of this provider, for the user of that name. Kinds that never ask further know nobody
    /// by it.
    fn go_on(
        &self,
        _state: &State,
        _provider: &IdentityProvider,
        _name: &UserName,
        _kept: &[u8],
        _answer: &str,
    ) -> impl Future<Output = Result<Proof, Refusal>> + Send {
        std::future::ready(Ok(Proof::Nobody))
    }

    /// The id of the user with this name, where it is known without asking anybody. Proves nothing.
    fn id_of(&self, _state: &State, provider: &IdentityProvider, name: &UserName) -> Option<UserId> {
        Some(user_id_of(provider.base.id, name))
    }

    /// The work of [`Directory::prove`] for a user who may not sign in whatever the credential is.
    fn prove_nobody(
        &self,
        state: &State,
        provider: Option<&IdentityProvider>,
        credential: &Credential,
        lane: Lane,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// A user who proved himself before, as the provider knows him now.
    fn look_up(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
    ) -> impl Future<Output = Result<LookUp, Refusal>> + Send;
}

/// All providers.
#[derive(Debug)]
pub(crate) struct Directories {
    clock: fn() -> UnixMillis,
    hashing: HashingPool,
    local: LocalDirectory,
    ldap: LdapDirectory,
    radius: RadiusDirectory,
    /// OpenID Connect; also sends users to their browsers.
    pub(crate) oidc: OidcDirectory,
}

impl Directories {
    /// Providers whose password work runs in `hashing`, whose secrets `vault` opens, and that are where `outbound`
    /// permits; `clock` is asked once they have answered.
    #[must_use]
    pub(crate) fn new(hashing: HashingPool, vault: Arc<Vault>, outbound: Outbound, clock: fn() -> UnixMillis) -> Self {
        Self {
            clock,
            local: LocalDirectory::new(hashing.clone()),
            hashing,
            ldap: LdapDirectory::new(Arc::clone(&vault), outbound.clone(), clock),
            radius: RadiusDirectory::new(Arc::clone(&vault), outbound.clone()),
            oidc: OidcDirectory::new(vault, outbound, clock),
        }
    }

    async fn finished(&self, provider: &IdentityProvider, proof: Proof) -> Result<Proof, Refusal> {
        match proof {
            Proof::User(user) => Ok(Proof::User(Box::new(self.with_scripts(provider, *user).await?))),
            other => Ok(other),
        }
    }

    /// A user with the claims that the provider's scripts make. One whose claims exceed their bounds is refused: what
    /// would be left out could be what a policy forbids.
    async fn with_scripts(&self, provider: &IdentityProvider, user: KnownUser) -> Result<KnownUser, Refusal> {
        let (claims, left_out) =
            scripts::run(&self.hashing, &provider.claim_scripts, user.claims, (self.clock)()).await?;
        for scripts::LeftOut { claim, why } in left_out {
            tracing::warn!(provider = provider.base.name, claim, why, "a script made no claim");
        }
        claims.check().map_err(|error| {
            tracing::error!(provider = provider.base.name, user = %user.name, %error, "a user has more claims than are allowed");
            Refusal::provider_unavailable()
        })?;
        Ok(KnownUser { claims, ..user })
    }

    /// Tells operators why what was typed is nobody's name; whoever typed it hears what he hears for a wrong password.
    pub(crate) fn report_unusable_name(&self, provider: &IdentityProvider, credential: &Credential) {
        let Credential::Password { username, .. } = credential else { return };
        if provider.kind().disregards_case()
            && let Err(cause) = checked_at(provider, username)
        {
            tracing::info!(provider = provider.base.name, %cause, "a sign-in with a name that nobody can have");
        }
    }

    /// Directories that speak LDAP.
    #[must_use]
    pub(crate) const fn ldap(&self) -> &LdapDirectory {
        &self.ldap
    }

    /// RADIUS servers.
    #[must_use]
    pub(crate) const fn radius(&self) -> &RadiusDirectory {
        &self.radius
    }
}

impl Directory for Directories {
    fn claimed(&self, provider: &IdentityProvider, credential: &Credential) -> Claimed {
        match provider.settings {
            ProviderSettings::LocalDatabase => self.local.claimed(provider, credential),
            ProviderSettings::Ldap(_) => self.ldap.claimed(provider, credential),
            ProviderSettings::Radius(_) => self.radius.claimed(provider, credential),
            ProviderSettings::Certificate(_) | ProviderSettings::LdapCertificate(_) => certificate::claimed(credential),
            ProviderSettings::Oidc(_) => self.oidc.claimed(provider, credential),
            _ => Claimed::Nobody,
        }
    }

    async fn prove(&self, state: &State, provider: &IdentityProvider, attempt: &Attempt<'_>) -> Result<Proof, Refusal> {
        let proof = match &provider.settings {
            ProviderSettings::LocalDatabase => self.local.prove(state, provider, attempt).await,
            ProviderSettings::Ldap(_) => self.ldap.prove(state, provider, attempt).await,
            ProviderSettings::Radius(_) => self.radius.prove(state, provider, attempt).await,
            ProviderSettings::Certificate(_) | ProviderSettings::LdapCertificate(_) => {
                certificate::prove(&self.ldap, state, provider, attempt).await
            }
            ProviderSettings::Oidc(_) => self.oidc.prove(state, provider, attempt).await,
            other => Err(unusable(other.kind())),
        };
        self.finished(provider, proof?).await
    }

    async fn go_on(
        &self,
        state: &State,
        provider: &IdentityProvider,
        name: &UserName,
        kept: &[u8],
        answer: &str,
    ) -> Result<Proof, Refusal> {
        let proof = match &provider.settings {
            ProviderSettings::LocalDatabase => self.local.go_on(state, provider, name, kept, answer).await,
            ProviderSettings::Ldap(_) => self.ldap.go_on(state, provider, name, kept, answer).await,
            ProviderSettings::Radius(_) => self.radius.go_on(state, provider, name, kept, answer).await,
            ProviderSettings::Oidc(_) => self.oidc.go_on(state, provider, name, kept, answer).await,
            other => Err(unusable(other.kind())),
        };
        self.finished(provider, proof?).await
    }

    fn id_of(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Option<UserId> {
        match provider.settings {
            ProviderSettings::LocalDatabase => self.local.id_of(state, provider, name),
            _ => Some(user_id_of(provider.base.id, name)),
        }
    }

    async fn prove_nobody(
        &self,
        state: &State,
        provider: Option<&IdentityProvider>,
        credential: &Credential,
        lane: Lane,
    ) -> Result<(), Refusal> {
        match provider.map(|provider| &provider.settings) {
            Some(ProviderSettings::Ldap(_)) => self.ldap.prove_nobody(state, provider, credential, lane).await,
            Some(ProviderSettings::Radius(_)) => self.radius.prove_nobody(state, provider, credential, lane).await,
            _ => self.local.prove_nobody(state, provider, credential, lane).await,
        }
    }

    async fn look_up(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Result<LookUp, Refusal> {
        let found = match &provider.settings {
            ProviderSettings::LocalDatabase => self.local.look_up(state, provider, name).await,
            ProviderSettings::Ldap(_) => self.ldap.look_up(state, provider, name).await,
            ProviderSettings::Radius(_) => self.radius.look_up(state, provider, name).await,
            ProviderSettings::Certificate(_) | ProviderSettings::LdapCertificate(_) => {
                certificate::look_up(&self.ldap, state, provider, name).await
            }
            ProviderSettings::Oidc(_) => self.oidc.look_up(state, provider, name).await,
            other => Err(unusable(other.kind())),
        };
        match found? {
            LookUp::Known(user) => Ok(LookUp::Known(Box::new(self.with_scripts(provider, *user).await?))),
            other => Ok(other),
        }
    }
}

/// The admin API refuses to save such a provider; one from a newer version of the state refuses everybody.
fn unusable(kind: IdentityProviderKind) -> Refusal {
    tracing::warn!(?kind, "sign-in at a provider of a kind that this version does not have");
    Refusal::sign_in()
}
