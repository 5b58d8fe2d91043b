//! The judge of knocks: one for a process, whatever listeners and workers it has (T22).
//!
//! The order of checks keeps junk cheap: shape, hint (one look-up), then cryptography, then time, destination, service,
//! and last the replay cache, in which only proved knocks are written.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ringwall_protocol::spa::Service;
use ringwall_protocol::time::UnixMillis;

use super::key::hint;
use super::replay::{NotRemembered, Replays};
use super::sources::{Form, Sources};
use super::{Destination, HINT_PERIOD, KeyOwner, START_MARGIN, SpaKey, period_of, udp, wire_tcp};
use crate::secret::sha256;

/// How far a knock's time may lie from ours, either way. 30 s to 1 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaWindow(u32);

/// A window was out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an SPA window of 30 to 3600 seconds, got {0}")]
pub struct WindowError(u32);

impl SpaWindow {
    /// 300 seconds.
    pub const DEFAULT: Self = Self(300);

    /// A window of this many seconds.
    ///
    /// # Errors
    /// [`WindowError`].
    pub const fn new(seconds: u32) -> Result<Self, WindowError> {
        match seconds {
            30..=3600 => Ok(Self(seconds)),
            _ => Err(WindowError(seconds)),
        }
    }

    /// The window as a span.
    #[must_use]
    pub(crate) const fn span(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// The periods whose hints are held around one: a sender's time falls into none further away.
    fn around(self, middle: u64) -> RangeInclusive<u64> {
        let reach = u64::from(self.0).div_ceil(HINT_PERIOD);
        middle.saturating_sub(reach)..=middle.saturating_add(reach)
    }
}

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

/// Why a knock was refused; for counters and audit, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KnockError {
    /// Not the shape of a knock.
    #[error("not a knock")]
    Shape,
    /// No key has this hint now: junk, a foreign key, or a clock that is far off.
    #[error("no key has this hint")]
    UnknownHint,
    /// Altered, or made without the key.
    #[error("knock is not authentic")]
    Forged,
    /// Outside of the window.
    #[error("knock's time is outside of the window")]
    Time,
    /// Older than this process: it cannot know whether it was used.
    #[error("knock is older than this process")]
    BeforeStart,
    /// For another place.
    #[error("knock is for another destination")]
    Destination,
    /// The key's owner may not ask for this service.
    #[error("knock asks for what its key does not open")]
    Service,
    /// Used before.
    #[error("knock was used before")]
    Replayed,
    /// The memory of used knocks is full.
    #[error("too many knocks are remembered")]
    Full,
    /// This key's knocks of this second are spent.
    #[error("too many knocks of one key in a second")]
    Budget,
    /// This source's knocks of this second are spent.
    #[error("too many knocks of one source in a second")]
    Source,
    /// Dated ahead, and not to be written down: after a restart it could be used again.
    #[error("knock is dated ahead of the clock and cannot be written down")]
    Journal,
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

impl KnockError {
    /// A word for counters.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::UnknownHint => "unknown hint",
            Self::Forged => "forged",
            Self::Time => "time",
            Self::BeforeStart => "before start",
            Self::Destination => "destination",
            Self::Service => "service",
            Self::Replayed => "replayed",
            Self::Full => "full",
            Self::Budget => "budget",
            Self::Source => "source",
            Self::Journal => "journal",
        }
    }
}

struct Held {
    owner: KeyOwner,
    key: SpaKey,
}

/// Which key a hint stands for, and in which period.
#[derive(Clone, Copy)]
struct Hinted {
    key: u32,
    period: u64,
}

/// Keys, hints and used knocks.
pub struct Receiver {
    window: SpaWindow,
    /// Accepted destinations; `None` accepts all (`spa.bindDestination: false`, shown as weaker).
    destinations: Option<HashSet<Destination>>,
    /// Knocks before this are refused, for it is not known whether they were used.
    floor: UnixMillis,
    journal: Option<Box<dyn Journal>>,
    keys: HashMap<u32, Held>,
    next_key: u32,
    hints: HashMap<[u8; 8], Hinted>,
    /// The period in the middle of the table; `None` until the first look.
    middle: Option<u64>,
    replays: Replays,
    sources: Sources,
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
            keys: HashMap::new(),
            next_key: 0,
            hints: HashMap::new(),
            middle: None,
            replays: Replays::default(),
            sources: Sources::default(),
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

    /// Adds a key; an owner may have several (generations).
    pub fn add(&mut self, owner: KeyOwner, key: SpaKey) {
        let id = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        if let Some(middle) = self.middle {
            for period in self.window.around(middle) {
                put_hints(&mut self.hints, id, &key, period);
            }
        }
        self.keys.insert(id, Held { owner, key });
    }

    /// Removes all keys of an owner: its knocks are junk from now on.
    pub fn remove(&mut self, owner: &KeyOwner) {
        self.keys.retain(|_, held| held.owner != *owner);
        let keys = &self.keys;
        self.hints.retain(|_, hinted| keys.contains_key(&hinted.key));
    }

    /// Replaces all keys at once, keeping what was used: the way to follow a new state of the Collective.
    pub fn replace_keys(&mut self, keys: impl IntoIterator<Item = (KeyOwner, SpaKey)>) {
        self.keys.clear();
        self.hints.clear();
        for (owner, key) in keys {
            self.add(owner, key);
        }
    }

