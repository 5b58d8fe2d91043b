//! Proving tokens: from text to what the registry can judge. A token whose key is not known yet waits for the feed.

use std::net::SocketAddr;
use std::sync::Arc;

use actix::Addr;
use ringwall_actors::registry::Registry;
use ringwall_actors::registry::published::{Published, Snapshot};
use ringwall_actors::registry::{Admission, Presentation, Refusal};
use ringwall_actors::registry::{Admit, Admitted, Present};
use ringwall_actors::session::Socket;
use ringwall_actors::support::Clock;
use ringwall_protocol::id::SessionId;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, TokenBody};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_protocol::wire::session::{Hello, SESSION_VERSION};
use ringwall_trust::identity::Leaf;
use ringwall_trust::token::{Expected, TokenError, UnverifiedToken, Verified};

use crate::country::Countries;
use crate::names::Names;

/// Verifies the tokens of websockets and passes them to the registry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TokenAuthenticator {
    published: Published,
    registry: Addr<Registry>,
    clock: Arc<dyn Clock>,
    names: Names,
    countries: Option<Arc<Countries>>,
}

impl TokenAuthenticator {
    /// An authenticator in front of this registry.
    #[must_use]
    pub(crate) const fn new(
        published: Published,
        registry: Addr<Registry>,
        clock: Arc<dyn Clock>,
        names: Names,
        countries: Option<Arc<Countries>>,
    ) -> Self {
        Self { published, registry, clock, names, countries }
    }

    /// Who answers questions about names.
    #[must_use]
    pub(crate) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Proves a `hello` and asks for admission.
    ///
    /// # Errors
    /// Why the Client is not let in.
    pub(crate) async fn admit(
        &self,
        hello: Hello,
        leaf: &Leaf,
        peer: SocketAddr,
        socket: Socket,
    ) -> Result<Admitted, Refusal> {
        if !hello.versions.contains(&SESSION_VERSION) {
            let message = format!("this gateway speaks version {SESSION_VERSION}");
            return Err(Refusal::new(ErrorCode::VersionUnsupported, message));
        }
        if let Err(error) = hello.device_claims.0.check() {
            return Err(Refusal::new(ErrorCode::Invalid, error.to_string()));
        }
        let admission = Box::new(Admission {
            claims: self.prove(&hello.claims_token, Snapshot::expects_claims).await?,
            entitlement: self.prove(&hello.entitlement_token, Snapshot::expects_entitlement).await?,
            identity: leaf.identity,
            key: leaf.thumbprint,
            certificate_until: leaf.not_after,
            connect_seq: hello.connect_seq,
            proof: hello.proof,
            last_session: hello.last_session_id,
            peer,
            country: self.countries.as_ref().and_then(|countries| countries.of(peer.ip())),
            device: hello.device_claims,
        });
        self.registry.send(Admit { admission, socket }).await.unwrap_or_else(|_| Err(busy()))
    }

    /// Proves a newer claims token and presents it.
    ///
    /// # Errors
    /// Why it is not taken; the session goes on with what it had.
    pub(crate) async fn present_claims(&self, session: SessionId, token: &str) -> Result<(), Refusal> {
        let claims = Some(self.prove::<ClaimsToken>(token, Snapshot::expects_claims).await?);
        self.present(Presentation { session, claims, entitlement: None }).await
    }

    /// Proves a newer entitlement token and presents it.
    ///
    /// # Errors
    /// Why it is not taken; the session goes on with what it had.
    pub(crate) async fn present_entitlement(&self, session: SessionId, token: &str) -> Result<(), Refusal> {
        let entitlement = Some(self.prove::<EntitlementToken>(token, Snapshot::expects_entitlement).await?);
        self.present(Presentation { session, claims: None, entitlement }).await
    }

    async fn present(&self, presentation: Presentation) -> Result<(), Refusal> {
        self.registry.send(Present(Box::new(presentation))).await.unwrap_or_else(|_| Err(busy()))
    }

    async fn prove<T: TokenBody>(
        &self,
        text: &str,
        expected: impl Fn(&Snapshot) -> Expected,
    ) -> Result<Verified<T>, Refusal> {
        let token = UnverifiedToken::<T>::parse(text).map_err(|error| refusal(&error))?;
        match self.verify(&token, &expected) {
            // The key came after what this Gateway knows: its feed will tell (T35).
            Err(TokenError::UnknownKey { idx }) if self.published.reach(idx).await => {
                self.verify(&token, &expected).map_err(|error| refusal(&error))
            }
            Err(TokenError::UnknownKey { .. }) => {
                Err(Refusal::new(ErrorCode::FeedBehind, "the gateway does not know the token's key yet"))
            }
            proved => proved.map_err(|error| refusal(&error)),
        }
        .inspect_err(|refusal| {
            // Where the connection is refused for it, one line says so, of a bounded number.
            tracing::debug!(token = ?token.prefix(), code = ?refusal.code, %refusal, "token refused");
        })
    }

    fn verify<T: TokenBody>(
        &self,
        token: &UnverifiedToken<'_, T>,
        expected: &impl Fn(&Snapshot) -> Expected,
    ) -> Result<Verified<T>, TokenError> {
        let unknown = TokenError::UnknownKey { idx: ringwall_protocol::id::LogIndex(u64::MAX) };
        let snapshot = self.published.snapshot().ok_or(unknown)?;
        token.verify(&snapshot.keys, &expected(&snapshot), self.clock.now().time)
    }
}

fn busy() -> Refusal {
    Refusal::new(ErrorCode::Busy, "the gateway has too much to do; connect again")
}

fn refusal(error: &TokenError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}
