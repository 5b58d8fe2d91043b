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
/// Bytes of one session's picture, and of all of a Gateway: what it cannot need is not kept.
const MAX_SUMMARY: usize = 256 * 1024;
/// See [`MAX_SUMMARY`].
const MAX_BYTES_PER_GATEWAY: usize = 256 * 1024 * 1024;

/// Live sessions by Gateway.
#[derive(Debug, Default)]
pub struct SessionDirectory {
    gateways: RwLock<BTreeMap<ApplianceId, Sessions>>,
}

/// Sessions of one Gateway, each with its size.
#[derive(Debug, Default)]
struct Sessions {
    known: BTreeMap<SessionId, (SessionSummary, usize)>,
    bytes: usize,
}

impl Sessions {
    /// Keeps a session, if all of them then have at most `limit` bytes.
    fn put(&mut self, session: SessionSummary, limit: usize) {
        let size = size_of_json(&session);
        if size > MAX_SUMMARY {
            return;
        }
        let former = self.known.get(&session.session).map(|(old, size)| (old.generation, *size));
        let newer = former.is_none_or(|(generation, _)| generation <= session.generation);
        let bytes = self.bytes - former.map_or(0, |(_, size)| size) + size;
        if newer && bytes <= limit && (former.is_some() || self.known.len() < MAX_PER_GATEWAY) {
            self.bytes = bytes;
            self.known.insert(session.session, (session, size));
        }
    }

    fn remove(&mut self, session: SessionId) -> bool {
        let gone = self.known.remove(&session);
        self.bytes -= gone.as_ref().map_or(0, |(_, size)| *size);
        gone.is_some()
    }

    fn iter(&self) -> impl Iterator<Item = &SessionSummary> {
        self.known.values().map(|(session, _)| session)
    }
}

/// Length of a value as JSON; more than any bound if it has none.
fn size_of_json(session: &SessionSummary) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, session).map_or(usize::MAX, |()| count.0)
}

impl SessionDirectory {
    /// A session was opened or changed. The Gateway is the one whose connection told it, whatever the report says.
    pub fn put(&self, gateway: ApplianceId, session: SessionSummary) {
        let mut gateways = self.gateways.write().unwrap_or_else(PoisonError::into_inner);
        gateways.entry(gateway).or_default().put(SessionSummary { gateway, ..session }, MAX_BYTES_PER_GATEWAY);
    }

    /// Whether a Gateway told of this very connection of the session before.
    pub(crate) fn knows(&self, gateway: ApplianceId, session: &SessionSummary) -> bool {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        let known = gateways.get(&gateway).and_then(|sessions| sessions.known.get(&session.session));
        let connection = |one: &SessionSummary| (one.dn.clone(), one.site, one.sid, one.sign_in_idx, one.connect_seq);
        known.is_some_and(|(known, _)| connection(known) == connection(session) && known.proof == session.proof)
    }

    /// A session ended. False if the Gateway did not tell of it before.
    pub fn remove(&self, gateway: ApplianceId, session: SessionId) -> bool {
        let mut gateways = self.gateways.write().unwrap_or_else(PoisonError::into_inner);
        gateways.get_mut(&gateway).is_some_and(|sessions| sessions.remove(session))
    }

    /// The Gateway's connection ended; it will tell its sessions anew, here or elsewhere.
    pub fn forget_gateway(&self, gateway: ApplianceId) {
        self.gateways.write().unwrap_or_else(PoisonError::into_inner).remove(&gateway);
    }

    /// All of them, by Gateway and session.
    #[must_use]
    pub fn all(&self) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(Sessions::iter).cloned().collect()
    }

    /// Those of one DN.
    #[must_use]
    pub fn of(&self, dn: &SessionDn) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(Sessions::iter).filter(|session| session.dn == *dn).cloned().collect()
    }

    /// Those that a scope covers.
    #[must_use]
    pub fn covered_by(&self, scope: &DnScope) -> Vec<SessionSummary> {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(Sessions::iter).filter(|session| scope.matches(&session.dn)).cloned().collect()
    }

    /// How many a scope covers.
    #[must_use]
    pub fn count(&self, scope: &DnScope) -> usize {
        let gateways = self.gateways.read().unwrap_or_else(PoisonError::into_inner);
        gateways.values().flat_map(Sessions::iter).filter(|session| scope.matches(&session.dn)).count()
    }
}

#[cfg(test)]
mod tests {
    use ringwall_protocol::claims::ClaimMap;
    use ringwall_protocol::connection::ConnectionProof;
    use ringwall_protocol::id::{LogIndex, SignInId, SiteId, UserId};
    use ringwall_protocol::time::UnixMillis;

    use super::*;

    fn session(number: u8, generation: u64) -> SessionSummary {
        SessionSummary {
            session: SessionId::from_random([number; 16]),
            dn: format!("CN={number:032x},CN=alice,OU=local").parse().expect("a DN"),
            sid: SignInId::from_random([1; 16]),
            sign_in_idx: LogIndex(1),
            connect_seq: 1,
            proof: ConnectionProof { time: UnixMillis(0), key: Vec::new(), signature: Vec::new() },
            user_id: UserId::from_random([4; 16]),
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
    fn what_is_kept_of_a_gateways_sessions_has_an_end() {
        let directory = SessionDirectory::default();
        let gateway = ApplianceId::from_random([2; 16]);
        let mut large = session(1, 1);
        large.client_address = "a".repeat(MAX_SUMMARY);
        directory.put(gateway, large);
        assert!(directory.all().is_empty(), "no session needs that much");
        let (mut sessions, limit) = (Sessions::default(), 20 * size_of_json(&session(1, 1)));
        (0..100).for_each(|number| sessions.put(session(number, 1), limit));
        let kept = sessions.iter().count();
        assert!((15..=20).contains(&kept) && sessions.bytes <= limit, "{kept} sessions");
        let first = session(0, 1).session;
        assert!(sessions.remove(first) && !sessions.remove(first));
        sessions.put(session(200, 1), limit);
        assert_eq!(sessions.iter().count(), kept, "what ended made room");
        (0..255).for_each(|number| {
            sessions.remove(session(number, 1).session);
        });
        assert_eq!(sessions.bytes, 0);
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
