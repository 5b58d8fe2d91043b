//! What is asked of the registry, what it checks of tokens alone, and how it refuses.

use std::net::SocketAddr;

use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::connection::{ConnectionProof, ConnectionStatement, PROOF_WINDOW_SECONDS};
use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::{ApplianceId, DeviceId, LogIndex, ProviderId, SessionId, SignInId, Thumbprint, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::revocation::{RevocationIndex, Standing, TokenFacts, TokenKind};
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken, TokenBody, TokenHead};
use ringwall_protocol::wire::error::ErrorCode;
use ringwall_trust::connection_proof;
use ringwall_trust::identity::LeafIdentity;
use ringwall_trust::token::Verified;

use crate::ports::SessionAddresses;

/// A Client that wants in, or back: signatures are proved, nothing else is.
#[derive(Debug)]
pub struct Admission {
    /// From `hello`.
    pub claims: Verified<ClaimsToken>,
    /// From `hello`.
    pub entitlement: Verified<EntitlementToken>,
    /// From the certificate of the handshake.
    pub identity: LeafIdentity,
    /// The key of the handshake.
    pub key: Thumbprint,
    /// End of the certificate.
    pub certificate_until: UnixMillis,
    /// From `hello`; orders connections of one sign-in.
    pub connect_seq: u64,
    /// From `hello`: the Client's signature over that number.
    pub proof: ConnectionProof,
    /// The session that the Client had, if any.
    pub last_session: Option<SessionId>,
    /// Where the Client comes from.
    pub peer: SocketAddr,
    /// Country of that address, two letters (ISO 3166-1), if this Gateway has a database that knows it.
    pub country: Option<String>,
    /// What the device says of itself.
    pub device: UntrustedClaims,
}

/// Newer tokens of a live session; signatures are proved. At least one is set.
#[derive(Debug)]
pub struct Presentation {
    /// Id of the session.
    pub session: SessionId,
    /// A newer claims token.
    pub claims: Option<Verified<ClaimsToken>>,
    /// A newer entitlement token.
    pub entitlement: Option<Verified<EntitlementToken>>,
}

/// A refusal with its reason, for the Client and for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Closed code.
    pub code: ErrorCode,
    /// For people; holds nothing secret.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What the registry remembers of a token that it accepted: enough to judge it again after every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    kind: TokenKind,
    id: ringwall_protocol::id::TokenId,
    site: Option<ringwall_protocol::id::SiteId>,
    kid: String,
    /// Index of the state in which its first check was made.
    pub idx: LogIndex,
    /// Its end.
    pub expires: UnixMillis,
}

impl Held {
    /// What is to be remembered of a token.
    #[must_use]
    pub(crate) fn of<T: TokenBody>(token: &Verified<T>) -> Self {
        let head = token.head();
        Self {
            kind: T::KIND,
            id: head.jti,
            site: token.site(),
            kid: token.kid().to_owned(),
            idx: head.idx,
            expires: UnixMillis::from_seconds(head.exp),
        }
    }

    /// Its kind.
    #[must_use]
    pub(crate) const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Whether its key still proves it, and what revocations say.
    #[must_use]
    pub(crate) fn standing(&self, dn: &SessionDn, view: &FeedView, table: &RevocationIndex) -> Option<Standing> {
        let proved = view.keys.get(&self.kid).is_some_and(|key| key.covers(self.idx) && controller_stands(view, key));
        let facts = TokenFacts { kind: self.kind, dn, id: self.id, idx: self.idx, site: self.site };
        proved.then(|| table.standing(&facts))
    }
}

fn controller_stands(view: &FeedView, key: &ringwall_protocol::membership::KeyRecord) -> bool {
    use ringwall_protocol::object::appliance::ApplianceState;
    // An unknown Controller is one whose record was dropped after its last token could live: its key went with it.
    view.controllers.get(&key.controller).is_some_and(|controller| controller.state != ApplianceState::Removed)
}

/// What binds all tokens, the certificate and the key of one session together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// DN of the session: provider, user and device.
    pub dn: SessionDn,
    /// The sign-in.
    pub sid: SignInId,
    /// The key.
    pub key: Thumbprint,
    user: UserId,
    provider: ProviderId,
    device: DeviceId,
}

