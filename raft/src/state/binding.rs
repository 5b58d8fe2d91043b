//! Bindings: at which Gateway of a Site a session is. The higher (`signInIdx`, `connectSeq`) wins,
//! whatever the order of reports; the Site's other Gateways end theirs.
//!
//! Promises that a binding is of a registered device and carries the proof of that device's key, so that a Gateway that was
//! taken over neither ends sessions elsewhere (T67) nor fills the state (T68). That the proof is right is checked by the
//! Controller that proposes; Gateways check it again before they end a session.

use std::time::Duration;

use ringwall_protocol::connection::{ConnectionProof, PROOF_KEPT_SECONDS};
use ringwall_protocol::feed::FeedEvent;
use ringwall_protocol::id::{ApplianceId, LogIndex, SessionId, SignInId, SiteId, Thumbprint, UserId};
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::State;
use super::map::Map;
use super::rejection::Rejection;
use super::reply::Reply;
use super::step::Step;

/// Most bindings in one entry: 100 ms of reports from a whole Collective. Some 2 KiB each, the entry stays below 8 MiB.
pub const MAX_BOUND: usize = 2_000;
/// Most sessions of one Gateway: as many as a large one can carry.
pub const MAX_BOUND_PER_GATEWAY: u32 = 32_768;
/// Most sessions of the Collective.
pub const MAX_BINDINGS: usize = 262_144;
/// A binding whose proof is older than this is dropped: no session lasts as long.
const KEPT: Duration = Duration::from_secs(PROOF_KEPT_SECONDS);

/// A session at a Gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// DN of the session: provider, user and device.
    pub dn: SessionDn,
    /// The user, as the device is registered.
    pub user_id: UserId,
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
    /// The Client's signature over sign-in, number and Gateway.
    pub proof: ConnectionProof,
    /// The key that the proposer found it signed with.
    pub key: Thumbprint,
}

/// All bindings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bindings {
    by_session: Map<(SessionDn, SiteId), Binding>,
    /// How many of them each Gateway has; none is not listed.
    per_gateway: Map<ApplianceId, u32>,
}

/// Gateways reported sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindSessions {
    /// In the order of reports. Those of devices that are not registered with the key of the proof, of Gateways outside of
    /// the Site, and beyond the bounds are left out.
    pub bindings: Vec<Binding>,
}

/// Gateways reported ends of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSessions {
    /// What ended; a session that has given way to another is disregarded.
    pub ended: Vec<EndedSession>,
}

/// A session that a Gateway has no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// DN of the session: provider, user and device.
    pub dn: SessionDn,
    /// In which Site.
    pub site: SiteId,
    /// At which Gateway: a Gateway ends its own only.
    pub gateway: ApplianceId,
    /// Which session there.
    pub session: SessionId,
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
        let won = self.bindings.iter().map(|binding| bind(step, binding)).collect();
        Ok(Reply::Bound(won))
    }
}

/// Whether the session is the one of its device in its Site.
fn bind(step: &mut Step<'_>, binding: &Binding) -> bool {
    if !step.state.may_bind(binding) {
        return false;
    }
    let key = (binding.dn.clone(), binding.site);
    let bindings = &mut step.state.bindings;
    let known = bindings.by_session.find(&key);
    if known == Some(binding) {
        return true;
    }
    let wins = known.is_none_or(|known| known.order() < binding.order()) && bindings.has_room(known, binding.gateway);
    if wins {
        bindings.put(key.clone(), binding.clone());
    }
    // The loser is told as well: its Gateway may not know that it lost.
    if let Some(bound) = step.state.bindings.by_session.find(&key) {
        let event = FeedEvent::SessionBound {
            dn: bound.dn.clone(),
            gateway: bound.gateway,
            sign_in_idx: bound.sign_in_idx,
            connect_seq: bound.connect_seq,
            sid: bound.sid,
            proof: bound.proof.clone(),
        };
        step.tell_site(binding.site, event);
    }
    wins
}

impl EndSessions {
    pub(crate) fn apply(&self, step: &mut Step<'_>) -> Result<Reply, Rejection> {
        if self.ended.len() > MAX_BOUND {
            return Err(Rejection::too_many("bindings in an entry", MAX_BOUND));
        }
        for ended in &self.ended {
            let key = (ended.dn.clone(), ended.site);
            let bindings = &mut step.state.bindings;
            let is_it = |known: &Binding| known.session == ended.session && known.gateway == ended.gateway;
            if bindings.by_session.find(&key).is_some_and(is_it) {
                bindings.remove(&key);
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

    /// Whether a binding at this Gateway can be added, in place of the `former` one if there is one.
    fn has_room(&self, former: Option<&Binding>, gateway: ApplianceId) -> bool {
        let stays = former.is_some_and(|former| former.gateway == gateway);
        let at_gateway = self.per_gateway.find(&gateway).copied().unwrap_or(0);
        (stays || at_gateway < MAX_BOUND_PER_GATEWAY) && (former.is_some() || self.by_session.len() < MAX_BINDINGS)
    }

    fn put(&mut self, key: (SessionDn, SiteId), binding: Binding) {
        self.remove(&key);
        let count = self.per_gateway.find(&binding.gateway).copied().unwrap_or(0);
        self.per_gateway.insert(binding.gateway, count.saturating_add(1));
        self.by_session.insert(key, binding);
    }

    fn remove(&mut self, key: &(SessionDn, SiteId)) {
        let Some(gone) = self.by_session.remove(key) else { return };
        match self.per_gateway.find(&gone.gateway).copied() {
            Some(count) if count > 1 => {
                self.per_gateway.insert(gone.gateway, count - 1);
            }
            _ => {
                self.per_gateway.remove(&gone.gateway);
            }
        }
    }

    fn end(&mut self, which: impl Fn(&Binding) -> bool) {
        let gone: Vec<_> = self.by_session.iter().filter(|(_, one)| which(one)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }
}

impl State {
    /// Where a session of this DN is in a Site.
    #[must_use]
    pub fn binding(&self, dn: &SessionDn, site: SiteId) -> Option<&Binding> {
        self.bindings.by_session.find(&(dn.clone(), site))
    }

    /// All sessions of the Collective, as last reported.
    pub fn bindings(&self) -> impl DoubleEndedIterator<Item = &Binding> {
        self.bindings.by_session.values()
    }

    /// Bindings that outlived every session.
    pub(crate) fn outlived_bindings(&self, now: UnixMillis) -> impl Iterator<Item = EndedSession> {
        let old = self.bindings().filter(move |one| one.proof.time.plus(KEPT) < now);
        old.map(|one| EndedSession { dn: one.dn.clone(), site: one.site, gateway: one.gateway, session: one.session })
    }

    /// A session can be bound if its device is registered with the key that signed, and its Gateway is one of the Site.
    #[must_use]
    pub fn may_bind(&self, binding: &Binding) -> bool {
        let device = self.device(binding.user_id, binding.dn.device);
        let gateway = self.gateway(binding.gateway);
        device.is_some_and(|device| device.dn == binding.dn && device.key == binding.key)
            && gateway.is_some_and(|one| one.site == binding.site && one.state != ApplianceState::Removed)
    }
}
