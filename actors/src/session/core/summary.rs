//! What the Collective shows of a session.

use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::SiteId;

use super::SessionCore;

impl SessionCore {
    /// The session as it stands.
    #[must_use]
    pub(crate) fn summary(&self) -> SessionSummary {
        let claims = &self.credentials.claims;
        let rules = self.rules.authorization().map_or(0, |current| current.rules.len());
        SessionSummary {
            session: self.settings.session,
            dn: claims.head.sub.clone(),
            sid: claims.head.sid,
            sign_in_idx: claims.sign_in_idx,
            connect_seq: self.credentials.connect_seq,
            proof: self.credentials.proof.clone(),
            user_id: claims.head.user_id,
            site: SiteId::new(self.credentials.prepared.token().head.aud),
            gateway: self.settings.gateway,
            since: self.origin.since,
            client_address: self.origin.peer.ip().to_string(),
            tunnel_addresses: self.settings.addresses.iter().collect(),
            entitlements: self.rules.states(),
            device: self.evidence.device.claims.0.clone(),
            reasons: self.evidence.reasons.given.clone(),
            user: claims.user.clone(),
            step_ups: claims.step_ups.clone(),
            refused_names: self.refused_names.list(),
            rules: u32::try_from(rules).unwrap_or(u32::MAX),
            generation: self.rules.generation(),
        }
    }
}