impl Binding {
    /// The binding that a token's head describes.
    #[must_use]
    pub(crate) fn of(head: &TokenHead) -> Self {
        Self {
            dn: head.sub.clone(),
            sid: head.sid,
            key: head.cnf.jkt,
            user: head.user_id,
            provider: head.provider_id,
            device: head.device_id,
        }
    }

    /// Checks that certificate, handshake and both tokens belong together, and to this Collective and Site.
    ///
    /// # Errors
    /// [`ErrorCode::TokenMismatch`], saying which of them differs.
    pub(crate) fn check(admission: &Admission, view: &FeedView) -> Result<Self, Refusal> {
        let binding = Self::of(admission.claims.head());
        if Self::of(admission.entitlement.head()) != binding {
            return Err(mismatch("the two tokens are of different sign-ins, users, devices or keys"));
        }
        if binding.key != admission.key {
            return Err(mismatch("the tokens are bound to another key than the certificate's"));
        }
        let LeafIdentity::Session { collective, provider, user, device } = admission.identity else {
            return Err(mismatch("the certificate is no session's"));
        };
        if (collective, provider, user, device) != (view.collective, binding.provider, binding.user, binding.device)
            || binding.dn.device != device
        {
            return Err(mismatch("certificate and tokens name different users or devices"));
        }
        Ok(binding)
    }
}

/// Checks that the Client itself gave this connection its number, at this Gateway, now, with the key of its tokens (T67).
///
/// # Errors
/// [`ErrorCode::TokenMismatch`], saying what is wrong with the proof.
pub(crate) fn check_proof(
    admission: &Admission,
    binding: &Binding,
    gateway: ApplianceId,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let statement = ConnectionStatement {
        collective: admission.claims.head.iss,
        incarnation: admission.claims.head.incarnation(),
        gateway,
        dn: &binding.dn,
        sid: binding.sid,
        sign_in_idx: admission.claims.sign_in_idx,
        connect_seq: admission.connect_seq,
    };
    let key = connection_proof::verify(&statement, &admission.proof).map_err(|error| mismatch(&error.to_string()))?;
    if key != binding.key {
        return Err(mismatch("the connection's number is signed by another key than that of the tokens"));
    }
    let off = now.until(admission.proof.time).max(admission.proof.time.until(now));
    if off.as_secs() > PROOF_WINDOW_SECONDS {
        return Err(mismatch("the device's clock is more than an hour off; set it and connect again"));
    }
    Ok(())
}

/// Checks both tokens against the view: the right Collective and Site, and the entitlements made for these claims.
///
/// # Errors
/// [`ErrorCode::TokenMismatch`].
pub(crate) fn check_pair(claims_idx: LogIndex, entitlement: &EntitlementToken, view: &FeedView) -> Result<(), Refusal> {
    if entitlement.site() != Some(view.site.id) {
        return Err(mismatch("the entitlement token is for another site"));
    }
    if entitlement.claims_idx > claims_idx {
        return Err(mismatch("the entitlement token was made for newer claims"));
    }
    Ok(())
}

/// The session's tunnel addresses, all within the Site's pools.
///
/// # Errors
/// [`ErrorCode::NoAddress`].
pub(crate) fn addresses(claims: &ClaimsToken, view: &FeedView) -> Result<SessionAddresses, Refusal> {
    let addresses = SessionAddresses { v4: claims.tun_ipv4, v6: claims.tun_ipv6 };
    if within_pools(addresses, view) {
        Ok(addresses)
    } else {
        Err(Refusal::new(ErrorCode::NoAddress, "the token's tunnel addresses are not in the pools of this site"))
    }
}

/// Whether there is an address, and all are within the Site's pools.
#[must_use]
pub(crate) fn within_pools(addresses: SessionAddresses, view: &FeedView) -> bool {
    let mut all = addresses.iter().peekable();
    all.peek().is_some() && all.all(|address| view.site.pools.iter().any(|pool| pool.contains(&address)))
}

/// Things that do not belong together.
pub(super) fn mismatch(message: &str) -> Refusal {
    Refusal::new(ErrorCode::TokenMismatch, message)
}
