//! The judge of knocks: one for a process, whatever listeners and workers it has (T22).
//!
//! The order of checks keeps junk cheap: shape, hint (one look-up), then cryptography, then time, destination, service,
//! and whether it was used; then what its source and its key may do in a second. Only what passes all of them is written
//! into the replay cache.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;

use super::budget::{Budget, Form};
use super::handle::HandleCutoffs;
use super::hints::{Held, Keys};
use super::key::{tcp_mac, udp_seal};
use super::replay::Replays;
use super::{
    Destination, HINT_PERIOD, KeyOwner, KnockError, Realm, START_MARGIN, SpaKey, SpaWindow, period_of, udp, wire_tcp,
};
use crate::secret::{SecretKey, sha256};

/// A knock that was right, and is now used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    /// Whose key.
    pub owner: KeyOwner,
    /// The service that the knock asks for.
    pub service: Service,
    /// How many connections it buys, 1 or 2.
    pub connections: u8,
    /// The sender's clock, for telling an operator of wrong clocks.
    pub time: UnixMillis,
}

/// One accepted knock: the head of the hash of all its bytes, every one of which is authenticated.
pub type Used = [u8; 16];

/// Where knocks are written down that a new process could not tell from unused ones: those dated ahead of the clock.
pub trait Journal: Send {
    /// Keeps a knock that carries `time`; only when this returns may it be accepted. `now` is the receiver's clock.
    ///
    /// # Errors
    /// If it could not be kept.
    fn keep(&mut self, used: Used, time: UnixMillis, now: UnixMillis) -> io::Result<()>;
}

/// What a knock is judged by beside its bytes.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    source: IpAddr,
    form: Form,
    now: UnixMillis,
}

/// Keys, hints and used knocks.
pub struct Receiver {
    window: SpaWindow,
    /// Accepted destinations; `None` accepts all (`spa.bindDestination: false`, shown as weaker).
    destinations: Option<HashSet<Destination>>,
    /// Knocks before this are refused, for it is not known whether they were used.
    floor: UnixMillis,
    journal: Option<Box<dyn Journal>>,
    keys: Keys,
    cutoffs: Arc<Mutex<HandleCutoffs>>,
    replays: Replays,
    budget: Budget,
}

impl Receiver {
    /// A receiver without keys. `started` is the process's start; knocks older than it and `START_MARGIN` are refused.
    ///
    /// Used knocks that are dated ahead of the clock outlive that floor: give the receiver a [`Journal`] for them.
    #[must_use]
    pub fn new(window: SpaWindow, destinations: Option<HashSet<Destination>>, started: UnixMillis) -> Self {
        Self {
            window,
            destinations,
            floor: started.plus(START_MARGIN),
            journal: None,
            keys: Keys::default(),
            cutoffs: Arc::default(),
            replays: Replays::default(),
            budget: Budget::default(),
        }
    }

    /// Writes knocks dated ahead into `journal` from now on; `kept` is what it holds from earlier processes.
    #[must_use]
    pub fn with_journal(
        mut self,
        journal: Box<dyn Journal>,
        kept: impl IntoIterator<Item = (Used, UnixMillis)>,
    ) -> Self {
        for (used, time) in kept {
            self.replays.recall(period_of(time), used);
        }
        self.journal = Some(journal);
        self
    }

    /// Refuses handles that `cutoffs` refuse, as they are at the time.
    #[must_use]
    pub fn with_cutoffs(mut self, cutoffs: Arc<Mutex<HandleCutoffs>>) -> Self {
        self.cutoffs = cutoffs;
        self
    }

    /// What decides which handles are refused.
    #[must_use]
    pub fn cutoffs(&self) -> Arc<Mutex<HandleCutoffs>> {
        Arc::clone(&self.cutoffs)
    }

    /// Adds a key; an owner may have several (generations).
    pub fn add(&mut self, owner: KeyOwner, key: SpaKey) {
        self.keys.add(Held::plain(owner, key));
    }

    /// Removes all keys of an owner: its knocks are junk from now on.
    pub fn remove(&mut self, owner: &KeyOwner) {
        self.keys.remove(owner);
    }

    /// Adds a key from which every holder has another one, derived from his handle.
    pub fn add_root(&mut self, realm: Realm, root: &SecretKey) {
        self.keys.add(Held::root(realm, root));
    }

    /// Removes the roots of a realm.
    pub fn remove_roots(&mut self, realm: Realm) {
        self.keys.remove_roots(realm);
    }

