//! What stands between sessions and the kernel: the ledger's decisions beside a plain model of them, and logged packets.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ringwall_actors::ports::SessionAddresses;
use ringwall_protocol::id::{LogIndex, SessionId};
use ringwall_protocol::rules::Direction;

use super::denials::{AlertedFlow, BlockedFlow, LoggedPort};
use super::ledger::{InstallDecision, InstallRequest, Ledger};
use super::slots::Mark;
use super::wanted::{Owner, SessionRules};
use crate::fuzz::choices::Choices;

const MEMORY: Duration = Duration::from_secs(75);

/// The first bytes of a packet that the kernel logged.
#[must_use]
pub fn logged_packet(bytes: &[u8]) -> bool {
    let Some(blocked) = BlockedFlow::parse(bytes, Direction::Up) else {
        assert!(AlertedFlow::parse(bytes, Direction::Up).is_none());
        return false;
    };
    assert_eq!(blocked.session.is_ipv4(), blocked.destination.is_ipv4());
    for direction in [Direction::Up, Direction::Down] {
        let alerted = AlertedFlow::parse(bytes, direction).expect("the same packet");
        let (session, peer) = match direction {
            Direction::Up => (blocked.session, blocked.destination),
            Direction::Down => (blocked.destination, blocked.session),
        };
        assert_eq!((alerted.session, alerted.peer), (session, peer));
        assert_eq!((alerted.protocol, alerted.port), (blocked.protocol, blocked.port));
    }
    match blocked.port {
        LoggedPort::Ports { destination, .. } => {
            assert!(matches!(blocked.protocol, 6 | 17) && blocked.port.number() == destination);
        }
        LoggedPort::Icmp { .. } => assert!(matches!(blocked.protocol, 1 | 58)),
        LoggedPort::None => assert_eq!(blocked.port.number(), 0),
    }
    true
}

/// Installs, cuts, removals and the time between them, as bytes choose.
#[must_use]
pub fn ledger(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    let mut side = BesideModel::new();
    while !choices.is_over() {
        side.step(&mut choices);
        side.check();
    }
    side.ends_free();
    side.granted
}

/// A cut that has not been forgotten: when, whose, at which index, and where the session stood.
struct Cut {
    at: Instant,
    session: SessionId,
    index: LogIndex,
    addresses: Vec<IpAddr>,
}

/// The ledger, and in plain lists what it promises about.
struct BesideModel {
    ledger: Ledger,
    now: Instant,
    cuts: Vec<Cut>,
    held: HashMap<SessionId, SessionRules>,
    /// Addresses whose flows the kernel has not forgotten.
    resting: HashSet<IpAddr>,
    granted: bool,
}

impl BesideModel {
    fn new() -> Self {
        let (ledger, now) = (Ledger::new(MEMORY), Instant::now());
        Self { ledger, now, cuts: vec![], held: HashMap::new(), resting: HashSet::new(), granted: false }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let step = choices.below(6);
        let session = SessionId::from_random([choices.below(4); 16]);
        match step {
            0 | 1 => {
                let addresses = addresses(choices.byte());
                let (generation, checked_at) = (choices.byte().into(), LogIndex(choices.byte().into()));
                self.install(&InstallRequest { session, generation, checked_at, addresses });
            }
            2 => self.cut(session, LogIndex(choices.byte().into())),
            3 => self.remove(session),
            4 => {
                let address = addresses(choices.byte()).iter().next();
                address.into_iter().for_each(|address| self.clean(address));
            }
            _ => self.pass(Duration::from_secs(choices.byte().into())),
        }
    }

    /// The kernel takes whatever is granted.
    fn install(&mut self, request: &InstallRequest) {
        let granted = self.ledger.check(request) == InstallDecision::Granted;
        assert_eq!(granted, self.may_be_granted(request), "{request:?}");
        if !granted {
            return;
        }
        let InstallRequest { session, generation, addresses, .. } = *request;
        let rules = SessionRules { generation, addresses, mark: Mark(1), owner: Owner(1), expires: self.now };
        let former = self.held.insert(session, rules);
        assert_eq!(self.ledger.installed(session, rules), former);
        self.resting.extend(former.iter().flat_map(|former| former.left_behind(addresses)));
        self.granted = true;
    }

    fn may_be_granted(&self, request: &InstallRequest) -> bool {
        let asks = |address: &IpAddr| request.addresses.contains(*address);
        let is_cut = self.cuts.iter().any(|cut| {
            let here = cut.addresses.iter().any(asks);
            cut.session == request.session || here && request.checked_at < cut.index
        });
        let is_older = self.held.get(&request.session).is_some_and(|held| request.generation <= held.generation);
        let is_held = self.held.iter().any(|(session, held)| {
            let shared = held.addresses.iter().any(|address| asks(&address));
            *session != request.session && shared
        });
        !is_cut && !is_older && !is_held && !self.resting.iter().any(asks)
    }

    fn cut(&mut self, session: SessionId, index: LogIndex) {
        self.ledger.add_tombstone(session, index, self.now);
        let addresses = self.held.get(&session).map(|held| held.addresses.iter().collect()).unwrap_or_default();
        self.cuts.push(Cut { at: self.now, session, index, addresses });
    }

    /// As the enforcer does: only what was cut is removed.
    fn remove(&mut self, session: SessionId) {
        if !self.cuts.iter().any(|cut| cut.session == session) {
            return;
        }
        let held = self.held.remove(&session);
        assert_eq!(self.ledger.removed(session), held);
        self.resting.extend(held.iter().flat_map(|held| held.addresses.iter()));
    }

    fn clean(&mut self, address: IpAddr) {
        self.ledger.cleaned(address);
        self.resting.remove(&address);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ledger.forget(self.now);
        self.cuts.retain(|cut| cut.at + MEMORY > self.now);
    }

    /// An address has one holder, and what is in force is what was granted.
    fn check(&self) {
        assert_eq!(self.ledger.len(), self.held.len());
        let mut seen = HashSet::new();
        for (session, rules) in self.ledger.sessions() {
            assert_eq!(self.held.get(session), Some(rules));
            assert!(rules.addresses.iter().all(|address| seen.insert(address)), "an address with two holders");
        }
    }

    /// Nothing is kept for ever: once all is removed, forgotten and clean, everybody may be let in again.
    fn ends_free(&mut self) {
        for session in self.held.keys().copied().collect::<Vec<_>>() {
            self.cut(session, LogIndex(u64::MAX));
            self.remove(session);
        }
        self.pass(MEMORY);
        self.resting.clone().into_iter().for_each(|address| self.clean(address));
        for n in 0..4 {
            let (session, addresses) = (SessionId::from_random([n; 16]), addresses(n));
            self.install(&InstallRequest { session, generation: 0, checked_at: LogIndex(0), addresses });
        }
        assert_eq!(self.ledger.len(), 4);
    }
}

/// One of four places, in one family or both.
fn addresses(byte: u8) -> SessionAddresses {
    let place = byte % 4;
    let v4 = (byte & 16 == 0).then(|| Ipv4Addr::new(10, 9, 0, place));
    let v6 = (byte & 32 == 0).then(|| Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, place.into()));
    SessionAddresses { v4, v6 }
}
