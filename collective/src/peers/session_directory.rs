//! The sessions that live at the Gateways which report to this Controller, as they last told it.
//!
//! A view for people and for `revoke`'s rate; no decision about access rests on it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use ringwall_protocol::feed::SessionSummary;
use ringwall_protocol::id::{ApplianceId, SessionId};
use ringwall_protocol::name::{DnScope, SessionDn};

/// Sessions kept for one Gateway: more than one can have live sessions, so a wrong one cannot fill this memory.
const MAX_PER_GATEWAY: usize = 65_536;

/// Live sessions by Gateway.
#[derive(Debug, Default)]
pub struct SessionDirectory {
    gateways: RwLock<BTreeMap<ApplianceId, BTreeMap<SessionId, SessionSummary>>>,
}

impl SessionDirectory {
    /// A session was opened or changed. The Gateway is the one whose connection told it, whatever the report says.
    pub fn put(&self, gateway: ApplianceId, session: SessionSummary) {
        let mut gateways = self.gateways.write().unwrap_or_else(PoisonError::into_inner);
        let known = gateways.entry(gateway).or_default();
        let newer = known.get(&session.session).is_none_or(|old| old.generation <= session.generation);
        if newer && (known.len() < MAX_PER_GATEWAY || known.contains_key(&session.session)) {
            known.insert(session.session, SessionSummary { gateway, ..session });
        }
    }

    /// A session ended.
    pub fn remove(&self, gateway: ApplianceId, session: SessionId) {
        let mut gateways = self.gateways.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = gateways.get_mut(&gateway) {
            known.remove(&session);
        }
    }

    /// The Gateway's connection ended; it will tell its sessions anew, here or elsewhere.
    pub fn forget_gateway(&self, gateway: ApplianceId) {
        self.gateways.write().unwrap_or_else(PoisonError::into_inner).remove(&gateway);
    }

    /// All of them, by Gateway and session.
    #[must_use]
    pub fn all(&self) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Those of one DN.
    #[must_use]
    pub fn of(&self, dn: &SessionDn) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(BTreeMap::values).filter(|session| session.dn == *dn).cloned().collect()
    }

    /// Those that a scope covers.
    #[must_use]
    pub fn covered_by(&self, scope: &DnScope) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(BTreeMap::values).filter(|session| scope.matches(&session.dn)).cloned().collect()
    }

    /// How many a scope covers.
    #[must_use]
    pub fn count(&self, scope: &DnScope) -> usize {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(BTreeMap::values).filter(|session| scope.matches(&session.dn)).count()
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::claims::ClaimMap;
    use ringwall_protocol::id::{LogIndex, SignInId, SiteId};
    use ringwall_protocol::time::UnixMillis;

    use super::*;

    fn session(number: u8, generation: u64) -> SessionSummary {
        SessionSummary {
            session: SessionId::from_random([number; 16]),
            dn: format!("CN={number:032x},CN=alice,OU=local").parse().expect("a DN"),
            sid: SignInId::from_random([1; 16]),
            sign_in_idx: LogIndex(1),
            connect_seq: 1,
            site: SiteId::from_random([1; 16]),
            gateway: ApplianceId::from_random([9; 16]),
            since: UnixMillis(0),
            client_address: "192.0.2.1:5".to_owned(),
            tunnel_addresses: Vec::new(),
            entitlements: Vec::new(),
            device: ClaimMap::default(),
            reasons: BTreeMap::new(),
            user: ClaimMap::default(),
            step_ups: BTreeMap::new(),
            refused_names: vec![],
            rules: 0,
            generation,
        }
    }

    #[test]
    fn a_gateway_speaks_for_itself_only_and_old_news_change_nothing() {
        let directory = SessionDirectory::default();
        let gateway = ApplianceId::from_random([2; 16]);
        directory.put(gateway, session(1, 5));
        directory.put(gateway, session(1, 4));
        directory.put(gateway, session(2, 1));
        let all = directory.all();
        assert_eq!(all.iter().map(|session| session.generation).collect::<Vec<_>>(), [5, 1]);
        assert!(all.iter().all(|session| session.gateway == gateway));
        assert_eq!(directory.count(&DnScope::Everyone), 2);
        assert_eq!(directory.count(&DnScope::Device(session(1, 0).dn)), 1);
        directory.remove(gateway, session(1, 0).session);
        assert!(directory.of(&session(1, 0).dn).is_empty());
        directory.forget_gateway(gateway);
        assert!(directory.all().is_empty());
    }
}
