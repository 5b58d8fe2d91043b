//! What the Collective shows of a session.

use ringwall_protocol::authorize::EntitlementState;
use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::SiteId;

use super::SessionCore;

impl SessionCore {
    /// The session as it stands.
    #[must_use]
    pub fn summary(&self) -> SessionSummary {
        SessionSummary {
            session: self.settings.session,
            dn: self.claims.head.sub.clone(),
            sid: self.claims.head.sid,
            sign_in_idx: self.claims.sign_in_idx,
            connect_seq: self.connect_seq,
            site: SiteId::new(self.prepared.token().head.aud),
            gateway: self.settings.gateway,
            since: self.since,
            client_address: self.peer.ip().to_string(),
            tunnel_addresses: self.settings.addresses.iter().collect(),
            entitlements: self.states(),
            device: self.device.claims.0.clone(),
            reasons: self.reasons.clone(),
            user: self.claims.user.clone(),
            step_ups: self.claims.step_ups.clone(),
            rules: self
                .authorization
                .as_ref()
                .map_or(0, |current| u32::try_from(current.rules.len()).unwrap_or(u32::MAX)),
            generation: self.wanted.generation,
        }
    }

    pub(super) fn states(&self) -> Vec<EntitlementState> {
        self.authorization.as_ref().map(|current| current.states.clone()).unwrap_or_default()
    }
}
