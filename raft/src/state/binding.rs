//! Bindings: at which Gateway of a Site a session lives. The higher (`signInIdx`, `connectSeq`) wins,
//! whatever the order of reports; the Site's other Gateways end theirs.

use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId, SignInId, SiteId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Most bindings in one entry: 100 ms of reports from a whole Collective.
pub const MAX_BOUND: usize = 10_000;

/// A session at a Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// DN of the session: provider, user and device.
    pub dn: SessionDn,
    /// In which Site.
    pub site: SiteId,
    /// At which Gateway.
    pub gateway: ApplianceId,
    /// Which session there.
    pub session: SessionId,
    /// Its sign-in.
    pub sid: SignInId,
    /// Orders sign-ins.
    pub sign_in_idx: LogIndex,
    /// Orders connections of one sign-in.
    pub connect_seq: u64,
    /// When the Gateway admitted it.
    pub since: UnixMillis,
}

/// All bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bindings(Map<(SessionDn, SiteId), Binding>);

/// Gateways reported sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindSessions {
    /// In the order of reports.
    pub bindings: Vec<Binding>,
}

/// Gateways reported ends of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSessions {
    /// Whose, where, which; a session that has given way to another is disregarded.
    pub ended: Vec<(SessionDn, SiteId, SessionId)>,
}

impl Binding {
    const fn order(&self) -> (LogIndex, u64) {
        (self.sign_in_idx, self.connect_seq)
    }
}

impl BindSessions {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.bindings.len() > MAX_BOUND {
            return Err(Rejection::too_many("bindings in an entry", MAX_BOUND));
        }
        let mut won = Vec::with_capacity(self.bindings.len());
        for binding in &self.bindings {
            let key = (binding.dn.clone(), binding.site);
            let known = step.state.bindings.0.find(&key);
            if known == Some(binding) {
                won.push(true);
                continue;
            }
            let wins = known.is_none_or(|known| known.order() < binding.order());
            if wins {
                step.state.bindings.0.insert(key.clone(), binding.clone());
            }
            // The loser is told as well: its Gateway may not know that it lost.
            if let Some(bound) = step.state.bindings.0.find(&key) {
                let event = FeedEvent::SessionBound {
                    dn: bound.dn.clone(),
                    gateway: bound.gateway,
                    sign_in_idx: bound.sign_in_idx,
                    connect_seq: bound.connect_seq,
                };
                step.tell_site(binding.site, event);
            }
            won.push(wins);
        }
        Ok(Reply::Bound(won))
    }
}

impl EndSessions {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.ended.len() > MAX_BOUND {
            return Err(Rejection::too_many("bindings in an entry", MAX_BOUND));
        }
        for (dn, site, session) in &self.ended {
            let key = (dn.clone(), *site);
            if step.state.bindings.0.find(&key).is_some_and(|binding| binding.session == *session) {
                step.state.bindings.0.remove(&key);
            }
        }
        Ok(Reply::Done)
    }
}

impl Bindings {
    pub(crate) fn end_all_at(&mut self, gateway: ApplianceId) {
        self.end(|binding| binding.gateway == gateway);
    }

    pub(crate) fn end_all_of(&mut self, dn: &SessionDn) {
        self.end(|binding| binding.dn == *dn);
    }

    fn end(&mut self, which: impl Fn(&Binding) -> bool) {
        let gone: Vec<_> = self.0.iter().filter(|(_, one)| which(one)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.0.remove(&key);
        }
    }
}

impl State {
    /// Where a session of this DN lives in a Site.
    #[must_use]
    pub fn binding(&self, dn: &SessionDn, site: SiteId) -> Option<&Binding> {
        self.bindings.0.find(&(dn.clone(), site))
    }

    /// All sessions of the Collective, as last reported.
    pub fn bindings(&self) -> impl DoubleEndedIterator<Item = &Binding> {
        self.bindings.0.values()
    }
}
