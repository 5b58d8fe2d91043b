//! What this Gateway has to tell the Controllers: the newest of everything, kept until a connection takes it.
//!
//! Not a mailbox but a state: the enforced index, one entry for each session, the audit buffer. So it is bounded by
//! what exists, whoever is slow, and a new connection is told of every live session again.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringwall_protocol::feed::{FromGateway, SessionSummary};
use ringwall_protocol::id::{CommandId, LogIndex, SessionId, Thumbprint};
use ringwall_protocol::membership::MAX_INTERFACE_ADDRESSES;
use ringwall_protocol::name::SessionDn;
use ringwall_protocol::wire::error::ErrorCode;
use tokio::sync::Notify;

use super::audit::{AuditBuffer, AuditRecord};

/// All that waits. Shared by registry, sessions and feed.
#[derive(Debug)]
pub struct FeedOutbox {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug)]
struct Pending {
    connected: bool,
    enforced: Option<(LogIndex, Vec<SessionId>)>,
    live: BTreeMap<SessionId, SessionSummary>,
    dirty: BTreeMap<SessionId, Dirty>,
    order: VecDeque<SessionId>,
    load: Option<(u32, u32)>,
    interfaces: Interfaces,
    peer_key: PeerKey,
    renewal: Option<(CommandId, String)>,
    audit: AuditBuffer,
    poll: bool,
    switch: bool,
}

/// Addresses of this host, and whether this connection is still to be told of them.
#[derive(Debug, Default)]
struct Interfaces {
    addresses: Vec<IpAddr>,
    told: bool,
}

/// Digest of the key for knocking on Controllers, and whether this connection is still to be told of it.
#[derive(Debug, Default)]
struct PeerKey {
    digest: Option<Thumbprint>,
    told: bool,
}

#[derive(Debug)]
enum Dirty {
    Opened,
    Updated,
    Ended(SessionDn, ErrorCode),
}

impl FeedOutbox {
    /// An empty one. `first_audit` must be above every number of an audit record that this Gateway has ever used.
    #[must_use]
    pub fn new(first_audit: u64) -> Self {
        let pending = Pending {
            connected: false,
            enforced: None,
            live: BTreeMap::new(),
            dirty: BTreeMap::new(),
            order: VecDeque::new(),
            load: None,
            interfaces: Interfaces::default(),
            peer_key: PeerKey::default(),
            renewal: None,
            audit: AuditBuffer::new(first_audit),
            poll: false,
            switch: false,
        };
        Self { pending: Mutex::new(pending), wake: Notify::new() }
    }

    /// The kernel enforces everything up to `index`.
    pub fn enforced(&self, index: LogIndex, failed: Vec<SessionId>) {
        self.put(|pending| pending.enforced = Some((index, failed)));
    }

    /// A session was admitted.
    pub fn opened(&self, summary: SessionSummary) {
        self.put(|pending| {
            pending.mark(summary.session, Dirty::Opened);
            pending.live.insert(summary.session, summary);
        });
    }

    /// A session changed.
    pub(crate) fn updated(&self, summary: SessionSummary) {
        self.put(|pending| {
            let session = summary.session;
            // One that has ended meanwhile, or was never opened, is nobody's business.
            if let Some(known) = pending.live.get_mut(&session) {
                *known = summary;
                if !matches!(pending.dirty.get(&session), Some(Dirty::Opened)) {
                    pending.mark(session, Dirty::Updated);
                }
            }
        });
    }

    /// A session ended.
    pub fn ended(&self, session: SessionId, dn: SessionDn, code: ErrorCode) {
        self.put(|pending| {
            if pending.live.remove(&session).is_some() {
                pending.mark(session, Dirty::Ended(dn, code));
            }
        });
    }

    /// How much this Gateway carries.
    pub fn load(&self, sessions: u32, rule_sets: u32) {
        self.put(|pending| {
            pending.load = Some((sessions, rule_sets));
            // Said again now and then: what a Controller heard may not have become an entry.
            pending.peer_key.told = false;
        });
    }

    /// The addresses of this host, at most [`MAX_INTERFACE_ADDRESSES`] of them.
    pub fn interfaces(&self, mut addresses: Vec<IpAddr>) {
        addresses.truncate(MAX_INTERFACE_ADDRESSES);
        let mut pending = self.lock();
        if pending.interfaces.addresses != addresses {
            pending.interfaces = Interfaces { addresses, told: false };
            drop(pending);
            self.wake.notify_one();
        }
    }

