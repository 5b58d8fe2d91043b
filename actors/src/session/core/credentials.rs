//! What holds a session: its tokens, its certificate, the index at which they were checked. Pure.

use std::collections::BTreeSet;

use ringwall_protocol::authorize::{PrepareError, Prepared};
use ringwall_protocol::claims::UntrustedClaims;
use ringwall_protocol::connection::ConnectionProof;
use ringwall_protocol::entitlement::Host;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::revocation::TokenKind;
use ringwall_protocol::time::UnixMillis;
use ringwall_protocol::token::{ClaimsToken, EntitlementToken};
use ringwall_trust::token::Verified;

use super::Timer;
use crate::registry::admission::Admission;
use crate::session::notice::Notices;

/// The current tokens of a session.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) claims: ClaimsToken,
    /// The entitlement token, ready to be evaluated.
    pub(super) prepared: Prepared,
    /// The end of the Client's certificate.
    pub(super) certificate_until: UnixMillis,
    /// The feed index at which the newest of them was checked.
    pub(super) checked_at: LogIndex,
    /// The Client's number of this connection; a higher one replaces a lower one.
    pub(super) connect_seq: u64,
    /// The Client's signature over that number.
    pub(super) proof: ConnectionProof,
    /// Names that were last said to be wanted.
    names: BTreeSet<Host>,
}

/// What an admission brings.
pub(super) struct Admitted {
    pub(super) claims: Verified<ClaimsToken>,
    pub(super) entitlement: Verified<EntitlementToken>,
    pub(super) certificate_until: UnixMillis,
    pub(super) checked_at: LogIndex,
    pub(super) connect_seq: u64,
    pub(super) proof: ConnectionProof,
}

/// Takes an admission apart: what holds the session, and what the device said of itself.
pub(super) fn of_admission(admission: Admission, checked_at: LogIndex) -> (Admitted, UntrustedClaims) {
    let Admission { claims, entitlement, certificate_until, connect_seq, proof, device, .. } = admission;
    (Admitted { claims, entitlement, certificate_until, checked_at, connect_seq, proof }, device)
}

impl Credentials {
    /// Those of a first admission.
    ///
    /// # Errors
    /// If the entitlement token cannot be evaluated.
    pub(super) fn new(admitted: Admitted) -> Result<Self, PrepareError> {
        Ok(Self {
            claims: admitted.claims.into_inner(),
            prepared: Prepared::new(admitted.entitlement.into_inner())?,
            certificate_until: admitted.certificate_until,
            checked_at: admitted.checked_at,
            connect_seq: admitted.connect_seq,
            proof: admitted.proof,
            names: BTreeSet::new(),
        })
    }

    /// Takes over those of a later admission of the same session.
    ///
    /// # Errors
    /// If the entitlement token cannot be evaluated: nothing is changed then.
    pub(super) fn resume(&mut self, admitted: Admitted) -> Result<(), PrepareError> {
        self.replace_entitlement(admitted.entitlement.into_inner())?;
        self.claims = admitted.claims.into_inner();
        self.certificate_until = admitted.certificate_until;
        self.connect_seq = admitted.connect_seq;
        self.proof = admitted.proof;
        self.checked(admitted.checked_at);
        Ok(())
    }

    /// Takes over a newer entitlement token.
    ///
    /// # Errors
    /// If it cannot be evaluated: nothing is changed then.
    pub(super) fn replace_entitlement(&mut self, entitlement: EntitlementToken) -> Result<(), PrepareError> {
        self.prepared = Prepared::new(entitlement)?;
        Ok(())
    }

    /// Tokens were checked at this index.
    pub(super) fn checked(&mut self, at: LogIndex) {
        self.checked_at = self.checked_at.max(at);
    }

    /// The end of what holds the session: tokens, certificate, sign-in.
    pub(super) fn expires(&self) -> UnixMillis {
        let seconds = [self.claims.head.exp, self.prepared.token().head.exp, self.claims.sign_in_until];
        seconds.into_iter().map(UnixMillis::from_seconds).fold(self.certificate_until, UnixMillis::min)
    }

    /// The earliest end of tokens of these kinds.
    pub(super) fn not_after(&self, kinds: &[TokenKind]) -> UnixMillis {
        let ends = |kind: &TokenKind| match kind {
            TokenKind::Entitlement | TokenKind::Administration => self.prepared.token().head.exp,
            TokenKind::Claims | TokenKind::AdminClaims => self.claims.head.exp,
        };
        kinds.iter().map(ends).min().map_or(UnixMillis(0), UnixMillis::from_seconds)
    }

    /// The timers that follow from the tokens.
    pub(super) fn timers(&self) -> [(Timer, UnixMillis); 5] {
        let claims = Notices::of(&self.claims.head);
        let entitlement = Notices::of(&self.prepared.token().head);
        [
            (Timer::ClaimsFirst, claims.first),
            (Timer::ClaimsLast, claims.last),
            (Timer::EntitlementFirst, entitlement.first),
            (Timer::EntitlementLast, entitlement.last),
            (Timer::Expiry, self.expires()),
        ]
    }

    /// The names of every entitlement, open or not, if they are not those that were returned last: what is blocked is
    /// told apart by name as well.
    pub(super) fn changed_names(&mut self) -> Option<BTreeSet<Host>> {
        let names = self.prepared.names();
        let changed = names != self.names;
        self.names.clone_from(&names);
        changed.then_some(names)
    }
}
