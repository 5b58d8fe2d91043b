//! Identity providers: who proves a user, and what is known of him.
//!
//! A [`Directory`] answers one question about credentials and one about a user; blocklist, devices, limits and further
//! factors are none of its affair. Which kinds exist is a closed set.

mod local;

use std::future::Future;

use ringwall_protocol::claims::ClaimMap;
use ringwall_protocol::id::UserId;
use ringwall_protocol::name::UserName;
use ringwall_protocol::object::IdentityProvider;
use ringwall_protocol::object::identity_provider::IdentityProviderKind;
use ringwall_protocol::wire::client::Credential;
use ringwall_raft::State;

pub use local::{LocalDirectory, claims_of_local_user};

use crate::hashing::HashingPool;
use crate::refusal::Refusal;

/// A user whom a provider knows.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownUser {
    /// The user.
    pub id: UserId,
    /// The name, as it stands in the session's DN.
    pub name: UserName,
    /// User claims, mapped as the provider is configured.
    pub claims: ClaimMap,
}

/// What a provider must be able to do.
pub trait Directory {
    /// The user whom the credential proves; `None` if it proves nobody. Takes the same time in both cases.
    fn prove(
        &self,
        state: &State,
        provider: &IdentityProvider,
        credential: &Credential,
    ) -> impl Future<Output = Result<Option<KnownUser>, Refusal>> + Send;

    /// The id of the user with this name, where it is known without asking anybody. Proves nothing.
    fn id_of(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Option<UserId>;

    /// The work of [`Directory::prove`] for a user who may not sign in whatever the credential is.
    fn prove_nobody(&self, credential: &Credential) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// A user who proved himself before, as the provider knows him now; `None` if he is gone or disabled.
    fn look_up(
        &self,
        state: &State,
        provider: &IdentityProvider,
        user: UserId,
    ) -> impl Future<Output = Result<Option<KnownUser>, Refusal>> + Send;
}

/// All providers.
#[derive(Debug)]
pub struct Directories {
    local: LocalDirectory,
}

impl Directories {
    /// Providers whose password work runs in `hashing`.
    #[must_use]
    pub const fn new(hashing: HashingPool) -> Self {
        Self { local: LocalDirectory::new(hashing) }
    }
}

impl Directory for Directories {
    async fn prove(
        &self,
        state: &State,
        provider: &IdentityProvider,
        credential: &Credential,
    ) -> Result<Option<KnownUser>, Refusal> {
        match provider.kind {
            IdentityProviderKind::LocalDatabase => self.local.prove(state, provider, credential).await,
            other => Err(unavailable(other)),
        }
    }

    fn id_of(&self, state: &State, provider: &IdentityProvider, name: &UserName) -> Option<UserId> {
        match provider.kind {
            IdentityProviderKind::LocalDatabase => self.local.id_of(state, provider, name),
            _ => None,
        }
    }

    async fn prove_nobody(&self, credential: &Credential) -> Result<(), Refusal> {
        self.local.prove_nobody(credential).await
    }

    async fn look_up(
        &self,
        state: &State,
        provider: &IdentityProvider,
        user: UserId,
    ) -> Result<Option<KnownUser>, Refusal> {
        match provider.kind {
            IdentityProviderKind::LocalDatabase => self.local.look_up(state, provider, user).await,
            other => Err(unavailable(other)),
        }
    }
}

/// The admin API refuses to save such a provider; one from a newer version of the state refuses everybody.
fn unavailable(kind: IdentityProviderKind) -> Refusal {
    tracing::warn!(?kind, "sign-in at a provider of a kind that this version does not have");
    Refusal::sign_in()
}

/// The user name that a credential claims, if it claims one.
#[must_use]
pub fn claimed_name(credential: &Credential) -> Option<UserName> {
    match credential {
        Credential::Password { username, .. } => UserName::parse(username.clone()).ok(),
        Credential::Oidc { .. } | Credential::Saml { .. } => None,
    }
}
