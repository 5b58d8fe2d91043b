//! What the registry has to have said and done, kept in the plainest form: lists that are searched from one end to the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use ringwall_protocol::feed::{FeedEvent, FeedView};
use ringwall_protocol::id::{Incarnation, LogIndex, SessionId};
use ringwall_protocol::membership::KeyRecord;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::object::appliance::ApplianceState;
use ringwall_protocol::revocation::{Revocation, Standing, TokenFacts};
use ringwall_protocol::token::TokenBody;
use ringwall_trust::token::Verified;

use super::super::{Effect, RegistryCore, Ticket};
use crate::ports::SessionAddresses;
use crate::support::clock::Moment;

/// One token, as far as it can be judged.
#[derive(Debug, Clone)]
struct Held {
    kind: ringwall_protocol::revocation::TokenKind,
    id: ringwall_protocol::id::TokenId,
    site: Option<ringwall_protocol::id::SiteId>,
    idx: LogIndex,
    kid: String,
}

impl Held {
    fn of<T: TokenBody>(token: &Verified<T>) -> Self {
        let head = token.head();
        Self { kind: T::KIND, id: head.jti, site: token.site(), idx: head.idx, kid: token.kid().to_owned() }
    }
}

#[derive(Debug)]
struct Session {
    dn: SessionDn,
    addresses: SessionAddresses,
    claims: Held,
    entitlement: Held,
}

pub(super) struct Model {
    live: BTreeMap<SessionId, Session>,
    cut: HashSet<SessionId>,
    /// Who holds an address in the kernel: live sessions, and cut ones until the kernel has let go.
    holders: HashMap<IpAddr, (SessionDn, SessionId)>,
    /// Cut sessions that the kernel still holds.
    leaving: Vec<(SessionId, SessionAddresses)>,
    /// Highest (sign-in, connection) of a device that was let in, or bound elsewhere.
    orders: HashMap<SessionDn, (LogIndex, u64)>,
    revocations: Vec<Revocation>,
    /// Revocations up to this one may have been forgotten.
    horizon: LogIndex,
    keys: BTreeMap<String, KeyRecord>,
    removed_controllers: BTreeSet<ringwall_protocol::id::NodeId>,
    open_tickets: BTreeSet<Ticket>,
    lease: Instant,
    incarnation: Option<Incarnation>,
    complete: LogIndex,
    pub(super) opened: usize,
}

