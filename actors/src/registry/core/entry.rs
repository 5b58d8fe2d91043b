//! One registered session, as the registry must know it.

use std::collections::BTreeSet;

use ringwall_protocol::feed::FeedView;
use ringwall_protocol::id::LogIndex;
use ringwall_protocol::revocation::{RevocationIndex, Standing, TokenKind};

use crate::ports::SessionAddresses;
use crate::registry::admission::{Binding, Held};
use crate::registry::orders::ConnectionOrder;

/// A registered session.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) binding: Binding,
    pub(super) order: ConnectionOrder,
    pub(super) addresses: SessionAddresses,
    pub(super) claims: Held,
    pub(super) entitlement: Held,
    /// Index for which the entitlement token was made.
    pub(super) claims_idx: LogIndex,
    /// Revocations about which the session was told.
    pub(super) told: BTreeSet<LogIndex>,
}

/// What must be done about a session after a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Tell it to renew these kinds.
    Renew(Vec<TokenKind>),
    /// A revocation, or the removal of a key (no index).
    Void(Option<LogIndex>),
}

impl Entry {
    /// Judges both tokens. A renewal is told once for each revocation.
    pub(super) fn judge(&mut self, view: &FeedView, table: &RevocationIndex) -> Verdict {
        let mut kinds = vec![];
        for token in [&self.claims, &self.entitlement] {
            match token.standing(&self.binding.dn, view, table) {
                None => return Verdict::Void(None),
                Some(Standing::Revoked(by)) => return Verdict::Void(Some(by)),
                Some(Standing::RenewWanted(by)) => kinds.push((token.kind(), by)),
                Some(Standing::Valid) => {}
            }
        }
        let told = &mut self.told;
        let mut fresh = false;
        for (_, by) in &kinds {
            fresh |= told.insert(*by);
        }
        told.retain(|by| table.find(*by).is_some());
        if fresh { Verdict::Renew(kinds.into_iter().map(|(kind, _)| kind).collect()) } else { Verdict::Keep }
    }
}
