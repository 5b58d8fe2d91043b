//! Up to which index this Gateway's kernel enforces the feed: everything handed over, less what removals are still
//! outstanding. Pure.

use std::collections::BTreeMap;

use ringwall_protocol::id::{LogIndex, SessionId};

/// What was handed to the enforcer and what it has answered.
#[derive(Debug, Default)]
pub(crate) struct Enforcement {
    handed: LogIndex,
    outstanding: BTreeMap<LogIndex, Vec<SessionId>>,
    acknowledged: Option<LogIndex>,
}

impl Enforcement {
    /// A removal was handed over; its cause is the change at `cause`.
    pub(crate) fn removing(&mut self, session: SessionId, cause: LogIndex) {
        self.outstanding.entry(cause).or_default().push(session);
    }

    /// The kernel has taken the session's rules out.
    pub(crate) fn removed(&mut self, session: SessionId) {
        self.outstanding.retain(|_, sessions| {
            sessions.retain(|waiting| *waiting != session);
            !sessions.is_empty()
        });
    }

    /// Everything up to `index` was handed over.
    pub(crate) fn handed(&mut self, index: LogIndex) {
        self.handed = self.handed.max(index);
    }

    /// The index to acknowledge now, if it is a new one.
    pub(crate) fn acknowledge(&mut self) -> Option<LogIndex> {
        let enforced = match self.outstanding.keys().next() {
            Some(first) => self.handed.min(LogIndex(first.0.saturating_sub(1))),
            None => self.handed,
        };
        if self.acknowledged.is_some_and(|last| last >= enforced) {
            return None;
        }
        self.acknowledged = Some(enforced);
        Some(enforced)
    }

    /// The Collective's incarnation changed: indexes begin anew. Removals stay outstanding, under the first index.
    pub(crate) fn restart(&mut self) {
        let sessions: Vec<_> = std::mem::take(&mut self.outstanding).into_values().flatten().collect();
        *self = Self::default();
        if !sessions.is_empty() {
            self.outstanding.insert(LogIndex(0), sessions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u8) -> SessionId {
        SessionId::from_random([n; 16])
    }

    #[test]
    fn outstanding_removal_holds_the_acknowledgement_back() {
        let mut enforcement = Enforcement::default();
        enforcement.removing(session(1), LogIndex(5));
        enforcement.removing(session(2), LogIndex(5));
        enforcement.handed(LogIndex(9));
        assert_eq!(enforcement.acknowledge(), Some(LogIndex(4)));
        enforcement.removed(session(1));
        assert_eq!(enforcement.acknowledge(), None);
        enforcement.removed(session(2));
        assert_eq!(enforcement.acknowledge(), Some(LogIndex(9)));
        assert_eq!(enforcement.acknowledge(), None);
    }

    #[test]
    fn removal_of_a_former_life_holds_back_the_new_one() {
        let mut enforcement = Enforcement::default();
        enforcement.removing(session(1), LogIndex(500));
        enforcement.restart();
        enforcement.handed(LogIndex(3));
        assert_eq!(enforcement.acknowledge(), Some(LogIndex(0)));
        enforcement.removed(session(1));
        assert_eq!(enforcement.acknowledge(), Some(LogIndex(3)));
    }
}