    /// SHA-256 of the key for knocking on Controllers that is on the disk.
    pub fn peer_key(&self, digest: Thumbprint) {
        let mut pending = self.lock();
        if pending.peer_key.digest != Some(digest) {
            pending.peer_key = PeerKey { digest: Some(digest), told: false };
            drop(pending);
            self.wake.notify_one();
        }
    }

    /// A further certificate is wanted.
    pub fn renew_certificate(&self, command: CommandId, csr: String) {
        self.put(|pending| pending.renewal = Some((command, csr)));
    }

    /// For the audit.
    pub fn audit(&self, record: AuditRecord) {
        self.put(|pending| pending.audit.add(record));
    }

    /// A confirmation is wanted sooner than it would come.
    pub(crate) fn want_poll(&self) {
        self.put(|pending| pending.poll = true);
    }

    /// The feed is to come from another Controller.
    pub(crate) fn want_switch(&self) {
        self.put(|pending| pending.switch = true);
    }

    /// Whether [`FeedOutbox::want_switch`] was called since.
    pub(crate) fn takes_switch(&self) -> bool {
        std::mem::take(&mut self.lock().switch)
    }

    /// Whether [`FeedOutbox::want_poll`] was called since.
    pub(crate) fn takes_poll(&self) -> bool {
        std::mem::take(&mut self.lock().poll)
    }

    /// Waits until something was put in.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// A connection stands: it is told of everything that lives.
    pub fn connected(&self) {
        let mut pending = self.lock();
        pending.connected = true;
        pending.interfaces.told = false;
        pending.peer_key.told = false;
        pending.dirty.clear();
        pending.order.clear();
        let live: Vec<_> = pending.live.keys().copied().collect();
        live.into_iter().for_each(|session| pending.mark(session, Dirty::Opened));
        pending.audit.disconnected();
    }

    /// The connection is gone. What ends meanwhile is told by its absence from the next one.
    pub(crate) fn disconnected(&self) {
        let mut pending = self.lock();
        pending.connected = false;
        pending.dirty.clear();
        pending.order.clear();
        pending.audit.disconnected();
    }

    /// A Controller has audit records up to `seq`.
    pub(crate) fn audit_stored(&self, seq: u64) {
        self.put(|pending| pending.audit.stored(seq));
    }

    /// The next thing to say, the most urgent first.
    pub fn next(&self) -> Option<FromGateway> {
        let pending = &mut *self.lock();
        if !pending.connected {
            return None;
        }
        if let Some((index, failed)) = pending.enforced.take() {
            return Some(FromGateway::Enforced { index, failed });
        }
        if let Some(frame) = pending.next_session() {
            return Some(frame);
        }
        if let Some((command_id, csr)) = pending.renewal.take() {
            return Some(FromGateway::RenewCertificate { command_id, csr });
        }
        if !pending.interfaces.told && !pending.interfaces.addresses.is_empty() {
            pending.interfaces.told = true;
            return Some(FromGateway::Interfaces { addresses: pending.interfaces.addresses.clone() });
        }
        if let Some(digest) = pending.peer_key.digest.filter(|_| !pending.peer_key.told) {
            pending.peer_key.told = true;
            return Some(FromGateway::PeerKey { digest });
        }
        if let Some((sessions, rule_sets)) = pending.load.take() {
            return Some(FromGateway::Load { sessions, rule_sets });
        }
        pending.audit.batch().map(|(seq, records)| FromGateway::Audit { seq, records })
    }

    fn put(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.lock());
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn mark(&mut self, session: SessionId, dirty: Dirty) {
        if self.connected && self.dirty.insert(session, dirty).is_none() {
            self.order.push_back(session);
        }
    }

    fn next_session(&mut self) -> Option<FromGateway> {
        while let Some(session) = self.order.pop_front() {
            let summary = || self.live.get(&session).cloned();
            match self.dirty.remove(&session) {
                Some(Dirty::Opened) => {
                    if let Some(session) = summary() {
                        return Some(FromGateway::SessionOpened { session });
                    }
                }
                Some(Dirty::Updated) => {
                    if let Some(session) = summary() {
                        return Some(FromGateway::SessionUpdated { session });
                    }
                }
                Some(Dirty::Ended(dn, code)) => return Some(FromGateway::SessionEnded { session, dn, code }),
                None => {}
            }
        }
        None
    }
}