    /// Changes window and destinations. Used knocks stay used.
    pub fn configure(&mut self, window: SpaWindow, destinations: Option<HashSet<Destination>>) {
        self.destinations = destinations;
        if window != self.window {
            self.window = window;
            // Used knocks stay numbered as they are; the table is made anew at the next look.
            self.middle = None;
        }
    }

    /// Whether a key of this owner is held.
    #[must_use]
    pub fn holds(&self, owner: &KeyOwner) -> bool {
        self.keys.values().any(|held| held.owner == *owner)
    }

    /// How many keys are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is held; then every knock is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Judges a UDP packet.
    ///
    /// # Errors
    /// [`KnockError`]; the packet is then dropped without an answer.
    pub fn packet(&mut self, packet: &[u8], now: UnixMillis) -> Result<Knock, KnockError> {
        let said = udp::hint_of(packet).ok_or(KnockError::Shape)?;
        let id = self.look_up(said, now)?;
        let held = self.keys.get(&id).ok_or(KnockError::UnknownHint)?;
        let opened = udp::open(packet, &held.key).ok_or(KnockError::Forged)?;
        let (service, connections, time) = (opened.service, opened.connections, opened.time);
        let knock = Knock { owner: held.owner.clone(), service, connections, time };
        self.accept(id, knock, opened.destination, packet, now)
    }

    /// Judges the first ALPN entry of a ClientHello.
    ///
    /// # Errors
    /// [`KnockError`]; the connection is then reset without an answer.
    pub fn alpn_entry(&mut self, entry: &[u8], now: UnixMillis) -> Result<Knock, KnockError> {
        let claimed = wire_tcp::parse(entry).ok_or(KnockError::Shape)?;
        let id = self.look_up(claimed.hint, now)?;
        let held = self.keys.get(&id).ok_or(KnockError::UnknownHint)?;
        if !wire_tcp::is_proved(&claimed, &held.key) {
            return Err(KnockError::Forged);
        }
        let (service, time) = (claimed.service, claimed.time);
        let knock = Knock { owner: held.owner.clone(), service, connections: 1, time };
        self.accept(id, knock, claimed.destination, entry, now)
    }

    /// Counts a right knock for the place it came from.
    ///
    /// # Errors
    /// [`KnockError::Source`] beyond [`super::MAX_KNOCKS_PER_SOURCE_AND_SECOND`]; the knock is used up all the same.
    pub(crate) fn admit_from(
        &mut self,
        (source, form): (IpAddr, Form),
        knock: Knock,
        now: UnixMillis,
    ) -> Result<Knock, KnockError> {
        let counted = !matches!(knock.owner, KeyOwner::Peer(_));
        if counted && !self.sources.admit(source, form, now.seconds()) {
            return Err(KnockError::Source);
        }
        Ok(knock)
    }

    fn look_up(&mut self, said: [u8; 8], now: UnixMillis) -> Result<u32, KnockError> {
        self.turn_to(period_of(now));
        self.hints.get(&said).map(|hinted| hinted.key).ok_or(KnockError::UnknownHint)
    }

    /// Makes `middle` the middle of the table and drops what can no longer be accepted.
    fn turn_to(&mut self, middle: u64) {
        let former = match self.middle.replace(middle) {
            Some(former) if former == middle => return,
            Some(former) => Some(self.window.around(former)),
            None => {
                self.hints.clear();
                None
            }
        };
        let present = self.window.around(middle);
        if let Some(dropped) = self.replays.forget_before(*present.start()) {
            // Should the clock go back, what was dropped must not become acceptable again.
            let after = UnixMillis::from_seconds((dropped + 1).saturating_mul(HINT_PERIOD));
            self.floor = self.floor.max(after);
        }
        self.hints.retain(|_, hinted| present.contains(&hinted.period));
        for period in present.filter(|period| former.as_ref().is_none_or(|there| !there.contains(period))) {
            for (id, held) in &self.keys {
                put_hints(&mut self.hints, *id, &held.key, period);
            }
        }
    }

    fn accept(
        &mut self,
        id: u32,
        knock: Knock,
        destination: Destination,
        bytes: &[u8],
        now: UnixMillis,
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
        // A process that started this instant would accept it again: the floor does not cover it.
        let ahead = knock.time >= now.plus(START_MARGIN);
        self.replays.remember(period_of(knock.time), used, id, now.seconds(), ahead).map_err(|why| match why {
            NotRemembered::Replayed => KnockError::Replayed,
            NotRemembered::Full => KnockError::Full,
            NotRemembered::Budget => KnockError::Budget,
        })?;
        if let Some(journal) = self.journal.as_mut().filter(|_| ahead) {
            journal.keep(used, knock.time, now).map_err(|_| KnockError::Journal)?;
        }
        Ok(knock)
    }
}

fn put_hints(hints: &mut HashMap<[u8; 8], Hinted>, id: u32, key: &SpaKey, period: u64) {
    hints.insert(hint(&key.udp_hint, period), Hinted { key: id, period });
    hints.insert(hint(&key.tcp_hint, period), Hinted { key: id, period });
}