impl Model {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            live: BTreeMap::new(),
            cut: HashSet::new(),
            holders: HashMap::new(),
            leaving: vec![],
            orders: HashMap::new(),
            revocations: vec![],
            horizon: LogIndex(0),
            keys: BTreeMap::new(),
            removed_controllers: BTreeSet::new(),
            open_tickets: BTreeSet::new(),
            lease: now,
            incarnation: None,
            complete: LogIndex(0),
            opened: 0,
        }
    }

    pub(super) fn asked(&mut self, ticket: Ticket) {
        self.open_tickets.insert(ticket);
    }

    pub(super) fn lease_until(&mut self, end: Instant) {
        self.lease = self.lease.max(end);
    }

    pub(super) fn some_session(&self, choice: u8) -> Option<SessionId> {
        let all: Vec<SessionId> = self.live.keys().chain(&self.cut).copied().collect();
        all.get(usize::from(choice) % all.len().max(1)).copied()
    }

    pub(super) fn some_revocation(&self, choice: u8) -> Option<LogIndex> {
        self.revocations.get(usize::from(choice) % self.revocations.len().max(1)).map(|known| known.index)
    }

    /// A cut session of which the kernel lets go now.
    pub(super) fn let_go(&mut self, choice: u8) -> Option<(SessionId, SessionAddresses)> {
        let at = usize::from(choice) % self.leaving.len().max(1);
        let (session, addresses) = (at < self.leaving.len()).then(|| self.leaving.remove(at))?;
        self.holders.retain(|_, (_, holder)| *holder != session);
        Some((session, addresses))
    }

    /// What a change of the feed says.
    pub(super) fn changed(&mut self, event: &FeedEvent) {
        match event {
            FeedEvent::RevocationAdded { revocation } => self.revocations.push(revocation.clone()),
            FeedEvent::RevocationAdvanced { revocation, told, effective } => {
                for known in self.revocations.iter_mut().filter(|known| known.index == *revocation) {
                    known.told = known.told.max(*told).max(*effective);
                    known.effective = known.effective.max(*effective);
                }
            }
            FeedEvent::RevocationForgotten { revocation } => {
                self.revocations.retain(|known| known.index != *revocation);
                self.horizon = self.horizon.max(*revocation);
            }
            FeedEvent::KeyChanged { key } => {
                self.keys.insert(key.kid.clone(), key.clone());
            }
            FeedEvent::ControllerChanged { controller } => {
                self.removed_controllers.remove(&controller.node);
                if controller.state == ApplianceState::Removed {
                    self.removed_controllers.insert(controller.node);
                }
            }
            FeedEvent::SessionBound { dn, sign_in_idx, connect_seq, .. } => {
                let known = self.orders.entry(dn.clone()).or_insert((LogIndex(0), 0));
                *known = (*known).max((*sign_in_idx, *connect_seq));
            }
            _ => {}
        }
    }

    /// Up to where revocations may have been forgotten.
    pub(super) const fn forgotten_up_to(&self) -> LogIndex {
        self.horizon
    }

    /// A full state: the revocations that go with it.
    pub(super) fn full(&mut self, view: &FeedView) -> Vec<Revocation> {
        if self.incarnation.is_some_and(|known| known != view.position.incarnation) {
            self.revocations.clear();
            self.horizon = LogIndex(0);
            self.orders.clear();
            // Nobody may be let in before the lease is renewed in the new incarnation.
            self.lease = Instant::now().checked_sub(std::time::Duration::from_hours(1)).unwrap_or(self.lease);
            self.complete = LogIndex(0);
        }
        self.incarnation = Some(view.position.incarnation);
        self.keys.clone_from(&view.keys);
        self.removed_controllers.clear();
        self.revocations.clone()
    }

    /// What the registry wants done: each of it may be.
    pub(super) fn take(&mut self, effects: Vec<Effect>, complete: LogIndex, now: Moment) {
        let mut restarts = false;
        for effect in effects {
            match effect {
                Effect::Open { ticket, session, admission, addresses, .. } => {
                    self.answered(ticket);
                    assert!(now.instant < self.lease, "let in without a lease");
                    assert!(!self.cut.contains(&session) && !self.live.contains_key(&session), "an id came back");
                    let dn = admission.claims.head.sub.clone();
                    assert!(!self.live.values().any(|live| live.dn == dn), "two sessions of one device");
                    self.in_order(&dn, (admission.claims.sign_in_idx, admission.connect_seq));
                    self.hold(&dn, session, addresses);
                    let (claims, entitlement) = (Held::of(&admission.claims), Held::of(&admission.entitlement));
                    self.live.insert(session, Session { dn, addresses, claims, entitlement });
                    self.opened += 1;
                }
                Effect::Resume { ticket, session, admission, .. } => {
                    self.answered(ticket);
                    self.in_order(&admission.claims.head.sub, (admission.claims.sign_in_idx, admission.connect_seq));
                    self.newer(session, Some(Held::of(&admission.claims)), Some(Held::of(&admission.entitlement)));
                }
                Effect::Accept { ticket, presentation, .. } => {
                    self.answered(ticket);
                    let claims = presentation.claims.as_ref().map(Held::of);
                    let entitlement = presentation.entitlement.as_ref().map(Held::of);
                    self.newer(presentation.session, claims, entitlement);
                }
                Effect::Refuse { ticket, .. } => self.answered(ticket),
                Effect::Cut { session, addresses, .. } => {
                    let was = self.live.remove(&session).expect("a session is cut once, while it lives");
                    assert_eq!(was.addresses, addresses);
                    self.cut.insert(session);
                    self.leaving.push((session, addresses));
                }
                Effect::Renew { session, .. } | Effect::Reevaluate { session } => {
                    assert!(self.live.contains_key(&session), "a dead session is told something");
                }
                Effect::Restart => restarts = true,
                _ => {}
            }
        }
        assert!(restarts || complete >= self.complete, "the feed's position went back");
        self.complete = complete;
    }

    /// After every call: the same sessions live, and each by tokens that nobody has revoked.
    pub(super) fn agrees_with(&self, core: &RegistryCore) {
        assert_eq!(core.len(), self.live.len());
        assert!(self.live.keys().all(|session| core.lives(*session)));
        assert!(!self.cut.iter().any(|session| core.lives(*session)), "a session that was cut lives");
        for session in self.live.values() {
            for token in [&session.claims, &session.entitlement] {
                self.is_good(&session.dn, token);
            }
        }
    }

    fn is_good(&self, dn: &SessionDn, token: &Held) {
        let facts = TokenFacts { kind: token.kind, dn, id: token.id, idx: token.idx, site: token.site };
        let standing = Standing::of(&facts, self.horizon, &self.revocations);
        assert!(!matches!(standing, Standing::Revoked(_)), "{token:?} of {dn} lives, and is {standing:?}");
        let key = self.keys.get(&token.kid).expect("a known key");
        let signed = key.covers(token.idx) && !self.removed_controllers.contains(&key.controller);
        assert!(signed, "{token:?} of {dn} lives by {key:?}");
    }

    fn answered(&mut self, ticket: Ticket) {
        assert!(self.open_tickets.remove(&ticket), "{ticket:?} is answered twice");
    }

    fn in_order(&mut self, dn: &SessionDn, order: (LogIndex, u64)) {
        let known = self.orders.get(dn).copied();
        assert!(known.is_none_or(|known| order > known), "{order:?} of {dn} is let in after {known:?}");
        self.orders.insert(dn.clone(), order);
    }

    fn hold(&mut self, dn: &SessionDn, session: SessionId, addresses: SessionAddresses) {
        assert!(addresses.iter().next().is_some(), "a session without address");
        for address in addresses.iter() {
            let held = self.holders.insert(address, (dn.clone(), session));
            assert!(held.as_ref().is_none_or(|(holder, _)| holder == dn), "{address} of {held:?} is given to {dn}");
        }
    }

    fn newer(&mut self, session: SessionId, claims: Option<Held>, entitlement: Option<Held>) {
        assert!(!self.cut.contains(&session), "a session that was cut gets tokens");
        let live = self.live.get_mut(&session).expect("a live session");
        for (present, newer) in [(&mut live.claims, claims), (&mut live.entitlement, entitlement)] {
            if let Some(newer) = newer {
                assert!(newer.idx >= present.idx, "{newer:?} replaces {present:?}");
                *present = newer;
            }
        }
    }
}