    /// Replaces all keys by such roots. What was used stays used: the way to follow a new state of the Collective.
    pub fn replace_roots<'a>(&mut self, realm: Realm, roots: impl IntoIterator<Item = &'a SecretKey>) {
        self.keys.clear();
        roots.into_iter().for_each(|root| self.add_root(realm, root));
    }

    /// Changes window and destinations. Used knocks stay used.
    pub fn configure(&mut self, window: SpaWindow, destinations: Option<HashSet<Destination>>) {
        self.destinations = destinations;
        self.window = window;
    }

    /// Whether a key of this owner is held.
    #[must_use]
    pub fn holds(&self, owner: &KeyOwner) -> bool {
        self.keys.holds(owner)
    }

    /// How many keys are held; a root counts as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is held; then every knock is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges a UDP packet from `source`.
    ///
    /// # Errors
    /// [`KnockError`]; the packet is then dropped without an answer.
    pub fn packet(&mut self, packet: &[u8], source: IpAddr, now: UnixMillis) -> Result<Knock, KnockError> {
        let said = udp::hint_of(packet).ok_or(KnockError::Shape)?;
        self.turn_to(period_of(now));
        let (owner, opened) = match self.keys.find(said).ok_or(KnockError::UnknownHint)? {
            Held::Plain { owner, key } => (owner.clone(), udp::open(packet, &key.udp_seal)),
            Held::Root { realm, outer, root } => {
                let handle = udp::handle_of(packet, outer).ok_or(KnockError::Shape)?;
                let opened = udp::open(packet, &udp_seal(&root.key_of(&handle))).ok_or(KnockError::Forged)?;
                let facts = handle.open(root);
                if self.cutoffs.lock().unwrap_or_else(PoisonError::into_inner).refuse(&facts) {
                    return Err(KnockError::Revoked);
                }
                (realm.owner(facts.session), Some(opened))
            }
        };
        let udp::Opened { service, connections, time, destination } = opened.ok_or(KnockError::Forged)?;
        let knock = Knock { owner, service, connections, time };
        self.accept(knock, destination, packet, Arrival { source, form: Form::Packet, now })
    }

    /// Judges the first ALPN entry of a ClientHello from `source`.
    ///
    /// # Errors
    /// [`KnockError`]; the connection is then reset without an answer.
    pub fn alpn_entry(&mut self, entry: &[u8], source: IpAddr, now: UnixMillis) -> Result<Knock, KnockError> {
        let claimed = wire_tcp::parse(entry).ok_or(KnockError::Shape)?;
        self.turn_to(period_of(now));
        let owner = match self.keys.find(claimed.hint).ok_or(KnockError::UnknownHint)? {
            Held::Plain { owner, key } => claimed.is_proved(&key.tcp_mac).then(|| owner.clone()),
            Held::Root { realm, outer, root } => {
                let handle = claimed.handle(outer);
                if !claimed.is_proved(&tcp_mac(&root.key_of(&handle))) {
                    return Err(KnockError::Forged);
                }
                let facts = handle.open(root);
                if self.cutoffs.lock().unwrap_or_else(PoisonError::into_inner).refuse(&facts) {
                    return Err(KnockError::Revoked);
                }
                Some(realm.owner(facts.session))
            }
        };
        let owner = owner.ok_or(KnockError::Forged)?;
        let knock = Knock { owner, service: claimed.service, connections: 1, time: claimed.time };
        self.accept(knock, claimed.destination, entry, Arrival { source, form: Form::Proof, now })
    }

    /// Holds the hints around `middle` and drops what can no longer be accepted.
    fn turn_to(&mut self, middle: u64) {
        let present = self.window.around(middle);
        if let Some(dropped) = self.replays.forget_before(*present.start()) {
            // Should the clock go back, what was dropped must not become acceptable again.
            let after = UnixMillis::from_seconds((dropped + 1).saturating_mul(HINT_PERIOD));
            self.floor = self.floor.max(after);
        }
        self.keys.turn_to(&present);
    }

    fn accept(
        &mut self,
        knock: Knock,
        destination: Destination,
        bytes: &[u8],
        Arrival { source, form, now }: Arrival,
    ) -> Result<Knock, KnockError> {
        if knock.time < now.minus(self.window.span()) || knock.time > now.plus(self.window.span()) {
            return Err(KnockError::Time);
        }
        if knock.time < self.floor {
            return Err(KnockError::BeforeStart);
        }
        if self.destinations.as_ref().is_some_and(|accepted| !accepted.contains(&destination)) {
            return Err(KnockError::Destination);
        }
        if !knock.owner.may_ask_for(knock.service) {
            return Err(KnockError::Service);
        }
        let used: Used = sha256(bytes)[..16].try_into().expect("SHA-256 has 32 bytes");
        self.replays.check(&used, &knock.owner)?;
        // A process that started this instant would accept it again: the floor does not cover it.
        let ahead = (knock.time >= now.plus(START_MARGIN)).then_some(knock.time);
        self.budget.take(&knock.owner, (source, form), now, ahead)?;
        self.replays.remember(period_of(knock.time), used, &knock.owner);
        if let Some(journal) = self.journal.as_mut().filter(|_| ahead.is_some()) {
            journal.keep(used, knock.time, now).map_err(|_| KnockError::Journal)?;
        }
        Ok(knock)
    }
}
